#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

// Attention over a row of samples that share beginnings, in one pass, forwards and back: each token sees its own segment up to
// itself, and all of the segments that this one goes on from. Scores are made a tile at a time and never kept (arXiv 2205.14135).
namespace tree_attention {

struct Segment {
    int64_t length;
    // The segment it goes on from, an earlier one; negative begins a sample.
    int64_t parent;
};

// Whether the kernels take these: bfloat16 on a CPU with AVX512-BF16, one row, heads of a multiple of 16 up to 256, dense.
bool fits(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v);

// q `[1, heads, tokens, dim]`, k and v `[1, key heads, tokens, dim]`; a window of 0 is none. The shape of q comes out.
at::Tensor attend(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, const std::vector<Segment> &segments,
                  int64_t window);

}
