#pragma once

#include "Tiles.h"

#if defined(__x86_64__)
#include <cstdint>

// Products of the tiles of attention over a tree: pairs of bfloat16, sums in float32.
namespace pair_tiles {

using namespace lanes;

// c `[rows, 16 · V]` = or += a · b in float32. Numbers come in pairs along the axis that is summed over: pair `p` of
// a's row `i` is at `a[i · row + p · pair]`, that of b's column `j` at `b[p · width + j]`.
struct Left {
    const uint32_t *pairs;
    int64_t row, pair;
};

// A square of 16 rows of 16 words: those that there are, and zeros.
INLINE void copy_square(const uint32_t *from, int64_t line, int64_t rows, int64_t words, uint32_t *to, int64_t step) {
    const auto some = static_cast<__mmask16>((1u << std::min<int64_t>(words, 16)) - 1);
    for (int64_t i = 0; i < 16; ++i)
        _mm512_storeu_si512(to + i * step, i < rows ? _mm512_maskz_loadu_epi32(some, from + i * line) : _mm512_setzero_si512());
}

// The first or the second numbers of bfloat16 pairs, in float32.
template <bool second>
INLINE __m512 halves(__m512i pairs) {
    return _mm512_castsi512_ps(second ? _mm512_and_si512(pairs, _mm512_set1_epi32(static_cast<int>(0xffff0000))) : _mm512_slli_epi32(pairs, 16));
}

template <bool second, int R, int V>
INLINE void add_halves(__m512 (&sums)[R][V], Left a, int64_t p, const uint32_t *b) {
    __m512 columns[V];
#pragma clang loop unroll(full)
    for (int j = 0; j < V; ++j) columns[j] = halves<second>(_mm512_loadu_si512(b + 16 * j));
#pragma clang loop unroll(full)
    for (int i = 0; i < R; ++i) {
        const __m512 row = halves<second>(_mm512_set1_epi32(static_cast<int>(a.pairs[i * a.row + p * a.pair])));
#pragma clang loop unroll(full)
        for (int j = 0; j < V; ++j) sums[i][j] = _mm512_fmadd_ps(row, columns[j], sums[i][j]);
    }
}

// `wide` multiplies in float32, if that is faster (`tiles::prefers_wide`).
template <int R, int V, bool wide>
INLINE void tile(Left a, const uint32_t *b, int64_t width, int64_t pairs, float *c, int64_t line, bool adds) {
    __m512 sums[R][V];
#pragma clang loop unroll(full)
    for (int i = 0; i < R; ++i)
#pragma clang loop unroll(full)
        for (int j = 0; j < V; ++j) sums[i][j] = adds ? _mm512_loadu_ps(c + i * line + 16 * j) : _mm512_setzero_ps();
    for (int64_t p = 0; p < pairs; ++p) {
        if constexpr (wide) {
            add_halves<false>(sums, a, p, b + p * width);
            add_halves<true>(sums, a, p, b + p * width);
        } else {
            __m512bh columns[V];
#pragma clang loop unroll(full)
            for (int j = 0; j < V; ++j) columns[j] = (__m512bh)_mm512_loadu_si512(b + p * width + 16 * j);
#pragma clang loop unroll(full)
            for (int i = 0; i < R; ++i) {
                const __m512bh both = (__m512bh)_mm512_set1_epi32(static_cast<int>(a.pairs[i * a.row + p * a.pair]));
#pragma clang loop unroll(full)
                for (int j = 0; j < V; ++j) sums[i][j] = _mm512_dpbf16_ps(sums[i][j], both, columns[j]);
            }
        }
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < R; ++i)
#pragma clang loop unroll(full)
        for (int j = 0; j < V; ++j) _mm512_storeu_ps(c + i * line + 16 * j, sums[i][j]);
}

template <int V, bool wide>
AVX512 void lines(int64_t rows, Left a, const uint32_t *b, int64_t width, int64_t pairs, float *c, int64_t line, bool adds) {
    for (; rows >= 6; rows -= 6, a.pairs += 6 * a.row, c += 6 * line) tile<6, V, wide>(a, b, width, pairs, c, line, adds);
    switch (rows) {
        case 5: return tile<5, V, wide>(a, b, width, pairs, c, line, adds);
        case 4: return tile<4, V, wide>(a, b, width, pairs, c, line, adds);
        case 3: return tile<3, V, wide>(a, b, width, pairs, c, line, adds);
        case 2: return tile<2, V, wide>(a, b, width, pairs, c, line, adds);
        case 1: return tile<1, V, wide>(a, b, width, pairs, c, line, adds);
        default: return;
    }
}

template <bool wide>
AVX512 void panels(int64_t rows, int64_t vectors, Left a, const uint32_t *b, int64_t width, int64_t pairs, float *c, int64_t line, bool adds) {
    for (; vectors >= 4; vectors -= 4, b += 64, c += 64) lines<4, wide>(rows, a, b, width, pairs, c, line, adds);
    if (vectors == 3) lines<3, wide>(rows, a, b, width, pairs, c, line, adds);
    if (vectors == 2) lines<2, wide>(rows, a, b, width, pairs, c, line, adds);
    if (vectors == 1) lines<1, wide>(rows, a, b, width, pairs, c, line, adds);
}

// The same for any number of registers of columns.
AVX512 inline void product(int64_t rows, int64_t vectors, Left a, const uint32_t *b, int64_t width, int64_t pairs, float *c, int64_t line,
                           bool adds) {
    (tiles::prefers_wide() ? panels<true> : panels<false>)(rows, vectors, a, b, width, pairs, c, line, adds);
}

}

#endif
