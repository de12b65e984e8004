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
                if (tall && broad) block<2, 2>(above, from, width, depth, to, line, adds);
                else if (tall) block<2, 1>(above, from, width, depth, to, line, adds);
                else if (broad) block<1, 2>(above, from, width, depth, to, line, adds);
                else block<1, 1>(above, from, width, depth, to, line, adds);
            }
    }

    template <int tall, int broad>
    AMX static void block(pair_tiles::Left a, const uint32_t *b, int64_t width, int64_t depth, float *c, int64_t line, bool adds) {
        using Sums = matrix::Sums<tall, broad>;
        const size_t step = sizeof(float) * line;
        if (adds) Sums::load(c, side, side * line, step);
        else Sums::clear();
        for (int64_t p = 0; p < depth; p += side) {
            const uint32_t *from = b + p * width;
            Sums::add(a.pairs + p, sizeof(uint32_t) * a.row, [&](int j) { return from + j * side; }, sizeof(uint32_t) * width);
        }
        Sums::store(c, side, side * line, step);
    }
};

}

#endif
