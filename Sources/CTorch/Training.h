#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <utility>
#include <vector>

// What libtorch does in many passes over memory, in one, forwards and back: for tensors on the CPU in float32 or bfloat16, with
// AVX-512 where the CPU has it (`TrainingLoops.h`). `std::nullopt` says that the types, shapes or device do not fit; libtorch's own
// operations serve then.
namespace training {

// Root-mean-square norm over the last axis of `x`, or of `x + added`, with weight `[hidden]` of the same type.
// The sum, which is `x` itself without `added`, and the norm.
struct Normed {
    at::Tensor sum, norm;
};
std::optional<Normed> rms_norm(const at::Tensor &x, const std::optional<at::Tensor> &added, const at::Tensor &weight,
                               double epsilon);

// x `[batch, heads, length, dim]`, dense in `dim`, turned by angles whose cosines and sines are `[batch, 1, length, turned]`.
std::optional<at::Tensor> rotate(const at::Tensor &x, const at::Tensor &cosine, const at::Tensor &sine);

// `gate(x) · other`, both of one shape.
std::optional<at::Tensor> gated(const at::Tensor &x, const at::Tensor &other, bool gelu);

// Zeroes elements with a probability and scales the others; which ones depends on the seed and the place alone.
std::optional<at::Tensor> dropout(const at::Tensor &x, double probability, uint64_t seed);

// The summed cross-entropy of logits `[n, vocabulary]` against int64 targets `[n]`, in float32.
std::optional<at::Tensor> cross_entropy_sum(const at::Tensor &logits, const at::Tensor &targets);

// A projection with a low-rank adapter beside it: `x · weightᵀ + bias + scale · dropout(x) · downᵀ · upᵀ`.
struct Adapted {
    at::Tensor weight, bias;  // `[out, in]`; `[out]` or undefined
    at::Tensor down, up;      // `[rank, in]`, `[out, rank]`; undefined without an adapter
    double scale, dropout;
    uint64_t seed;
};

// Several of one x `[…, in]`. Nothing but x and the adapters learns: nullopt where a weight or bias does.
std::optional<std::vector<at::Tensor>> adapted(const at::Tensor &x, const std::vector<Adapted> &projections);

// In what the products of bfloat16 are computed: their own type, float32, or block floating point (`BlockFloat.h`).
enum Products { own = 0, floats = 1, blocks = 2 };

// Chooses it, for tests; -1 leaves it to what is faster on this CPU.
void choose_products(int products);

// Called now and then in the course of `backward`; once it is true, that ends with an error.
using Interruption = bool (*)();
void set_interruption(Interruption interruption);

// See ct_skip_dropped_rows.
void skip_dropped_rows(int64_t rows);

}
