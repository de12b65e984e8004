#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <utility>
#include <vector>

// Does in one pass over memory, forward and backward, what libtorch does in many: for tensors on the CPU in float32
// or bfloat16, with AVX-512 if the CPU has it (`TrainingLoops.h`). `std::nullopt` means that the types, shapes or
// device do not fit; libtorch's own operations are then used.
namespace training {

// Root-mean-square norm over the last axis of `x`, or of `x + added`, with weight `[hidden]` of the same type.
// The sum, which is `x` itself without `added`, and the norm.
struct Normed {
    at::Tensor sum, norm;
};
std::optional<Normed> rms_norm(const at::Tensor &x, const std::optional<at::Tensor> &added, const at::Tensor &weight,
                               double epsilon);

// x `[batch, heads, length, dim]`, dense in `dim`, rotated by angles with cosines and sines `[batch, 1, length,
// rotated]`.
std::optional<at::Tensor> rotate(const at::Tensor &x, const at::Tensor &cosine, const at::Tensor &sine);

// `gate(x) · other`, both of the same shape.
std::optional<at::Tensor> gated(const at::Tensor &x, const at::Tensor &other, bool gelu);

// Zeroes elements with a probability and scales the others; which ones depends only on the seed and the place.
std::optional<at::Tensor> dropout(const at::Tensor &x, double probability, uint64_t seed);

// The summed cross-entropy of logits `[n, vocabulary]` against int64 targets `[n]`, in float32.
std::optional<at::Tensor> cross_entropy_sum(const at::Tensor &logits, const at::Tensor &targets);

// A projection with a low-rank adapter: `x · weightᵀ + bias + scale · dropout(x) · downᵀ · upᵀ`.
struct Adapted {
    at::Tensor weight, bias;  // `[out, in]`; `[out]` or undefined
    at::Tensor down, up;      // `[rank, in]`, `[out, rank]`; undefined without an adapter
    double scale, dropout;
    uint64_t seed;
};

// Several projections of the same x `[…, in]`. Only x and the adapters can have gradients: nullopt if a weight or
// bias needs one.
std::optional<std::vector<at::Tensor>> adapted(const at::Tensor &x, const std::vector<Adapted> &projections);

// The number format of products of bfloat16: bfloat16 itself, float32, or block floating point (`BlockFloat.h`).
enum Products { own = 0, floats = 1, blocks = 2 };

// Chooses the format, for tests; -1 takes the fastest on this CPU.
void choose_products(int products);

// Called from time to time during `backward`, which ends with an error once this returns true.
using Interruption = bool (*)();
// Returns the one before.
Interruption set_interruption(Interruption interruption);

// See ct_skip_dropped_rows.
void skip_dropped_rows(int64_t rows);

}
