#pragma once

#include "MatrixRegisters.h"

#if defined(__x86_64__)
#include <c10/util/BFloat16.h>

// A product of bfloat16 rows with weights in blocks (`Tiles.h`) in AMX's registers: a register holds 16 pairs of inputs
// of a block's 16 columns, as they lie in memory. Every sum runs over the inputs in their order, whatever the rows and
// blocks beside it.
namespace matrix {

using c10::BFloat16;

// The inputs in a register's row.
constexpr int64_t depth = 32;

// How many bytes ahead of a register weights are fetched: those of few rows come from memory.
constexpr int64_t ahead = 4096;

// Sums `[tall · broad][16][16]` of up to two times 16 rows, `line` inputs apart, with up to four blocks, `step` numbers
// apart: `tall · broad` is at most four.
template <int tall, int broad, bool fetches>
AMX void squares(const BFloat16 *x, int64_t line, const BFloat16 *weights, int64_t step, int64_t inputs, float *sums) {
    static_assert(tall <= 2 && tall * broad <= 4);
    const size_t row = sizeof(BFloat16) * line, word = 64;
    // Sums in registers 0 to 3, two or four to a row of blocks; inputs in 4 and 5, weights in 6 and 7.
    _tile_zero(0);
    if constexpr (broad > 1 || tall > 1) _tile_zero(1);
    if constexpr (tall * broad > 2) _tile_zero(2);
    if constexpr (tall * broad > 3) _tile_zero(3);
    for (int64_t i = 0; i < inputs; i += depth) {
        const BFloat16 *from = weights + i * side;
        if constexpr (fetches)
            for (int b = 0; b < broad; ++b)
                for (int64_t k = 0; k < side; ++k)
                    _mm_prefetch(reinterpret_cast<const char *>(from + b * step) + ahead + k * 64, _MM_HINT_T0);
        _tile_loadd(4, x + i, row);
        if constexpr (tall > 1) _tile_loadd(5, x + side * line + i, row);
        _tile_loadd(6, from, word);
        _tile_dpbf16ps(0, 4, 6);
        if constexpr (tall > 1) _tile_dpbf16ps(broad > 1 ? 2 : 1, 5, 6);
        if constexpr (broad > 1) {
            _tile_loadd(7, from + step, word);
            _tile_dpbf16ps(1, 4, 7);
            if constexpr (tall > 1) _tile_dpbf16ps(3, 5, 7);
        }
        if constexpr (broad > 2) {
            _tile_loadd(6, from + 2 * step, word);
            _tile_dpbf16ps(2, 4, 6);
        }
        if constexpr (broad > 3) {
            _tile_loadd(7, from + 3 * step, word);
            _tile_dpbf16ps(3, 4, 7);
        }
    }
    _tile_stored(0, sums, word);
    if constexpr (tall * broad > 1) _tile_stored(1, sums + side * side, word);
    if constexpr (tall * broad > 2) _tile_stored(2, sums + 2 * side * side, word);
    if constexpr (tall * broad > 3) _tile_stored(3, sums + 3 * side * side, word);
}

}

#endif
