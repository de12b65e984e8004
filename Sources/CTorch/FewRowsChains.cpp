#include "FewRows.h"
#include "Lanes.h"
#include "Threads.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <tuple>

namespace {

bool is_plain(const at::Tensor &x) {
    return !c10::GradMode::is_enabled() && x.is_cpu() && x.scalar_type() == at::kBFloat16 && x.numel() > 0;
}

}

// One row's norm. Its sum always has the same order, so that a token's norm does not depend on other tokens.
static void norm_plainly(const at::BFloat16 *from, const at::BFloat16 *scale, at::BFloat16 *to, int64_t width, float epsilon) {
    float squares = 0;
    for (int64_t i = 0; i < width; ++i) squares += static_cast<float>(from[i]) * static_cast<float>(from[i]);
    const float factor = 1 / std::sqrt(squares / width + epsilon);
    for (int64_t i = 0; i < width; ++i)
        to[i] = static_cast<float>(from[i]) * factor * static_cast<float>(scale[i]);
}

#if defined(__x86_64__)

AVX512 static void norm(const at::BFloat16 *from, const at::BFloat16 *scale, at::BFloat16 *to, int64_t width, float epsilon) {
    if (width % lanes::places != 0) return norm_plainly(from, scale, to, width, epsilon);
    __m512 squares = _mm512_setzero_ps();
    for (int64_t i = 0; i < width; i += lanes::places) {
        const __m512 values = lanes::floats(0xffff, from + i);
        squares = _mm512_fmadd_ps(values, values, squares);
    }
    const __m512 factor = _mm512_set1_ps(1 / std::sqrt(_mm512_reduce_add_ps(squares) / width + epsilon));
    for (int64_t i = 0; i < width; i += lanes::places) {
        const __m512 values = _mm512_mul_ps(_mm512_mul_ps(lanes::floats(0xffff, from + i), factor), lanes::floats(0xffff, scale + i));
        _mm256_storeu_epi16(to + i, (__m256i)_mm512_cvtneps_pbh(values));
    }
}

#endif

std::optional<at::Tensor> few_rows::rms_norm(const at::Tensor &x, const at::Tensor &weight, double epsilon) {
    const int64_t width = x.size(-1), rows = x.numel() / std::max<int64_t>(width, 1);
    if (!is_plain(x) || !x.is_contiguous() || !weight.is_contiguous()) return std::nullopt;
    if (weight.scalar_type() != at::kBFloat16 || weight.numel() != width) return std::nullopt;
    at::Tensor y = at::empty_like(x);
    const auto *from = x.const_data_ptr<at::BFloat16>();
    const auto *scale = weight.const_data_ptr<at::BFloat16>();
    auto *to = y.mutable_data_ptr<at::BFloat16>();
    auto one = &norm_plainly;
#if defined(__x86_64__)
    if (lanes::cpu_fits()) one = &norm;
#endif
    Threads::run(rows * width / 65536, [&](int64_t number, int64_t count) {
        for (int64_t row = rows * number / count; row < rows * (number + 1) / count; ++row)
            one(from + row * width, scale, to + row * width, width, static_cast<float>(epsilon));
    });
    return y;
}

std::optional<at::Tensor> few_rows::rotate(const at::Tensor &x, const at::Tensor &cosine, const at::Tensor &sine) {
    if (!is_plain(x) || x.dim() != 4 || x.size(2) != 1 || x.stride(3) != 1) return std::nullopt;
    if (cosine.scalar_type() != at::kBFloat16 || !cosine.is_contiguous() || !sine.is_contiguous()) return std::nullopt;
    const int64_t batch = x.size(0), heads = x.size(1), width = x.size(3), turned = cosine.size(-1), half = turned / 2;
    if (cosine.numel() != batch * turned || sine.numel() != cosine.numel()) return std::nullopt;
    at::Tensor y = at::empty({batch, heads, 1, width}, x.options());
    auto *to = y.mutable_data_ptr<at::BFloat16>();
    for (int64_t row = 0; row < batch; ++row) {
        const auto *c = cosine.const_data_ptr<at::BFloat16>() + row * turned;
        const auto *s = sine.const_data_ptr<at::BFloat16>() + row * turned;
        for (int64_t head = 0; head < heads; ++head, to += width) {
            const auto *from = x.const_data_ptr<at::BFloat16>() + row * x.stride(0) + head * x.stride(1);
            for (int64_t i = 0; i < half; ++i) {
                const float a = from[i], b = from[half + i];
                to[i] = a * static_cast<float>(c[i]) - b * static_cast<float>(s[i]);
                to[half + i] = b * static_cast<float>(c[half + i]) + a * static_cast<float>(s[half + i]);
            }
            std::copy(from + turned, from + width, to + turned);
        }
    }
    return y;
}

bool few_rows::put(at::Tensor &x, const at::Tensor &rows, const at::Tensor &columns, const at::Tensor &values) {
    if (!x.is_cpu() || !x.is_contiguous() || x.dim() < 3 || values.scalar_type() != x.scalar_type()) return false;
    if (rows.scalar_type() != at::kLong || columns.scalar_type() != at::kLong) return false;
    const int64_t count = rows.numel(), size = x.stride(1);
    if (columns.numel() != count || values.numel() != count * size) return false;
    const at::Tensor source = values.contiguous(), lines = rows.contiguous(), places = columns.contiguous();
    const auto *line = lines.const_data_ptr<int64_t>(), *place = places.const_data_ptr<int64_t>();
    for (int64_t i = 0; i < count; ++i)
        if (line[i] < 0 || line[i] >= x.size(0) || place[i] < 0 || place[i] >= x.size(1)) return false;
    const int64_t bytes = size * x.element_size();
    for (int64_t i = 0; i < count; ++i)
        std::memcpy(static_cast<char *>(x.mutable_data_ptr()) + line[i] * x.stride(0) * x.element_size() + place[i] * bytes,
                    static_cast<const char *>(source.const_data_ptr()) + i * bytes, bytes);
    return true;
}

// The index of the largest of some bfloat16 numbers; the first among equals.
//
// Read as 16-bit integers, with the bits of negative ones inverted, bfloat16 numbers have the same order, and
// compilers vectorise comparisons of integers.
static int64_t place_of_largest(const uint16_t *from, int64_t count) {
    constexpr int64_t block = 2048;
    auto key = [](uint16_t bits) {
        // NaNs count as larger than all numbers.
        if ((bits & 0x7fff) > 0x7f80) return int16_t{INT16_MAX};
        const auto number = static_cast<int16_t>(bits);
        return static_cast<int16_t>(number == INT16_MIN ? 0 : number ^ ((number >> 15) & 0x7fff));
    };
    int16_t largest = INT16_MIN;
    int64_t found = 0;
    for (int64_t start = 0; start < count; start += block) {
        const int64_t end = std::min(start + block, count);
        int16_t most = INT16_MIN;
        for (int64_t i = start; i < end; ++i) most = std::max(most, key(from[i]));
        if (most > largest || start == 0) std::tie(largest, found) = std::pair(most, start);
    }
    while (key(from[found]) != largest) ++found;
    return found;
}

std::optional<at::Tensor> few_rows::argmax(const at::Tensor &x, int64_t axis) {
    if (!is_plain(x) || !x.is_contiguous() || x.dim() == 0 || (axis != -1 && axis != x.dim() - 1)) return std::nullopt;
    const int64_t width = x.size(-1), rows = x.numel() / width;
    at::Tensor places = at::empty(x.sizes().slice(0, x.dim() - 1), x.options().dtype(at::kLong));
    const auto *from = static_cast<const uint16_t *>(x.const_data_ptr());
    for (int64_t row = 0; row < rows; ++row)
        places.mutable_data_ptr<int64_t>()[row] = place_of_largest(from + row * width, width);
    return places;
}

#if defined(__x86_64__)

// 16 numbers through the gate, times 16 others. Both gates are x · σ(k): the sigmoid linear unit with k = x, the
// Gaussian one in its usual approximation with k = 2 √(2/π) (x + 0.044715 x³).
template <few_rows::Gate gate>
AVX512 static void through(const c10::BFloat16 *x, const c10::BFloat16 *other, c10::BFloat16 *y, int64_t count) {
    for (int64_t i = 0; i < count; i += 16) {
        const auto some = static_cast<__mmask16>(count - i >= 16 ? 0xffff : (1 << (count - i)) - 1);
        const __m512 values = lanes::floats(some, x + i);
        __m512 inner = values;
        if constexpr (gate == few_rows::Gate::gelu) {
            const __m512 square = _mm512_mul_ps(values, values);
            const __m512 cubic = _mm512_set1_ps(0.0713548162726f), linear = _mm512_set1_ps(1.5957691216f);
            inner = _mm512_mul_ps(values, _mm512_fmadd_ps(square, cubic, linear));
        }
        const __m512 one = _mm512_set1_ps(1);
        const __m512 below = _mm512_add_ps(one, lanes::exp(_mm512_sub_ps(_mm512_setzero_ps(), inner)));
        const __m512 product = _mm512_mul_ps(_mm512_div_ps(values, below), lanes::floats(some, other + i));
        _mm256_mask_storeu_epi16(y + i, some, (__m256i)_mm512_cvtneps_pbh(product));
    }
}

std::optional<at::Tensor> few_rows::gated(const at::Tensor &x, const at::Tensor &other, Gate gate) {
    if (!is_plain(x) || !is_plain(other) || x.sizes() != other.sizes()) return std::nullopt;
    if (!x.is_contiguous() || !other.is_contiguous() || !lanes::cpu_fits()) return std::nullopt;
    at::Tensor y = at::empty_like(x);
    const auto *from = x.const_data_ptr<c10::BFloat16>(), *factors = other.const_data_ptr<c10::BFloat16>();
    auto *to = y.mutable_data_ptr<c10::BFloat16>();
    const auto pass = gate == Gate::silu ? through<Gate::silu> : through<Gate::gelu>;
    const int64_t pieces = (x.numel() + 15) / 16;
    Threads::run(x.numel() / 65536, [&](int64_t number, int64_t count) {
        const int64_t first = pieces * number / count * 16, last = std::min(pieces * (number + 1) / count * 16, x.numel());
        pass(from + first, factors + first, to + first, last - first);
    });
    return y;
}

#else

std::optional<at::Tensor> few_rows::gated(const at::Tensor &, const at::Tensor &, Gate) { return std::nullopt; }

#endif
