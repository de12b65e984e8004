#include "FewRows.h"
#include "Lanes.h"
#include "Threads.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#if defined(__x86_64__)

namespace {

using namespace lanes;

// One token's query heads that share a head of keys and values.
struct Group {
    const c10::BFloat16 *q, *k, *v, *mask;
    c10::BFloat16 *y;
    int64_t heads, dimension, k_stride, v_stride;
    float scale;
    // The keys that the mask leaves visible lie from the first to the last one.
    int64_t first, last;

    // Scores are kept in whole registers.
    int64_t width() const { return (last - first + places - 1) / places * places; }

    // Computes sixteen keys at a time: the scaled scores of each head, `[heads][width]`; beyond the last key they are
    // far below all others.
    AVX512 void score(float *scores) const {
        for (int64_t from = first; from < last; from += places) {
            const int64_t count = std::min<int64_t>(places, last - from);
            const auto some = static_cast<__mmask16>((1 << count) - 1);
            const __m512 added = floats(some, mask + from);
            for (int64_t head = 0; head < heads; ++head) {
                __m512 parts[places];
                for (int64_t i = 0; i < places; ++i) {
                    parts[i] = _mm512_setzero_ps();
                    if (i >= count) continue;
                    for (int64_t d = 0; d < dimension; d += lane)
                        parts[i] = _mm512_dpbf16_ps(parts[i], (__m512bh)_mm512_loadu_si512(k + (from + i) * k_stride + d),
                                                    (__m512bh)_mm512_loadu_si512(q + head * dimension + d));
                }
                const __m512 sums = _mm512_fmadd_ps(totals(parts), _mm512_set1_ps(scale), added);
                const __m512 none = _mm512_set1_ps(-std::numeric_limits<float>::infinity());
                _mm512_storeu_ps(scores + head * width() + from - first, _mm512_mask_mov_ps(none, some, sums));
            }
        }
    }

    // Replaces one head's scores by their exponentials relative to the largest; returns the inverse of the sum.
    AVX512 float weigh(float *scores) const {
        __m512 most = _mm512_loadu_ps(scores);
        for (int64_t t = places; t < width(); t += places) most = _mm512_max_ps(most, _mm512_loadu_ps(scores + t));
        // If all keys are hidden, the largest is the lowest number, and all weights are zero.
        const __m512 top = _mm512_set1_ps(std::max(_mm512_reduce_max_ps(most), std::numeric_limits<float>::lowest()));
        __m512 sum = _mm512_setzero_ps();
        for (int64_t t = 0; t < width(); t += places) {
            const __m512 weights = lanes::exp(_mm512_sub_ps(_mm512_loadu_ps(scores + t), top));
            sum = _mm512_add_ps(sum, weights);
            _mm512_storeu_ps(scores + t, weights);
        }
        const float total = _mm512_reduce_add_ps(sum);
        return total == 0 ? 0 : 1 / total;
    }

    // The weighted values of some heads from head `from` on, 32 elements at a time.
    template <int Heads>
    AVX512 void sum(const float *weights, const float *inverse, int64_t from) const {
        for (int64_t d = 0; d < dimension; d += lane) {
            __m512 low[Heads], high[Heads];
            for (int head = 0; head < Heads; ++head) low[head] = high[head] = _mm512_setzero_ps();
            for (int64_t t = 0; t < last - first; ++t) {
                const auto *value = v + (first + t) * v_stride + d;
                const __m512 left = floats(0xffff, value), right = floats(0xffff, value + places);
#pragma clang loop unroll(full)
                for (int head = 0; head < Heads; ++head) {
                    const __m512 weight = _mm512_set1_ps(weights[(from + head) * width() + t]);
                    low[head] = _mm512_fmadd_ps(left, weight, low[head]);
                    high[head] = _mm512_fmadd_ps(right, weight, high[head]);
                }
            }
            for (int head = 0; head < Heads; ++head) {
                const __m512 factor = _mm512_set1_ps(inverse[from + head]);
                auto *to = y + (from + head) * dimension + d;
                _mm256_storeu_epi16(to, (__m256i)_mm512_cvtneps_pbh(_mm512_mul_ps(low[head], factor)));
                _mm256_storeu_epi16(to + places, (__m256i)_mm512_cvtneps_pbh(_mm512_mul_ps(high[head], factor)));
            }
        }
    }

    // The most numbers that `attend` needs room for.
    static int64_t room(int64_t heads, int64_t keys) { return heads * (keys + places); }

    void attend(float *room) const {
        float *scores = room, *inverse = room + heads * width();
        score(scores);
        for (int64_t head = 0; head < heads; ++head) inverse[head] = weigh(scores + head * width());
        int64_t head = 0;
        for (; head + 4 <= heads; head += 4) sum<4>(scores, inverse, head);
        for (; head < heads; ++head) sum<1>(scores, inverse, head);
    }
};

bool fits(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, const at::Tensor &mask) {
    if (c10::GradMode::is_enabled() || !cpu_fits()) return false;
    for (const auto *x : {&q, &k, &v, &mask})
        if (!x->is_cpu() || x->scalar_type() != at::kBFloat16 || x->dim() != 4 || x->numel() == 0 || x->stride(3) != 1)
            return false;
    return k.sizes() == v.sizes() && k.size(0) == q.size(0) && k.size(1) == q.size(1) && k.size(3) == q.size(3) &&
           q.size(3) % lane == 0 && (mask.size(0) == 1 || mask.size(0) == q.size(0)) && mask.size(1) == 1 &&
           mask.size(2) == 1 && mask.size(3) == k.size(2);
}

bool is_hidden(c10::BFloat16 mask) { return mask == -std::numeric_limits<float>::infinity(); }

}

std::optional<at::Tensor> few_rows::attention(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v,
                                              const at::Tensor &mask) {
    if (!fits(q, k, v, mask)) return std::nullopt;
    const at::Tensor queries = q.contiguous();
    at::Tensor y = at::empty(q.sizes(), q.options());
    const int64_t shared = q.size(1), heads = q.size(2), dimension = q.size(3), keys = k.size(2);
    const int64_t groups = q.size(0) * shared;
    auto group = [&](int64_t number) {
        const int64_t row = number / shared, head = number % shared;
        const auto *added = mask.const_data_ptr<c10::BFloat16>() + (mask.size(0) == 1 ? 0 : row * mask.stride(0));
        int64_t first = 0, last = keys;
        while (last > 1 && is_hidden(added[last - 1])) --last;
        while (first < last - 1 && is_hidden(added[first])) ++first;
        const int64_t offset = number * heads * dimension;
        return Group{queries.const_data_ptr<c10::BFloat16>() + offset,
                     k.const_data_ptr<c10::BFloat16>() + row * k.stride(0) + head * k.stride(1),
                     v.const_data_ptr<c10::BFloat16>() + row * v.stride(0) + head * v.stride(1),
                     added, y.mutable_data_ptr<c10::BFloat16>() + offset, heads, dimension, k.stride(2), v.stride(2),
                     1 / std::sqrt(static_cast<float>(dimension)), first, last};
    };
    // A share with at least this many products is worth waking a thread.
    const int64_t shares = std::min(groups, groups * keys * heads * dimension / (1 << 17));
    // Room for all shares is allocated here, since an error must not leave a thread's share.
    const int64_t room = Group::room(heads, keys);
    const auto rooms = std::make_unique_for_overwrite<float[]>(room * std::max<int64_t>(shares, 1));
    Threads::run(shares, [&](int64_t number, int64_t count) {
        for (int64_t i = number; i < groups; i += count) group(i).attend(rooms.get() + number * room);
    });
    return y;
}

#else

std::optional<at::Tensor> few_rows::attention(const at::Tensor &, const at::Tensor &, const at::Tensor &,
                                              const at::Tensor &) {
    return std::nullopt;
}

#endif
