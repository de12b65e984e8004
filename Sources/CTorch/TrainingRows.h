#pragma once

#include "Threads.h"
#include "TrainingLoopTable.h"

#include <ATen/ATen.h>

#include <algorithm>

// What the kernels of training share: the distribution of rows among threads, and the element types.
namespace training {

// Ends a backward pass with an error once the program has asked for that.
void check_interruption();

// What dropout keeps of x, alone or added to y, which must be contiguous.
at::Tensor drop(const at::Tensor &x, double probability, uint64_t seed, at::Tensor y = {});

inline bool fits(const at::Tensor &x) {
    return x.is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16) && x.numel() > 0 && x.dim() > 0;
}

inline bool fits(const at::Tensor &x, const at::Tensor &other) { return fits(x) && fits(other) && x.scalar_type() == other.scalar_type(); }

// Shares rows of `width` elements among the threads: `body(number, from, to)`.
template <typename Body>
void over_numbered_rows(int64_t rows, int64_t width, const Body &body) {
    const int64_t worth = std::max<int64_t>(rows * width / (1 << 14), 1);
    Threads::run(std::min(rows, worth), [&](int64_t number, int64_t count) {
        const int64_t from = rows * number / count, to = rows * (number + 1) / count;
        if (from < to) body(number, from, to);
    });
}

// The same: `body(from, to)`.
template <typename Body>
void over_rows(int64_t rows, int64_t width, const Body &body) {
    over_numbered_rows(rows, width, [&](int64_t, int64_t from, int64_t to) { body(from, to); });
}

// Calls `body` with a value of the element type's C++ type.
template <typename Body>
auto typed(const at::Tensor &x, const Body &body) {
    return x.scalar_type() == at::kFloat ? body(float{}) : body(c10::BFloat16{});
}

template <typename T>
const T *in(const at::Tensor &x) {
    return x.defined() ? x.const_data_ptr<T>() : nullptr;
}

template <typename T>
T *out(const at::Tensor &x) {
    return x.defined() ? x.mutable_data_ptr<T>() : nullptr;
}

template <typename T>
T *moved(T *pointer, int64_t places) {
    return pointer ? pointer + places : nullptr;
}

}
