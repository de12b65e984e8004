#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>

namespace training {

// The loops between the products of training, for one element type; see `TrainingLoops.h`.
template <typename T>
struct Loops {
    void (*norm_forward)(const T *x, const T *added, const T *weight, T *sum, T *y, float *inverse, int64_t rows,
                         int64_t width, float epsilon);
    void (*norm_backward)(const T *x, const T *weight, const float *inverse, const T *above, const T *beside, T *of_x,
                          float *of_weight, int64_t rows, int64_t width);
    void (*rotate)(const T *x, const T *cosine, const T *sine, T *y, int64_t turned, int64_t width, bool back);
    void (*silu)(const T *x, const T *other, T *y, int64_t count);
    void (*gelu)(const T *x, const T *other, T *y, int64_t count);
    void (*silu_backward)(const T *x, const T *other, const T *above, T *of_x, T *of_other, int64_t count);
    void (*gelu_backward)(const T *x, const T *other, const T *above, T *of_x, T *of_other, int64_t count);
    void (*drop)(const T *x, T *y, int64_t first, int64_t count, double probability, uint64_t seed);
    void (*add_dropped)(const T *x, T *y, int64_t first, int64_t count, double probability, uint64_t seed);
    float (*log_sum)(const T *row, int64_t width);
    void (*entropy_backward)(const T *row, T *gradient, int64_t width, int64_t target, float log_sum, float above);
};

// The loops for this CPU, for float and c10::BFloat16.
template <typename T>
const Loops<T> &loops();

// Makes all kernels of training use the path that every CPU has, for tests.
void set_portable(bool portable);

// Whether the kernels with AVX-512 are used.
bool is_wide();

}
