#pragma once

#include "Lanes.h"
#include "Threads.h"

#if defined(__x86_64__)
#include <bit>
#include <cstring>
#include <memory>
#include <vector>

// Rows of bfloat16 numbers as 16-bit integers, with a factor for each row.
//
// The integers are small enough that no sum of products exceeds 32 bits. With byte weights that depends on the number
// of inputs: with 1,536 the rounding is at most 2^-14 of a row's largest value, with 4,864 it is 2^-12. The rounding
// of a weight to a byte is 2^-8 of its row's largest.
struct ScaledRows {
    std::unique_ptr<int16_t[]> values;
    std::vector<float> scales;

    // `most`: the largest sum of the weights' magnitudes in one sum of products.
    ScaledRows(const c10::BFloat16 *from, int64_t rows, int64_t inputs, int64_t most)
        : values(std::make_unique_for_overwrite<int16_t[]>(rows * inputs)), scales(rows) {
        const float largest = std::min<int64_t>(32767, (int64_t{1} << 31) / most - 1);
        Threads::run(rows * inputs / 65536, [&](int64_t number, int64_t count) {
            for (int64_t row = rows * number / count; row < rows * (number + 1) / count; ++row)
                scales[row] = scaled(from + row * inputs, values.get() + row * inputs, inputs, largest);
        });
    }

private:
    AVX512 static float scaled(const c10::BFloat16 *from, int16_t *into, int64_t inputs, float largest) {
        // Compared as integers, among which a NaN is the largest and so makes all products of the row NaN.
        __m512i most = _mm512_setzero_si512();
        for (int64_t k = 0; k < inputs; k += 16)
            most = _mm512_max_epi32(most, _mm512_castps_si512(_mm512_abs_ps(lanes::floats(0xffff, from + k))));
        const float top = std::bit_cast<float>(_mm512_reduce_max_epi32(most));
        const __m512 factor = _mm512_set1_ps(top > 0 ? largest / top : 0);
        for (int64_t k = 0; k < inputs; k += 16) {
            const __m512i rounded = _mm512_cvtps_epi32(_mm512_mul_ps(lanes::floats(0xffff, from + k), factor));
            _mm256_storeu_si256(reinterpret_cast<__m256i *>(into + k), _mm512_cvtsepi32_epi16(rounded));
        }
        return top / largest;
    }
};

// The same integers as their high bytes, signed, and low bytes, unsigned, for AMX's registers: 256 · high + low.
// `[rows / 16, 2, 16, inputs]`, with zeros where there are no rows.
struct ByteRows {
    std::unique_ptr<uint8_t[]> values;

    ByteRows(const ScaledRows &from, int64_t rows, int64_t inputs) {
        const int64_t squares = (rows + side - 1) / side;
        values = std::make_unique_for_overwrite<uint8_t[]>(squares * 2 * side * inputs);
        Threads::run(rows * inputs / 65536, [&](int64_t number, int64_t count) {
            for (int64_t row = squares * side * number / count; row < squares * side * (number + 1) / count; ++row) {
                uint8_t *high = values.get() + (row / side * 2 * side + row % side) * inputs;
                if (row < rows) {
                    divide(from.values.get() + row * inputs, high, high + side * inputs, inputs);
                } else {
                    std::memset(high, 0, inputs);
                    std::memset(high + side * inputs, 0, inputs);
                }
            }
        });
    }

private:
    static constexpr int64_t side = 16;

    AVX512 static void divide(const int16_t *from, uint8_t *high, uint8_t *low, int64_t inputs) {
        for (int64_t k = 0; k < inputs; k += 32) {
            const __m512i both = _mm512_loadu_si512(from + k);
            _mm256_storeu_si256(reinterpret_cast<__m256i *>(high + k), _mm512_cvtepi16_epi8(_mm512_srai_epi16(both, 8)));
            _mm256_storeu_si256(reinterpret_cast<__m256i *>(low + k), _mm512_cvtepi16_epi8(both));
        }
    }
};

#endif
