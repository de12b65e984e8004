#pragma once

#include "MatrixRegisters.h"

#if defined(__x86_64__)

// Products of rows with weights in blocks (`Tiles.h`) in AMX's registers: a register holds 64 bytes of a block's 16
// columns, as they lie in memory. Every sum runs over the inputs in their order, whatever the rows and blocks beside it.
namespace matrix {

// The bytes in a register's row.
constexpr int64_t depth = 64;

// How many bytes ahead of a register weights are fetched from memory.
constexpr int64_t ahead = 4096;

// Sums `[tall · broad][16][16]` of up to two times 16 rows, `line` bytes apart, with up to four blocks, `step` bytes
// apart. A row of inputs takes `length` bytes.
template <typename Kind, int tall, int broad, bool fetches>
AMX void squares(const void *x, int64_t line, const void *weights, int64_t step, int64_t length, typename Kind::Sum *sums) {
    using Sums = Sums<tall, broad, Kind>;
    Sums::clear();
    for (int64_t i = 0; i < length; i += depth) {
        const char *from = static_cast<const char *>(weights) + i * side;
        if constexpr (fetches)
            for (int b = 0; b < broad; ++b)
                for (int64_t k = 0; k < side; ++k) _mm_prefetch(from + b * step + ahead + k * depth, _MM_HINT_T0);
        Sums::add(static_cast<const char *>(x) + i, line, [&](int b) { return from + b * step; }, depth);
    }
    Sums::store(sums, side * side, broad * side * side, depth);
}

}

#endif
