#include "BlockFloat.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#if defined(__x86_64__)

namespace {

using namespace block_float;

constexpr float largest = 5792;

INLINE __m512 floats(__mmask16 some, const float *from) { return _mm512_maskz_loadu_ps(some, from); }
INLINE __m512 floats(__mmask16 some, const c10::BFloat16 *from) { return lanes::floats(some, from); }

INLINE void store(float *to, __mmask16 some, __m512 values) { _mm512_mask_storeu_ps(to, some, values); }
INLINE void store(c10::BFloat16 *to, __mmask16 some, __m512 values) {
    _mm256_mask_storeu_epi16(to, some, (__m256i)_mm512_cvtneps_pbh(values));
}

INLINE __mmask16 first_of(int64_t count) { return static_cast<__mmask16>((1u << std::clamp<int64_t>(count, 0, 16)) - 1); }

// The bits of absolute values increase with them, and those of NaNs are the largest.
INLINE __m512i magnitudes(__m512 values) { return _mm512_and_si512(_mm512_castps_si512(values), _mm512_set1_epi32(0x7fffffff)); }

// The scale of a block whose largest magnitude has these bits, and the factor for its numbers. If the block has a NaN
// or an infinity, neither is finite.
struct Scale {
    __m512 scale, inverse;
};
INLINE Scale scale_of(__m512i most) {
    const __m512 value = _mm512_castsi512_ps(most);
    const __mmask16 finite = _mm512_cmplt_epu32_mask(most, _mm512_set1_epi32(0x7f800000));
    // Below 2^-100 the inverse would not be finite, so the scale is zero.
    const __mmask16 some = _mm512_mask_cmp_ps_mask(finite, value, _mm512_set1_ps(0x1p-100f), _CMP_GE_OQ);
    Scale both;
    both.scale = _mm512_mask_mov_ps(_mm512_set1_ps(NAN), finite, _mm512_maskz_mul_ps(some, value, _mm512_set1_ps(1 / largest)));
    both.inverse = _mm512_maskz_div_ps(some, _mm512_set1_ps(largest), value);
    return both;
}

INLINE __m512i whole(__m512 values, __m512 inverse) { return _mm512_cvtps_epi32(_mm512_mul_ps(values, inverse)); }

// A block of one row, of which only `count` numbers exist.
template <typename T>
INLINE void pack_block(const T *x, int64_t count, int16_t *numbers, float *scale) {
    __m512 values[4];
    __m512i most = _mm512_setzero_si512();
    for (int i = 0; i < 4; ++i) {
        values[i] = floats(first_of(count - 16 * i), x + 16 * i);
        most = _mm512_max_epu32(most, magnitudes(values[i]));
    }
    const Scale both = scale_of(_mm512_set1_epi32(static_cast<int>(_mm512_reduce_max_epu32(most))));
    *scale = _mm512_cvtss_f32(both.scale);
    for (int i = 0; i < 4; ++i)
        _mm256_storeu_si256(reinterpret_cast<__m256i *>(numbers + 16 * i), _mm512_cvtepi32_epi16(whole(values[i], both.inverse)));
}

// A block of a panel of `x [inputs, columns]`, of which only `count` inputs and `columns` columns exist.
template <typename T>
AVX512 void pack_column_block(const T *x, int64_t stride, int64_t count, int64_t columns, int16_t *numbers, float *scales) {
    for (int64_t place = 0; place < panel; place += 16) {
        const __mmask16 some = first_of(columns - place);
        __m512i most = _mm512_setzero_si512();
        for (int64_t i = 0; i < count; ++i) most = _mm512_max_epu32(most, magnitudes(floats(some, x + i * stride + place)));
        const Scale both = scale_of(most);
        _mm512_storeu_ps(scales + place, both.scale);
        auto *to = reinterpret_cast<int32_t *>(numbers) + place;
        for (int64_t pair = 0; pair < block / 2; ++pair) {
            __m512i low = _mm512_setzero_si512(), high = low;
            if (2 * pair < count) low = whole(floats(some, x + 2 * pair * stride + place), both.inverse);
            if (2 * pair + 1 < count) high = whole(floats(some, x + (2 * pair + 1) * stride + place), both.inverse);
            _mm512_storeu_si512(to + pair * panel, _mm512_mask_blend_epi16(0xaaaaaaaa, low, _mm512_slli_epi32(high, 16)));
        }
    }
}

// Some rows of one block times one panel, added to sums whose rows are as wide as a panel.
template <int R>
INLINE void tile(const int16_t *a, int64_t stride, const float *a_scales, int64_t scale_stride, const int16_t *b, const float *b_scales,
                 float *sums) {
    __m512i whole[R][4];
#pragma clang loop unroll(full)
    for (int r = 0; r < R; ++r)
#pragma clang loop unroll(full)
        for (int v = 0; v < 4; ++v) whole[r][v] = _mm512_setzero_si512();
    for (int64_t pair = 0; pair < block / 2; ++pair) {
        __m512i columns[4];
#pragma clang loop unroll(full)
        for (int v = 0; v < 4; ++v) columns[v] = _mm512_loadu_si512(b + (pair * panel + 16 * v) * 2);
#pragma clang loop unroll(full)
        for (int r = 0; r < R; ++r) {
            int32_t both;
            __builtin_memcpy(&both, a + r * stride + 2 * pair, sizeof both);
            const __m512i row = _mm512_set1_epi32(both);
#pragma clang loop unroll(full)
            for (int v = 0; v < 4; ++v) whole[r][v] = lanes::add_pairs(whole[r][v], columns[v], row);
        }
    }
#pragma clang loop unroll(full)
    for (int v = 0; v < 4; ++v) {
        const __m512 scale = _mm512_loadu_ps(b_scales + 16 * v);
#pragma clang loop unroll(full)
        for (int r = 0; r < R; ++r) {
            float *sum = sums + r * panel + 16 * v;
            const __m512 part = _mm512_mul_ps(_mm512_cvtepi32_ps(whole[r][v]), scale);
            _mm512_storeu_ps(sum, _mm512_fmadd_ps(part, _mm512_set1_ps(a_scales[r * scale_stride]), _mm512_loadu_ps(sum)));
        }
    }
}

// The same for `rows` rows.
AVX512 void tiles(int64_t rows, const int16_t *a, int64_t stride, const float *a_scales, int64_t scale_stride, const int16_t *b,
                  const float *b_scales, float *sums) {
    for (; rows >= 6; rows -= 6, a += 6 * stride, a_scales += 6 * scale_stride, sums += 6 * panel)
        tile<6>(a, stride, a_scales, scale_stride, b, b_scales, sums);
    switch (rows) {
        case 5: return tile<5>(a, stride, a_scales, scale_stride, b, b_scales, sums);
        case 4: return tile<4>(a, stride, a_scales, scale_stride, b, b_scales, sums);
        case 3: return tile<3>(a, stride, a_scales, scale_stride, b, b_scales, sums);
        case 2: return tile<2>(a, stride, a_scales, scale_stride, b, b_scales, sums);
        case 1: return tile<1>(a, stride, a_scales, scale_stride, b, b_scales, sums);
        default: return;
    }
}

// At most `together` rows from `row` on, of one panel.
template <typename T>
AVX512 void product_of(const std::vector<Term> &terms, const T *bias, T *y, int64_t stride, int64_t row, int64_t rows, int64_t number,
                       bool adds) {
    alignas(64) float sums[together * panel];
    const int64_t first = number * panel, width = std::min(panel, terms.front().right.columns - first);
    for (int64_t v = 0; v < panel; v += 16) {
        const __m512 start = bias ? floats(first_of(width - v), bias + first + v) : _mm512_setzero_ps();
        for (int64_t r = 0; r < rows; ++r)
            _mm512_store_ps(sums + r * panel + v, adds ? floats(first_of(width - v), y + (row + r) * stride + first + v) : start);
    }
    for (const auto &[left, right] : terms) {
        const int64_t count = blocks(left.inputs), length = count * block;
        for (int64_t k = 0; k < count; ++k)
            tiles(rows, left.numbers + row * length + k * block, length, left.scales + row * count + k, count,
                  right.numbers + (number * count + k) * block * panel, right.scales + (number * count + k) * panel, sums);
    }
    for (int64_t r = 0; r < rows; ++r)
        for (int64_t v = 0; v < width; v += 16)
            store(y + (row + r) * stride + first + v, first_of(width - v), _mm512_load_ps(sums + r * panel + v));
}

}

template <typename T>
AVX512 void block_float::pack_left(const T *x, int64_t stride, int64_t rows, int64_t inputs, int16_t *numbers, float *scales) {
    for (int64_t row = 0; row < rows; ++row)
        for (int64_t k = 0; k < inputs; k += block, numbers += block, ++scales)
            pack_block(x + row * stride + k, inputs - k, numbers, scales);
}

template <typename T>
AVX512 void block_float::pack_rows(const T *x, int64_t stride, int64_t inputs, int64_t columns, int64_t first, int64_t last,
                                   int16_t *numbers, float *scales) {
    alignas(64) int16_t rows[16 * block];
    const int64_t count = blocks(inputs);
    for (int64_t number = first; number < last; ++number)
        for (int64_t k = 0; k < count; ++k) {
            int16_t *to = numbers + (number * count + k) * block * panel;
            float *scale = scales + (number * count + k) * panel;
            for (int64_t place = 0; place < panel; place += 16) {
                for (int64_t j = 0; j < 16; ++j) {
                    const int64_t column = number * panel + place + j;
                    pack_block(x + column * stride + k * block, column < columns ? inputs - k * block : 0, rows + j * block, scale + place + j);
                }
                for (int64_t half = 0; half < 2; ++half)
                    lanes::transpose(reinterpret_cast<uint32_t *>(rows) + 16 * half, block / 2, reinterpret_cast<uint32_t *>(to) + 16 * half * panel + place, panel);
            }
        }
}

template <typename T>
AVX512 void block_float::pack_columns(const T *x, int64_t stride, int64_t inputs, int64_t columns, int64_t first, int64_t last,
                                      int16_t *numbers, float *scales) {
    const int64_t count = blocks(inputs);
    for (int64_t number = first; number < last; ++number)
        for (int64_t k = 0; k < count; ++k)
            pack_column_block(x + k * block * stride + number * panel, stride, std::min(block, inputs - k * block), columns - number * panel,
                              numbers + (number * count + k) * block * panel, scales + (number * count + k) * panel);
}

template <typename T>
AVX512 void block_float::product(const std::vector<Term> &terms, const T *bias, T *y, int64_t stride, int64_t first, int64_t last,
                                 int64_t first_panel, int64_t last_panel, bool adds) {
    int64_t inputs = 0;
    for (const auto &term : terms) inputs += term.left.inputs;
    // As many rows as stay in the second-level cache while all panels are processed.
    const int64_t group = std::max<int64_t>((int64_t{1} << 18) / inputs / together, 1) * together;
    for (int64_t start = first; start < last; start += group)
        for (int64_t number = first_panel; number < last_panel; ++number)
            for (int64_t row = start; row < std::min(last, start + group); row += together)
                product_of(terms, bias, y, stride, row, std::min({together, last - row, start + group - row}), number, adds);
}

template <typename T>
AVX512 void block_float::product_on_the_way(const Left &left, const T *x, int64_t stride, int64_t columns, int64_t first, int64_t last,
                                            float *y) {
    alignas(64) int16_t numbers[block * panel];
    alignas(64) float scales[panel];
    const int64_t count = blocks(left.inputs), length = count * block;
    const std::unique_ptr<float[]> sums(new float[left.rows * panel]);
    for (int64_t number = first; number < last; ++number) {
        const int64_t width = std::min(panel, columns - number * panel);
        std::fill_n(sums.get(), left.rows * panel, 0.0f);
        for (int64_t k = 0; k < count; ++k) {
            pack_column_block(x + k * block * stride + number * panel, stride, std::min(block, left.inputs - k * block), width, numbers, scales);
            tiles(left.rows, left.numbers + k * block, length, left.scales + k, count, numbers, scales, sums.get());
        }
        for (int64_t row = 0; row < left.rows; ++row)
            std::memcpy(y + row * columns + number * panel, sums.get() + row * panel, sizeof(float) * width);
    }
}

#define BLOCK_FLOAT(T)                                                                                                             \
    template void block_float::pack_left(const T *, int64_t, int64_t, int64_t, int16_t *, float *);                               \
    template void block_float::pack_rows(const T *, int64_t, int64_t, int64_t, int64_t, int64_t, int16_t *, float *);             \
    template void block_float::pack_columns(const T *, int64_t, int64_t, int64_t, int64_t, int64_t, int16_t *, float *);          \
    template void block_float::product(const std::vector<Term> &, const T *, T *, int64_t, int64_t, int64_t, int64_t, int64_t, bool); \
    template void block_float::product_on_the_way(const Left &, const T *, int64_t, int64_t, int64_t, int64_t, float *);
BLOCK_FLOAT(float)
BLOCK_FLOAT(c10::BFloat16)
#undef BLOCK_FLOAT

bool block_float::fits() { return lanes::cpu_fits(); }

#else

bool block_float::fits() { return false; }

#endif
