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

// How many bytes ahead of a register weights are fetched from memory.
constexpr int64_t ahead = 4096;

// Sums `[tall · broad][16][16]` of up to two times 16 rows, `line` inputs apart, with up to four blocks, `step` numbers
// apart.
template <int tall, int broad, bool fetches>
AMX void squares(const BFloat16 *x, int64_t line, const BFloat16 *weights, int64_t step, int64_t inputs, float *sums) {
    using Sums = Sums<tall, broad>;
    Sums::clear();
    for (int64_t i = 0; i < inputs; i += depth) {
        const BFloat16 *from = weights + i * side;
        if constexpr (fetches)
            for (int b = 0; b < broad; ++b)
                for (int64_t k = 0; k < side; ++k)
                    _mm_prefetch(reinterpret_cast<const char *>(from + b * step) + ahead + k * 64, _MM_HINT_T0);
        Sums::add(x + i, sizeof(BFloat16) * line, [&](int b) { return from + b * step; }, 64);
    }
    Sums::store(sums, side * side, broad * side * side, 64);
}

}

#endif
