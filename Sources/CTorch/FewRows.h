#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

// What a decoding step of a language model does between its products (`BlockedProducts.h`): attention of one token a row, and chains of
// operations. They take no time to compute, but libtorch takes some microseconds for each operation of a chain. These do a chain
// in one loop, in float32 and rounded once. `std::nullopt` says that the shapes, types or this CPU do not fit, and libtorch's own
// kernels serve instead.
namespace few_rows {

// Attention of one token a row: q `[rows, key heads, group, dim]`, the query heads of a group beside each other; k and v
// `[rows, key heads, keys, dim]` of any strides but dense in `dim`; mask `[rows or 1, 1, 1, keys]`, added to the scores.
// All in bfloat16; the same shape as q comes out.
std::optional<at::Tensor> attention(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, const at::Tensor &mask);

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
