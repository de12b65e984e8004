#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

// Products of few rows with a large matrix, `x · weightᵀ + bias`: the decoding step of a language model.
//
// Such a product reads each weight once, so memory sets its pace. libtorch 2.13 has no kernel for it that comes near that
// pace on the CPU (its bfloat16 product with one row reads 21 GB/s where memory gives 70), hence these, for x86-64 with
// AVX512-BF16. Sums are in float32. `std::nullopt` says that the shapes, types or this CPU do not fit, and libtorch's own
// kernels serve instead.
namespace few_rows {

// A matrix `[out, in]` in bfloat16, or as `pack_int4` makes it; bias `[out]` in bfloat16, or undefined. (int8 is laid out in blocks:
// `BlockedProducts.h`.)
struct Weights {
    at::Tensor values, scales, bias;
};

// A matrix `[out, in]` in four bits, with a scale and a lowest value for every 32 inputs; int16 words.
std::optional<Weights> pack_int4(const at::Tensor &weight);

// Such a matrix in bfloat16 again, for products of many rows.
at::Tensor restored(const Weights &weights, int64_t inputs);

// The products of x `[…, in]` in bfloat16 with several matrices, all of one kind.
std::optional<std::vector<at::Tensor>> linears(const at::Tensor &x, const std::vector<Weights> &weights);

// Attention of one token a row: q `[rows, key heads, group, dim]`, the query heads of a group beside each other; k and v
// `[rows, key heads, keys, dim]` of any strides but dense in `dim`; mask `[rows or 1, 1, 1, keys]`, added to the scores.
// All in bfloat16; the same shape as q comes out.
std::optional<at::Tensor> attention(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, const at::Tensor &mask);

// What stands between the products takes no time to compute, but libtorch takes some microseconds for each operation of
// a chain. These do a chain in one loop, in float32 and rounded once; nullopt as above, on any CPU.

// Root-mean-square norm of x `[…, hidden]` in bfloat16, with weight `[hidden]`.
std::optional<at::Tensor> rms_norm(const at::Tensor &x, const at::Tensor &weight, double epsilon);

// x `[batch, heads, 1, dim]` turned by the angles whose cosines and sines are `[batch, 1, 1, turned]`, all in bfloat16.
std::optional<at::Tensor> rotate(const at::Tensor &x, const at::Tensor &cosine, const at::Tensor &sine);

// The place of the largest element of each row of x `[…, width]` in bfloat16, as int64.
std::optional<at::Tensor> argmax(const at::Tensor &x, int64_t axis);

// What a gate makes of its input: x · σ(x), or the Gaussian error linear unit in its approximation with tanh.
enum class Gate { silu, gelu };

// `gate(x) · other`, element by element, both of one shape in bfloat16.
std::optional<at::Tensor> gated(const at::Tensor &x, const at::Tensor &other, Gate gate);

// Copies `values[i]` to `x[rows[i]][columns[i]]`; false when not done.
bool put(at::Tensor &x, const at::Tensor &rows, const at::Tensor &columns, const at::Tensor &values);

}
