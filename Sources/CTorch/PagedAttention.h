#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

// Attention over keys and values that are kept in pages, for tokens of any number of sequences at once: prompts that
// are being read piece by piece, and the next tokens of answers.
//
// A layer's pages are one tensor `[pages, key heads, 2, 16 · dim]` with the keys and then the values of 16 tokens.
// Keys are stored as `[dim / 2][16][2]` and values as `[16 / 2][dim][2]`, so that both products are products of tiles
// (`Tiles.h`). A sequence is a list of pages. Pages that sequences share are stored once, and read once for the queries of
// several that begin with them.
//
// A token's result depends on its sequence alone, to the bit: not on what else is in the pass, nor on whether its
// prompt was read at once, in pieces, or partly for another request before.
namespace paged_attention {

constexpr int64_t page_tokens = 16;

// How a layer differs from plain attention.
struct Form {
    // The factor on scores.
    double scale;
    // How many tokens back a query sees, including its own; 0 sees all.
    int64_t window;
    // The bound of soft-capped scores; 0 does not cap.
    double cap;
    double norm_epsilon;
};

// The tokens of a pass: sequence s has the tokens from `starts[s]` to `starts[s + 1]`, the first of which is at
// position `firsts[s]`; its token at position p is in slot `p % 16` of page `tables[s][p / 16]`. All int32 on the
// CPU.
struct Pass {
    at::Tensor tables, starts, firsts;
};

// Stores the tokens' keys and values in their pages and computes attention. Without k and v it only reads: another
// layer has stored those of the same pass.
//
// q `[tokens, heads · dim]`, k and v `[tokens, key heads · dim]`, not rotated yet; cosine and sine `[tokens,
// rotated]`; the norms of heads, if there are any, `[dim]`. Returns `[tokens, heads · dim]`. In bfloat16 on CPUs with
// AVX512-BF16, in float32 on every CPU.
at::Tensor attend(const at::Tensor &q, const std::optional<at::Tensor> &k, const std::optional<at::Tensor> &v,
                  const at::Tensor &cosine, const at::Tensor &sine, const std::optional<at::Tensor> &q_norm,
                  const std::optional<at::Tensor> &k_norm, at::Tensor &pages, const Pass &pass, const Form &form);

// Zeroed memory that takes space only once it is written: `[pages, key heads, 2, 16 · dim]`.
at::Tensor zero_pages(at::IntArrayRef shape, at::ScalarType type);

}
