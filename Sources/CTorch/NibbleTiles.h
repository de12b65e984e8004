#pragma once

#include "FourBits.h"
#include "Threads.h"
#include "Tiles.h"

#if defined(__x86_64__)
#include <vector>

namespace tiles {

// Numbers in four bits, with a scale and a lowest value for each 32 inputs of a column, times 16-bit integers.
//
// A register contains four pairs of inputs of 16 columns: pair i of a column is in the bits from 4 · i on of its
// word's two halves, so that one shift and one mask make it a pair of 16-bit integers. A block is `[inputs /
// 8][16][2]`. The products of a group are summed exactly, as integers, and then scaled; the group's lowest value is
// added in proportion to the sum of its inputs.
struct Nibbles {
    using Weight = int16_t;
    using Input = int16_t;
    static constexpr int64_t inputs_at_once = 8;
    static constexpr int64_t registers = FourBits::group / inputs_at_once;
    // Of a block and group: scales, and lowest values.
    static constexpr int64_t factors = 2 * places;

    template <int shift>
    INLINE static __m512i pair(__m512i words) {
        return _mm512_and_si512(_mm512_srli_epi16(words, shift), _mm512_set1_epi16(15));
    }
};

// The sum of each group of a row's inputs, which lowest values are multiplied by: `[rows, groups]`.
inline std::vector<float> group_sums(const int16_t *x, int64_t rows, int64_t inputs) {
    const int64_t groups = inputs / FourBits::group;
    std::vector<float> sums(rows * groups);
    Threads::run(rows * inputs / 65536, [&](int64_t number, int64_t count) {
        for (int64_t i = rows * groups * number / count; i < rows * groups * (number + 1) / count; ++i) {
            int32_t sum = 0;
            for (int64_t k = 0; k < FourBits::group; ++k) sum += x[i * FourBits::group + k];
            sums[i] = static_cast<float>(sum);
        }
    });
    return sums;
}

// Multiplies one register of weights of each block with the tile's rows.
template <int shift, int Rows, int Blocks>
INLINE void add_pairs(__m512i (&sums)[Rows][Blocks], const int16_t *x, int64_t stride, const __m512i (&words)[Blocks]) {
    __m512i weights[Blocks];
#pragma clang loop unroll(full)
    for (int b = 0; b < Blocks; ++b) weights[b] = Nibbles::pair<shift>(words[b]);
#pragma clang loop unroll(full)
    for (int r = 0; r < Rows; ++r) {
        int32_t both;
        __builtin_memcpy(&both, x + r * stride, sizeof both);
        const __m512i inputs = _mm512_set1_epi32(both);
#pragma clang loop unroll(full)
        for (int b = 0; b < Blocks; ++b) sums[r][b] = lanes::add_pairs(sums[r][b], weights[b], inputs);
    }
}

// Adds all groups' products to the totals. `x` contains rows, `inputs` apart, and `x_sums` the sums of their groups;
// `blocks[b]` are the weights of block b and `scales[b]` its groups' factors.
template <int Rows, int Blocks>
INLINE void accumulate(__m512 (&totals)[Rows][Blocks], const int16_t *x, const float *x_sums, int64_t inputs,
                       const int16_t *const (&blocks)[Blocks], const c10::BFloat16 *const (&scales)[Blocks], int64_t ahead) {
    const int64_t groups = inputs / FourBits::group;
    for (int64_t group = 0; group < groups; ++group) {
        __m512i sums[Rows][Blocks];
#pragma clang loop unroll(full)
        for (int r = 0; r < Rows; ++r)
#pragma clang loop unroll(full)
            for (int b = 0; b < Blocks; ++b) sums[r][b] = _mm512_setzero_si512();
        for (int64_t i = 0; i < Nibbles::registers; ++i) {
            __m512i words[Blocks];
#pragma clang loop unroll(full)
            for (int b = 0; b < Blocks; ++b) {
                const auto *from = blocks[b] + (group * Nibbles::registers + i) * lane;
                if (ahead) _mm_prefetch(reinterpret_cast<const char *>(from) + ahead, _MM_HINT_T0);
                words[b] = _mm512_loadu_si512(from);
            }
            const auto *values = x + group * FourBits::group + i * Nibbles::inputs_at_once;
            add_pairs<0>(sums, values, inputs, words);
            add_pairs<4>(sums, values + 2, inputs, words);
            add_pairs<8>(sums, values + 4, inputs, words);
            add_pairs<12>(sums, values + 6, inputs, words);
        }
#pragma clang loop unroll(full)
        for (int b = 0; b < Blocks; ++b) {
            const auto *factors = scales[b] + group * Nibbles::factors;
            if (ahead) _mm_prefetch(reinterpret_cast<const char *>(factors) + ahead, _MM_HINT_T0);
            const __m512 scale = floats(0xffff, factors), low = floats(0xffff, factors + places);
#pragma clang loop unroll(full)
            for (int r = 0; r < Rows; ++r) {
                const __m512 below = _mm512_set1_ps(x_sums[r * groups + group]);
                totals[r][b] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[r][b]), scale, totals[r][b]);
                totals[r][b] = _mm512_fmadd_ps(low, below, totals[r][b]);
            }
        }
    }
}

}

#endif
