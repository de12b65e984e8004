#pragma once

#include <ATen/ATen.h>

// A float32 matrix `[out, in]` rounded to four bits: each group of 32 inputs consists of whole numbers from 0 to 15,
// multiplied by the group's scale and added to its lowest value. Both are bfloat16 numbers. Kernels differ in the
// layout that they need.
struct FourBits {
    static constexpr int64_t group = 32;
    // `[out, groups, 32]` in int32, and `[out, groups, 1]` twice in float32.
    at::Tensor numbers, scale, low;

    explicit FourBits(const at::Tensor &weight) {
        const auto grouped = weight.reshape({weight.size(0), weight.size(1) / group, group});
        auto rounded = [](const at::Tensor &x) { return x.to(at::kBFloat16).to(at::kFloat); };
        low = rounded(grouped.amin(2, true));
        scale = rounded(((grouped.amax(2, true) - low) / 15).clamp_min(1e-8));
        numbers = ((grouped - low) / scale).round().clamp(0, 15).to(at::kInt);
    }
};
