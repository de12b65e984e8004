#pragma once

#include "MatrixRegisters.h"
#include "PairTiles.h"

#if defined(__x86_64__)
#include <algorithm>
#include <cstdint>
#include <cstring>

// The products of pair_tiles in AMX's registers, where there are any, which take a fifth of the time.
namespace matrix_tiles {

using matrix::side, matrix::filled;

class Products {
public:
    // Whether registers are used is decided by the thread that shares out the work (`matrix::are_used`).
    explicit Products(bool uses_registers) : registers(uses_registers) {}

    // As `pair_tiles::product`, but b has rows of zeros behind the last, up to a multiple of 16. `rows` is at most 256,
    // and so is 16 · `vectors`; `pairs` times `rows`, filled up to multiples of 16, is at most 8,192.
    void product(int64_t rows, int64_t vectors, pair_tiles::Left a, const uint32_t *b, int64_t width, int64_t pairs, float *c, int64_t line,
                 bool adds) {
        if (registers.is_open && rows * pairs >= few) return whole(rows, vectors, a, b, width, pairs, c, line, adds);
        pair_tiles::product(rows, vectors, a, b, width, pairs, c, line, adds);
    }

private:
    // Fewer numbers than this are not worth filling registers with.
    static constexpr int64_t few = 256;
    static constexpr int64_t widest = 256, most_words = 8192;
    const matrix::Registers registers;
    // What does not fill a register is copied here, with zeros behind it.
    alignas(64) uint32_t left[most_words];
    alignas(64) float edge[side * widest]{};

    AMX void whole(int64_t rows, int64_t vectors, pair_tiles::Left a, const uint32_t *b, int64_t width, int64_t pairs, float *c, int64_t line,
                   bool adds) {
        if (a.pair != 1 || rows % side || pairs % side) a = packed(rows, a, pairs);
        const int64_t depth = filled(pairs), full = rows / side * side;
        blocks(full, vectors, a, b, width, depth, c, line, adds);
        if (full == rows) return;
        float *rest = c + full * line;
        const size_t bytes = sizeof(float) * side * vectors;
        if (adds)
            for (int64_t i = 0; i < rows - full; ++i) std::memcpy(edge + i * widest, rest + i * line, bytes);
        blocks(side, vectors, {a.pairs + full * a.row, a.row, 1}, b, width, depth, edge, widest, adds);
        for (int64_t i = 0; i < rows - full; ++i) std::memcpy(rest + i * line, edge + i * widest, bytes);
    }

    // The left side row by row, with zeros up to multiples of 16 rows and pairs.
    AMX pair_tiles::Left packed(int64_t rows, pair_tiles::Left a, int64_t pairs) {
        const int64_t depth = filled(pairs);
        for (int64_t i = 0; i < rows; i += side)
            for (int64_t p = 0; p < pairs; p += side) {
                const pair_tiles::Left from{a.pairs + i * a.row + p * a.pair, a.row, a.pair};
                pack(std::min(side, rows - i), from, std::min(side, pairs - p), left + i * depth + p, depth);
            }
        return {left, depth, 1};
    }

    // The part of it that fills a register. Either its pairs or its rows are side by side.
    AMX static void pack(int64_t rows, pair_tiles::Left a, int64_t pairs, uint32_t *to, int64_t depth) {
        if (a.pair == 1) return pair_tiles::copy_square(a.pairs, a.row, rows, pairs, to, depth);
        alignas(64) uint32_t square[side * side];
        pair_tiles::copy_square(a.pairs, a.pair, pairs, rows, square, side);
        lanes::transpose(square, side, to, depth);
    }

    // Rows and depth fill registers.
    AMX static void blocks(int64_t rows, int64_t vectors, pair_tiles::Left a, const uint32_t *b, int64_t width, int64_t depth, float *c,
                           int64_t line, bool adds) {
        for (int64_t i = 0; i < rows; i += 2 * side)
            for (int64_t j = 0; j < vectors; j += 2) {
                const pair_tiles::Left above{a.pairs + i * a.row, a.row, 1};
                const uint32_t *from = b + j * side;
                float *to = c + i * line + j * side;
                const bool tall = i + side < rows, broad = j + 1 < vectors;
                if (tall && broad) block<true, true>(above, from, width, depth, to, line, adds);
                else if (tall) block<true, false>(above, from, width, depth, to, line, adds);
                else if (broad) block<false, true>(above, from, width, depth, to, line, adds);
                else block<false, false>(above, from, width, depth, to, line, adds);
            }
    }

    // Sums in registers 0 to 3, two to a row of blocks; a's in 4 and 5, b's in 6 and 7.
    template <bool tall, bool broad>
    AMX static void block(pair_tiles::Left a, const uint32_t *b, int64_t width, int64_t depth, float *c, int64_t line, bool adds) {
        const size_t a_bytes = sizeof(uint32_t) * a.row, b_bytes = sizeof(uint32_t) * width, c_bytes = sizeof(float) * line;
        float *below = c + side * line;
        if (adds) {
            _tile_loadd(0, c, c_bytes);
            if constexpr (broad) _tile_loadd(1, c + side, c_bytes);
            if constexpr (tall) _tile_loadd(2, below, c_bytes);
            if constexpr (tall && broad) _tile_loadd(3, below + side, c_bytes);
        } else {
            _tile_zero(0);
            if constexpr (broad) _tile_zero(1);
            if constexpr (tall) _tile_zero(2);
            if constexpr (tall && broad) _tile_zero(3);
        }
        for (int64_t p = 0; p < depth; p += side) {
            const uint32_t *from = b + p * width;
            _tile_loadd(4, a.pairs + p, a_bytes);
            _tile_loadd(6, from, b_bytes);
            _tile_dpbf16ps(0, 4, 6);
            if constexpr (broad) {
                _tile_loadd(7, from + side, b_bytes);
                _tile_dpbf16ps(1, 4, 7);
            }
            if constexpr (tall) {
                _tile_loadd(5, a.pairs + side * a.row + p, a_bytes);
                _tile_dpbf16ps(2, 5, 6);
                if constexpr (broad) _tile_dpbf16ps(3, 5, 7);
            }
        }
        _tile_stored(0, c, c_bytes);
        if constexpr (broad) _tile_stored(1, c + side, c_bytes);
        if constexpr (tall) _tile_stored(2, below, c_bytes);
        if constexpr (tall && broad) _tile_stored(3, below + side, c_bytes);
    }
};

}

#endif
