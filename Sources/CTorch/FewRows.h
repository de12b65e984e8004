#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

// Products of few rows with a large matrix, `x · weightᵀ + bias`: the decoding step of a language model.
//
// Such a product reads each weight once, so memory sets its pace. libtorch 2.13 has no kernel for it that comes near that
// pace on the CPU (its bfloat16 product with one row reads 21 GB/s where memory gives 70), hence these, for x86-64 with
// AVX512-BF16. Sums are in float32. `std::nullopt` says that the shapes, types or this CPU do not fit, and libtorch's own
// kernels serve instead.
namespace few_rows {

// x `[…, in]` and weight `[out, in]` in bfloat16, bias `[out]` in bfloat16 or undefined.
std::optional<at::Tensor> linear(const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias);

// x `[…, in]` in bfloat16, values `[out, in]` in int8 with bfloat16 scales `[out]`, bias as above.
std::optional<at::Tensor> linear_int8(const at::Tensor &x, const at::Tensor &values, const at::Tensor &scales,
                                      const at::Tensor &bias);

// What stands between the products takes no time to compute, but libtorch takes some microseconds for each operation of
// a chain. These do a chain in one loop, in float32 and rounded once; nullopt as above, on any CPU.

// Root-mean-square norm of x `[…, hidden]` in bfloat16, with weight `[hidden]`.
std::optional<at::Tensor> rms_norm(const at::Tensor &x, const at::Tensor &weight, double epsilon);

// x `[batch, heads, 1, dim]` turned by the angles whose cosines and sines are `[batch, 1, 1, turned]`, all in bfloat16.
std::optional<at::Tensor> rotate(const at::Tensor &x, const at::Tensor &cosine, const at::Tensor &sine);

// Copies `values[i]` to `x[rows[i]][columns[i]]`; false when not done.
bool put(at::Tensor &x, const at::Tensor &rows, const at::Tensor &columns, const at::Tensor &values);

}
