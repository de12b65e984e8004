#pragma once

#include "FourBits.h"
#include "Lanes.h"

#include <ATen/ATen.h>

#if defined(__x86_64__)

// How the kernel for few rows has weights in four bits.
//
// A register of 32 words holds four groups, group i in the bits from 4 · i on, so that one shift and one look into a table
// of the sixteen numbers make 32 of them bfloat16. Inputs are filled up to whole registers.
namespace nibbles {

constexpr int64_t groups_at_once = 4;
constexpr int64_t step = groups_at_once * lanes::lane;

inline int64_t filled(int64_t inputs) { return (inputs + step - 1) / step * step; }

// A float32 matrix `[out, in]` as words `[out, filled / 4]`, and scales and lowest values `[out, 2, in / 32]`, which in memory
// are filled up, too.
inline std::pair<at::Tensor, at::Tensor> pack(const at::Tensor &weight) {
    static_assert(FourBits::group == lanes::lane);
    const FourBits bits(weight);
    const int64_t outputs = weight.size(0), inputs = weight.size(1), groups = inputs / lanes::lane;
    const int64_t more = filled(inputs) / lanes::lane - groups;
    const auto whole = at::constant_pad_nd(bits.numbers, {0, 0, 0, more}).view({outputs, -1, groups_at_once, lanes::lane});
    const auto factors = at::tensor({1, 16, 256, 4096}, at::kInt).view({groups_at_once, 1});
    const auto scales = at::constant_pad_nd(at::stack({bits.scale.squeeze(2), bits.low.squeeze(2)}, 1), {0, more});
    return {(whole * factors).sum(2, false, at::kInt).to(at::kShort).view({outputs, -1}),
            at::narrow(scales.to(at::kBFloat16), 2, 0, groups)};
}

// Whether words and scales are a packed matrix of so many inputs.
inline bool is_packed(const at::Tensor &words, const at::Tensor &scales, int64_t inputs) {
    const int64_t width = filled(inputs);
    return words.scalar_type() == at::kShort && words.is_cpu() && words.dim() == 2 && words.is_contiguous() &&
           words.size(1) == width / groups_at_once && scales.scalar_type() == at::kBFloat16 && scales.is_cpu() &&
           scales.sizes() == at::IntArrayRef({words.size(0), 2, inputs / lanes::lane}) && scales.stride(2) == 1 &&
           scales.stride(1) == width / lanes::lane && scales.stride(0) == 2 * scales.stride(1);
}

// The sixteen numbers as bfloat16, twice: a look into 32 places takes five bits, and the fifth is the next group's.
INLINE __m512i table() {
    const __m512i numbers = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m256i halves = (__m256i)_mm512_cvtneps_pbh(_mm512_cvtepi32_ps(numbers));
    return _mm512_inserti64x4(_mm512_castsi256_si512(halves), halves, 1);
}

// Group `i` of a register's words.
INLINE __m512i numbers(__m512i words, int i, __m512i table) {
    return _mm512_permutexvar_epi16(_mm512_srl_epi16(words, _mm_cvtsi32_si128(4 * i)), table);
}

INLINE __m512 broadcast(const c10::BFloat16 *from) { return _mm512_set1_ps(static_cast<float>(*from)); }

// Rows `begin..<end` of a packed matrix of so many inputs, in bfloat16.
AVX512 inline void restore(const int16_t *words, const c10::BFloat16 *scales, c10::BFloat16 *to, int64_t inputs,
                           int64_t begin, int64_t end) {
    const int64_t groups = filled(inputs) / lanes::lane;
    const __m512i known = table();
    for (int64_t row = begin; row < end; ++row) {
        const auto *scale = scales + row * 2 * groups, *low = scale + groups;
        for (int64_t group = 0; group < inputs / lanes::lane; ++group) {
            const auto *from = words + (row * groups / groups_at_once + group / groups_at_once) * lanes::lane;
            const __m512i found = numbers(_mm512_loadu_si512(from), group % groups_at_once, known);
            for (int half = 0; half < 2; ++half) {
                const __m256i part = half ? _mm512_extracti64x4_epi64(found, 1) : _mm512_castsi512_si256(found);
                const __m512 number = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(part), 16));
                const __m512 value = _mm512_fmadd_ps(number, broadcast(scale + group), broadcast(low + group));
                _mm256_storeu_epi16(to + row * inputs + group * lanes::lane + half * lanes::places,
                                    (__m256i)_mm512_cvtneps_pbh(value));
            }
        }
    }
}

// Rows of inputs, filled up, and the sum of each group, which its lowest value is multiplied by.
struct Inputs {
    std::vector<c10::BFloat16> values;
    std::vector<float> sums;

    AVX512 Inputs(const c10::BFloat16 *from, int64_t rows, int64_t inputs)
        : values(rows * filled(inputs)), sums(rows * filled(inputs) / lanes::lane) {
        const int64_t width = filled(inputs);
        for (int64_t row = 0; row < rows; ++row) {
            auto *into = values.data() + row * width;
            std::copy(from + row * inputs, from + (row + 1) * inputs, into);
            for (int64_t k = 0; k < inputs; k += lanes::lane)
                sums[(row * width + k) / lanes::lane] = _mm512_reduce_add_ps(
                    _mm512_add_ps(lanes::floats(0xffff, into + k), lanes::floats(0xffff, into + k + lanes::places)));
        }
    }
};

}

#endif
