#pragma once

#include "Lanes.h"

#if defined(__x86_64__)
#include <algorithm>
#include <cstdint>

// Products of small tiles in registers: a few rows of x with a few blocks of 16 columns.
//
// A block contains 16 columns of weights, with two inputs of each side by side: `[inputs / 2][16][2]`. One register
// of it is used for all rows of the tile, and a row's two inputs are broadcast to all places, so no sum is ever taken
// across a register. Every sum runs over the inputs in their order, as one chain for each row and column, whatever
// the shape of the tile. A row's result therefore does not depend on the rows that it shares a tile or a batch with.
namespace tiles {

using namespace lanes;

// The inputs in a pair.
constexpr int64_t pair = 2;

// bfloat16 weights and inputs, multiplied in pairs with AVX512-BF16; for CPUs that start such an instruction every
// half cycle.
struct Halves {
    using Weight = c10::BFloat16;
    using Input = c10::BFloat16;
    using Sum = __m512;
    struct Values { __m512bh pairs; };
    INLINE static Values load(const Weight *from) { return {(__m512bh)_mm512_loadu_si512(from)}; }
    INLINE static Sum zero() { return _mm512_setzero_ps(); }
    INLINE static Sum add(Sum sum, const Values &weights, const Input *x) {
        int32_t both;
        __builtin_memcpy(&both, x, sizeof both);
        return _mm512_dpbf16_ps(sum, weights.pairs, (__m512bh)_mm512_set1_epi32(both));
    }
    INLINE static __m512 floats(Sum sum) { return sum; }
};

// bfloat16 weights, with inputs and products in float32: twice as fast on CPUs where the instruction above takes two
// cycles (Intel).
struct Wide {
    using Weight = c10::BFloat16;
    using Input = float;
    using Sum = __m512;
    struct Values { __m512 first, second; };
    INLINE static Values load(const Weight *from) {
        const __m512i pairs = _mm512_loadu_si512(from);
        return {_mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16)),
                _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(static_cast<int>(0xffff0000))))};
    }
    INLINE static Sum zero() { return _mm512_setzero_ps(); }
    INLINE static Sum add(Sum sum, const Values &weights, const Input *x) {
        return _mm512_fmadd_ps(weights.second, _mm512_set1_ps(x[1]), _mm512_fmadd_ps(weights.first, _mm512_set1_ps(x[0]), sum));
    }
    INLINE static __m512 floats(Sum sum) { return sum; }
};

// Signed bytes times 16-bit integers, exact in 32-bit integers: the inputs are scaled so that no sum overflows.
struct Bytes {
    using Weight = int8_t;
    using Input = int16_t;
    using Sum = __m512i;
    struct Values { __m512i pairs; };
    INLINE static Values load(const Weight *from) {
        return {_mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(from)))};
    }
    INLINE static Sum zero() { return _mm512_setzero_si512(); }
    INLINE static Sum add(Sum sum, const Values &weights, const Input *x) {
        int32_t both;
        __builtin_memcpy(&both, x, sizeof both);
        return add_pairs(sum, weights.pairs, _mm512_set1_epi32(both));
    }
    INLINE static __m512 floats(Sum sum) { return _mm512_cvtepi32_ps(sum); }
};

// Whether float32 products are the faster ones on this CPU.
inline bool prefers_wide() {
    static const bool wide = __builtin_cpu_is("intel");
    return wide;
}

// The most rows in a tile: with four blocks, the sums fill three quarters of the registers.
constexpr int most_rows = 6;

// Adds some pairs of inputs to the sums. `x` contains rows, `stride` inputs apart; `blocks[b]` points to the weights
// of block b, whose pairs of columns are `step` numbers apart.
template <typename Kind, int Rows, int Blocks>
INLINE void accumulate(typename Kind::Sum (&sums)[Rows][Blocks], const typename Kind::Input *x, int64_t stride,
                       const typename Kind::Weight *const (&blocks)[Blocks], int64_t step, int64_t pairs, int64_t ahead = 0) {
    for (int64_t k = 0; k < pairs; ++k) {
        typename Kind::Values weights[Blocks];
#pragma clang loop unroll(full)
        for (int b = 0; b < Blocks; ++b) {
            if (ahead) _mm_prefetch(reinterpret_cast<const char *>(blocks[b] + k * step) + ahead, _MM_HINT_T0);
            weights[b] = Kind::load(blocks[b] + k * step);
        }
#pragma clang loop unroll(full)
        for (int r = 0; r < Rows; ++r)
#pragma clang loop unroll(full)
            for (int b = 0; b < Blocks; ++b) sums[r][b] = Kind::add(sums[r][b], weights[b], x + r * stride + k * pair);
    }
}

template <typename Kind, int Rows, int Blocks>
INLINE void clear(typename Kind::Sum (&sums)[Rows][Blocks]) {
#pragma clang loop unroll(full)
    for (int r = 0; r < Rows; ++r)
#pragma clang loop unroll(full)
        for (int b = 0; b < Blocks; ++b) sums[r][b] = Kind::zero();
}

// Calls `body.template operator()<Rows>(row)` for tiles of at most `most_rows` rows, whose sizes differ by at most
// one.
template <typename Body>
INLINE void for_rows(int64_t rows, const Body &body) {
    int64_t tiles = (rows + most_rows - 1) / most_rows;
    for (int64_t row = 0; row < rows; --tiles) {
        const int64_t count = (rows - row + tiles - 1) / tiles;
        switch (count) {
            case 1: body.template operator()<1>(row); break;
            case 2: body.template operator()<2>(row); break;
            case 3: body.template operator()<3>(row); break;
            case 4: body.template operator()<4>(row); break;
            case 5: body.template operator()<5>(row); break;
            default: body.template operator()<6>(row); break;
        }
        row += count;
    }
}

}

#endif
