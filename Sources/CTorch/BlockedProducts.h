#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

// Products `x · weightᵀ + bias` of any number of rows in bfloat16 with a matrix laid out in blocks (`Tiles.h`): the only copy of
// a weight that inference keeps. libtorch lays a plain matrix out anew for every product, which costs more than the product
// itself up to some hundred rows. What a row becomes does not depend on how many rows there are.
//
// A matrix `[out, in]` is held as values `[out / 16, in / 2, 16, 2]`: bfloat16, or int8 with bfloat16 scales `[out]`. In four bits it is
// int16 words `[out / 16, in / 8, 16, 2]` (`NibbleTiles.h`), with scales and lowest values `[out / 16, in / 32, 2, 16]`.
namespace blocked_products {

struct Weights {
    // `scales` undefined for bfloat16; `bias` `[out]` in bfloat16, or undefined.
    at::Tensor values, scales, bias;
};

// Whether this CPU has the instructions.
bool has_kernels();

// Whether it multiplies bfloat16 in float32.
bool multiplies_in_floats();

// Whether a matrix is held in blocks.
inline bool is_blocked(const at::Tensor &values) { return values.dim() == 4; }

// A matrix `[out, in]` in blocks; nullopt where this CPU lacks the instructions, or the extents do not fill blocks.
std::optional<Weights> pack(const at::Tensor &weight);
std::optional<Weights> pack_int8(const at::Tensor &weight);
std::optional<Weights> pack_int4(const at::Tensor &weight);

// The products of x `[…, in]` in bfloat16 with several matrices of one kind: `[…, out]` each.
std::vector<at::Tensor> linears(const at::Tensor &x, const std::vector<Weights> &weights);

// Rows of a matrix in bfloat16, as an embedding looks them up: int64 indices `[…]` → `[…, in]`.
at::Tensor rows(const at::Tensor &values, const at::Tensor &indices);

}
