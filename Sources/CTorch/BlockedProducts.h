#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

// Products `x · weightᵀ + bias` of any number of rows in bfloat16 with a matrix laid out in blocks (`Tiles.h`), the
// only copy of a weight that inference keeps. libtorch rearranges a plain matrix for every product, which takes
// longer than the product itself up to some hundred rows. A row's result does not depend on the number of rows.
//
// A matrix `[out, in]` is stored as values `[out / 16, in / 2, 16, 2]`: bfloat16, or int8 with bfloat16 scales
// `[out]`. Where AMX's registers multiply int8, it is stored as `[out / 16, in / 4, 16, 4]`. In four bits it is stored
// as int16 words `[out / 16, in / 8, 16, 2]` (`NibbleTiles.h`), with scales and lowest values `[out / 16, in / 32, 2, 16]`.
namespace blocked_products {

struct Weights {
    // `scales` is undefined for bfloat16; `bias` is `[out]` in bfloat16, or undefined.
    at::Tensor values, scales, bias;
};

// Whether this CPU has the instructions.
bool has_kernels();

// Whether it multiplies bfloat16 in float32.
bool multiplies_in_floats();

// Whether it multiplies bfloat16 in AMX's registers.
bool has_registers();

// Whether products and attention that the calling thread begins use AMX's registers; for tests.
void use_registers(bool are_used);

// Whether a matrix is stored in blocks.
inline bool is_blocked(const at::Tensor &values) { return values.dim() == 4; }

// A matrix `[out, in]` in blocks; nullopt when this CPU lacks the instructions, or the extents do not fill whole
// blocks.
std::optional<Weights> pack(const at::Tensor &weight);
std::optional<Weights> pack_int8(const at::Tensor &weight);
std::optional<Weights> pack_int4(const at::Tensor &weight);

// The products of x `[…, in]` in bfloat16 with several matrices of one kind: `[…, out]` each.
std::vector<at::Tensor> linears(const at::Tensor &x, const std::vector<Weights> &weights);

// Rows of a bfloat16 matrix, as an embedding looks them up: int64 indices `[…]` → `[…, in]`.
at::Tensor rows(const at::Tensor &values, const at::Tensor &indices);

}
