#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

// What a decoding step of a language model does between its products (`BlockedProducts.h`): attention of one token
// per row, and chains of operations. These are cheap to compute, but libtorch needs some microseconds for each
// operation of a chain. Here a chain is one loop, in float32 and rounded once. `std::nullopt` means that the shapes,
// the types or this CPU do not fit, and libtorch's own kernels are used instead.
namespace few_rows {

// Attention of one token per row: q `[rows, key heads, group, dim]` with the query heads of a group adjacent; k and v
// `[rows, key heads, keys, dim]` with any strides, but dense in `dim`; mask `[rows or 1, 1, 1, keys]`, added to the
// scores. All in bfloat16; the result has the shape of q.
std::optional<at::Tensor> attention(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, const at::Tensor &mask);

// Root-mean-square norm of x `[…, hidden]` in bfloat16, with weight `[hidden]`.
std::optional<at::Tensor> rms_norm(const at::Tensor &x, const at::Tensor &weight, double epsilon);

// x `[batch, heads, 1, dim]` rotated by the angles with cosines and sines `[batch, 1, 1, rotated]`, all in bfloat16.
std::optional<at::Tensor> rotate(const at::Tensor &x, const at::Tensor &cosine, const at::Tensor &sine);

// The index of the largest element of each row of x `[…, width]` in bfloat16, as int64.
std::optional<at::Tensor> argmax(const at::Tensor &x, int64_t axis);

// The activation of a gate: x · σ(x), or the Gaussian error linear unit in its tanh approximation.
enum class Gate { silu, gelu };

// `gate(x) · other` for each element, both of the same shape in bfloat16.
std::optional<at::Tensor> gated(const at::Tensor &x, const at::Tensor &other, Gate gate);

// Copies `values[i]` to `x[rows[i]][columns[i]]`; returns false if nothing was done.
bool put(at::Tensor &x, const at::Tensor &rows, const at::Tensor &columns, const at::Tensor &values);

}
