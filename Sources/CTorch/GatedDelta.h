#pragma once

#include <ATen/ATen.h>

#include <optional>
#include <utility>

// The gated delta rule (arXiv 2412.06464): the memory's outputs for queries, token by token, and its final state.
namespace gated_delta {

// `query` and `key` `[tokens, heads, key width]`, `value` `[tokens, heads, value width]`, `learning` (in 0 ... 1) and
// `decay` (the logarithm of the share that is kept) `[tokens, heads]`, `memory` `[heads, key width, value width]`,
// all float32. Returns the output `[tokens, heads, value width]` and the memory after the last token.
std::pair<at::Tensor, at::Tensor> run(const at::Tensor &query, const at::Tensor &key, const at::Tensor &value,
                                      const at::Tensor &learning, const at::Tensor &decay, const at::Tensor &memory);

}  // namespace gated_delta
