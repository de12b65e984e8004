#pragma once

#if defined(__x86_64__)
#include <c10/util/BFloat16.h>
#include <immintrin.h>

#include <cstdint>

// What the kernels for few rows share: registers of 16 numbers (AVX-512).

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx512vnni")))
#define INLINE AVX512 __attribute__((always_inline)) inline

namespace lanes {

// Places in a register.
constexpr int places = 16;

// How many bfloat16 numbers an instruction takes.
constexpr int64_t lane = 32;

// Whether this CPU has the instructions.
inline bool cpu_fits() {
    static const bool fits = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                             __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vnni");
    return fits;
}

// Some of 16 bfloat16 numbers; zero for the others.
INLINE __m512 floats(__mmask16 some, const c10::BFloat16 *from) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(some, from)), 16));
}

// Adds the products of pairs of 16-bit integers. It is written as assembly because clang makes two instructions of
// the one when it does not know the kind of the CPU.
INLINE __m512i add_pairs(__m512i sum, __m512i a, __m512i b) {
    asm("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
}

// The sum of each of 16 registers, in one: place i holds the sum of `parts[i]`.
INLINE __m512 totals(const __m512 *parts) {
    __m512 pairs[8], quads[4], halves[2];
    for (int i = 0; i < 8; ++i)
        pairs[i] = _mm512_add_ps(_mm512_unpacklo_ps(parts[2 * i], parts[2 * i + 1]),
                                 _mm512_unpackhi_ps(parts[2 * i], parts[2 * i + 1]));
    for (int i = 0; i < 4; ++i) {
        const __m512d a = _mm512_castps_pd(pairs[2 * i]), b = _mm512_castps_pd(pairs[2 * i + 1]);
        quads[i] = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)), _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
    }
    // Now each quarter of a register contains four sums' share of that quarter.
    for (int i = 0; i < 2; ++i)
        halves[i] = _mm512_add_ps(_mm512_shuffle_f32x4(quads[2 * i], quads[2 * i + 1], 0x88),
                                  _mm512_shuffle_f32x4(quads[2 * i], quads[2 * i + 1], 0xdd));
    return _mm512_add_ps(_mm512_shuffle_f32x4(halves[0], halves[1], 0x88),
                         _mm512_shuffle_f32x4(halves[0], halves[1], 0xdd));
}

// Transposes 16 rows of 16 words, `line` words apart, into columns: `to[p · step + j]` = word p of row j.
INLINE void transpose(const uint32_t *from, int64_t line, uint32_t *to, int64_t step) {
    __m512i a[16], b[16];
    for (int i = 0; i < 16; ++i) a[i] = _mm512_loadu_si512(from + i * line);
    for (int i = 0; i < 8; ++i) {
        b[2 * i] = _mm512_unpacklo_epi32(a[2 * i], a[2 * i + 1]);
        b[2 * i + 1] = _mm512_unpackhi_epi32(a[2 * i], a[2 * i + 1]);
    }
    for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 2; ++j) {
            a[4 * i + 2 * j] = _mm512_unpacklo_epi64(b[4 * i + j], b[4 * i + 2 + j]);
            a[4 * i + 2 * j + 1] = _mm512_unpackhi_epi64(b[4 * i + j], b[4 * i + 2 + j]);
        }
    // Quarter q of a[4 i + c] contains column 4 q + c of rows 4 i to 4 i + 3.
    for (int c = 0; c < 4; ++c) {
        const __m512i even = _mm512_shuffle_i32x4(a[c], a[4 + c], 0x88), odd = _mm512_shuffle_i32x4(a[c], a[4 + c], 0xdd);
        const __m512i behind = _mm512_shuffle_i32x4(a[8 + c], a[12 + c], 0x88), after = _mm512_shuffle_i32x4(a[8 + c], a[12 + c], 0xdd);
        _mm512_storeu_si512(to + c * step, _mm512_shuffle_i32x4(even, behind, 0x88));
        _mm512_storeu_si512(to + (4 + c) * step, _mm512_shuffle_i32x4(odd, after, 0x88));
        _mm512_storeu_si512(to + (8 + c) * step, _mm512_shuffle_i32x4(even, behind, 0xdd));
        _mm512_storeu_si512(to + (12 + c) * step, _mm512_shuffle_i32x4(odd, after, 0xdd));
    }
}

// The exponential, with a relative error of at most 2^-22; zero far below, infinity far above.
INLINE __m512 exp(__m512 x) {
    // Beyond these limits the result is zero or infinite anyway, and infinities have no remainder. NaNs stay NaNs.
    x = _mm512_min_ps(_mm512_set1_ps(200), _mm512_max_ps(_mm512_set1_ps(-200), x));
    const __m512 power = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), 0);
    // x less power · ln 2, in two parts, as ln 2 has more digits than a number.
    const __m512 rest = _mm512_fnmadd_ps(
        power, _mm512_set1_ps(-2.12194440e-4f), _mm512_fnmadd_ps(power, _mm512_set1_ps(0.693359375f), x));
    __m512 sum = _mm512_set1_ps(1 / 720.0f);
    for (const float term : {1 / 120.0f, 1 / 24.0f, 1 / 6.0f, 1 / 2.0f, 1.0f, 1.0f})
        sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(term));
    return _mm512_scalef_ps(sum, power);
}

}

#endif
