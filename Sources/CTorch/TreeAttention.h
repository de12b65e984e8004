#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

// Attention over a row of samples that share beginnings, in one pass, forward and backward: each token attends to its
// own segment up to itself, and to all of the segments that this one continues. Scores are computed one tile at a
// time and never stored (arXiv 2205.14135).
namespace tree_attention {

struct Segment {
    int64_t length;
    // The number of the earlier segment that it continues; negative begins a sample.
    int64_t parent;
};

// Whether the kernels can process these: bfloat16 on a CPU with AVX512-BF16, one row, a head width that is a multiple
// of 16 up to 256, dense.
bool fits(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v);

// q `[1, heads, tokens, dim]`, k and v `[1, key heads, tokens, dim]`; a window of 0 is none. The result has the shape
// of q.
at::Tensor attend(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, const std::vector<Segment> &segments,
                  int64_t window);

}
