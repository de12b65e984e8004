#include "FewRows.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <dlfcn.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx512vnni")))
#define INLINE AVX512 __attribute__((always_inline)) inline

namespace {

// Products of more rows than this are libtorch's: its blocked kernels win there.
constexpr int64_t most_rows = 16;
// How many inputs an instruction takes.
constexpr int64_t lane = 32;
// Places in a register.
constexpr int places = 16;

// How many weight rows a tile takes with so many rows of x: with few, as many as fill a register with sums; with many,
// as many as have their sums in registers at once.
constexpr int width(int rows) { return rows <= 4 ? places / rows : 24 / rows; }

bool cpu_fits() {
    static const bool fits = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                             __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vnni");
    return fits;
}

// Some of 16 bfloat16 numbers; zero for the others.
INLINE __m512 floats(__mmask16 some, const at::BFloat16 *from) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(some, from)), 16));
}

// bfloat16 times bfloat16, in float32.
struct Halves {
    using Input = at::BFloat16;
    using Weight = at::BFloat16;
    using Sum = __m512;
    using Values = __m512bh;
    INLINE static Values load(const at::BFloat16 *from) { return (__m512bh)_mm512_loadu_si512(from); }
    INLINE static Sum zero() { return _mm512_setzero_ps(); }
    INLINE static Sum add(Sum sum, Values a, Values b) { return _mm512_dpbf16_ps(sum, a, b); }
    INLINE static __m512 floats(Sum sum) { return sum; }
};

// Signed bytes times 16-bit integers, exact in 32-bit integers: the inputs are scaled so that no sum overflows.
struct Integers {
    using Input = int16_t;
    using Weight = int8_t;
    using Sum = __m512i;
    using Values = __m512i;
    INLINE static Values load(const int16_t *from) { return _mm512_loadu_si512(from); }
    INLINE static Values load(const int8_t *from) {
        return _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(from)));
    }
    INLINE static Sum zero() { return _mm512_setzero_si512(); }
    INLINE static Sum add(Sum sum, Values a, Values b) { return _mm512_dpwssd_epi32(sum, a, b); }
    INLINE static __m512 floats(Sum sum) { return _mm512_cvtepi32_ps(sum); }
};

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
    // Now each quarter of a register holds four sums' share of that quarter.
    for (int i = 0; i < 2; ++i)
        halves[i] = _mm512_add_ps(_mm512_shuffle_f32x4(quads[2 * i], quads[2 * i + 1], 0x88),
                                  _mm512_shuffle_f32x4(quads[2 * i], quads[2 * i + 1], 0xdd));
    return _mm512_add_ps(_mm512_shuffle_f32x4(halves[0], halves[1], 0x88),
                         _mm512_shuffle_f32x4(halves[0], halves[1], 0xdd));
}

// What a product reads and writes; `rows` rows of x, `outputs` rows of weights. Scales and bias may be null.
template <typename Kind>
struct Product {
    const typename Kind::Input *x;
    const float *row_scale;
    const typename Kind::Weight *weight;
    const at::BFloat16 *output_scale;
    const at::BFloat16 *bias;
    at::BFloat16 *y;
    int64_t rows, outputs, inputs;
};

// `Rows` rows of x with `Wide` rows of weights: the sums, those of one weight row side by side, and up to a register's
// places behind them.
//
// Memory is read fastest along one weight row after the other. With many rows of x the arithmetic counts, too: then weight
// rows go side by side, so that each piece of x that was loaded serves all of them, and the next tile is fetched meanwhile.
template <int Rows, int Wide, typename Kind>
INLINE void tile(const typename Kind::Input *x, const typename Kind::Weight *weight, int64_t count, float *results) {
    constexpr int side = Rows <= 4 ? 1 : Wide;
    // Sums of one product that are under way at once, as an addition takes several cycles.
    constexpr int depth = Rows <= 2 ? 4 : Rows <= 4 ? 2 : 1;
    const int64_t ahead = Rows <= 4 ? 512 : Wide * count * sizeof(typename Kind::Weight);
    constexpr int registers = (Rows * Wide + places - 1) / places;
    __m512 whole[registers * places];
    for (int i = Rows * Wide; i < registers * places; ++i) whole[i] = _mm512_setzero_ps();
#pragma clang loop unroll(full)
    for (int first = 0; first < Wide; first += side) {
        typename Kind::Sum parts[side * Rows * depth];
        for (auto &part : parts) part = Kind::zero();
        auto take = [&](int64_t k, int at) __attribute__((always_inline)) AVX512 {
            typename Kind::Values weights[side];
#pragma clang loop unroll(full)
            for (int n = 0; n < side; ++n) {
                const auto *from = weight + (first + n) * count + k;
                _mm_prefetch(reinterpret_cast<const char *>(from) + ahead, _MM_HINT_T0);
                weights[n] = Kind::load(from);
            }
#pragma clang loop unroll(full)
            for (int m = 0; m < Rows; ++m) {
                const auto values = Kind::load(x + m * count + k);
#pragma clang loop unroll(full)
                for (int n = 0; n < side; ++n) {
                    auto &part = parts[(at * side + n) * Rows + m];
                    part = Kind::add(part, weights[n], values);
                }
            }
        };
        int64_t k = 0;
        for (; k + depth * lane <= count; k += depth * lane) {
#pragma clang loop unroll(full)
            for (int at = 0; at < depth; ++at) take(k + at * lane, at);
        }
        for (; k < count; k += lane) take(k, 0);
#pragma clang loop unroll(full)
        for (int i = 0; i < side * Rows; ++i) {
            __m512 sum = Kind::floats(parts[i]);
            for (int at = 1; at < depth; ++at)
                sum = _mm512_add_ps(sum, Kind::floats(parts[at * side * Rows + i]));
            whole[first * Rows + i] = sum;
        }
    }
    for (int i = 0; i < registers; ++i) _mm512_storeu_ps(results + i * places, totals(whole + i * places));
}

// Sums `[count][Rows]` to y `[row…][output…]`: scaled, with bias, in bfloat16.
template <int Rows, typename Kind>
INLINE void write(const Product<Kind> &p, const float *results, int64_t row, int64_t output, int64_t count) {
    const __m512i offsets = _mm512_mullo_epi32(
        _mm512_set1_epi32(Rows), _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    for (int64_t n = 0; n < count; n += 16) {
        const auto some = static_cast<__mmask16>(count - n >= 16 ? 0xffff : (1 << (count - n)) - 1);
        const __m512 scales = p.output_scale ? floats(some, p.output_scale + output + n) : _mm512_set1_ps(1);
        const __m512 bias = p.bias ? floats(some, p.bias + output + n) : _mm512_setzero_ps();
        for (int m = 0; m < Rows; ++m) {
            __m512 values = _mm512_mask_i32gather_ps(bias, some, offsets, results + n * Rows + m, 4);
            if (p.row_scale) values = _mm512_mul_ps(values, _mm512_set1_ps(p.row_scale[row + m]));
            const __m256bh halves = _mm512_cvtneps_pbh(_mm512_fmadd_ps(values, scales, bias));
            _mm256_mask_storeu_epi16(p.y + (row + m) * p.outputs + output + n, some, (__m256i)halves);
        }
    }
}

// `Rows` rows of x with the weight rows of a range.
template <int Rows, typename Kind>
AVX512 void stripe(const Product<Kind> &p, int64_t row, int64_t begin, int64_t end) {
    constexpr int wide = width(Rows);
    constexpr int64_t chunk = places * wide;
    float results[chunk * Rows + 2 * places];
    const auto *x = p.x + row * p.inputs;
    for (int64_t from = begin; from < end; from += chunk) {
        const int64_t count = std::min(chunk, end - from);
        const auto *weight = p.weight + from * p.inputs;
        int64_t n = 0;
        for (; n + wide <= count; n += wide)
            tile<Rows, wide, Kind>(x, weight + n * p.inputs, p.inputs, results + n * Rows);
        for (; n < count; ++n) tile<Rows, 1, Kind>(x, weight + n * p.inputs, p.inputs, results + n * Rows);
        write<Rows>(p, results, row, from, count);
    }
}

template <typename Kind>
void stripe(const Product<Kind> &p, int64_t count, int64_t row, int64_t begin, int64_t end) {
    switch (count) {
        case 1: return stripe<1>(p, row, begin, end);
        case 2: return stripe<2>(p, row, begin, end);
        case 3: return stripe<3>(p, row, begin, end);
        case 4: return stripe<4>(p, row, begin, end);
        case 5: return stripe<5>(p, row, begin, end);
        case 6: return stripe<6>(p, row, begin, end);
        case 7: return stripe<7>(p, row, begin, end);
        default: return stripe<8>(p, row, begin, end);
    }
}

// The weight rows of a range, for all rows of x.
template <typename Kind>
void multiply(const Product<Kind> &p, int64_t begin, int64_t end) {
    // Of many rows, eight at a time go over weights that the cache still holds.
    const int64_t block = p.rows > 8 ? places * width(8) : std::max<int64_t>(end - begin, 1);
    for (int64_t from = begin; from < end; from += block)
        for (int64_t row = 0; row < p.rows; row += 8)
            stripe(p, std::min<int64_t>(8, p.rows - row), row, from, std::min(from + block, end));
}

// The threads that libtorch computes with. Its own `parallel_for` is a template that needs the compiler's OpenMP, and
// clang's is another one than libtorch's; so the entry of the one it has loaded is called by name.
struct Threads {
    void (*parallel)(void (*)(void *), void *, unsigned, unsigned);
    int (*number)();
    int (*count)();
    Threads() {
        parallel = reinterpret_cast<decltype(parallel)>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
        number = reinterpret_cast<decltype(number)>(dlsym(RTLD_DEFAULT, "omp_get_thread_num"));
        count = reinterpret_cast<decltype(count)>(dlsym(RTLD_DEFAULT, "omp_get_num_threads"));
    }
    bool found() const { return parallel && number && count; }
};

template <typename Kind>
void multiply(const Product<Kind> &p) {
    static const Threads threads;
    // A share is worth a thread's waking when it reads this much.
    const int64_t shares = std::min<int64_t>(at::get_num_threads(), p.outputs * p.inputs / 65536);
    if (shares <= 1 || !threads.found()) return multiply(p, 0, p.outputs);
    auto share = [](void *context) {
        const auto &p = *static_cast<const Product<Kind> *>(context);
        const int64_t count = threads.count(), number = threads.number();
        const int64_t size = (p.outputs + count * places - 1) / (count * places) * places;
        multiply(p, std::min(number * size, p.outputs), std::min((number + 1) * size, p.outputs));
    };
    threads.parallel(share, const_cast<Product<Kind> *>(&p), static_cast<unsigned>(shares), 0);
}

bool fits(const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias) {
    const bool plain = !c10::GradMode::is_enabled() && x.is_cpu() && x.scalar_type() == at::kBFloat16 &&
                       weight.is_cpu() && weight.dim() == 2 && weight.is_contiguous() && weight.size(0) > 0 &&
                       weight.size(1) > 0 && weight.size(1) % lane == 0 && x.size(-1) == weight.size(1);
    if (!plain || !cpu_fits()) return false;
    if (bias.defined() && (bias.scalar_type() != at::kBFloat16 || !bias.is_contiguous())) return false;
    const int64_t rows = x.numel() / x.size(-1);
    return rows >= 1 && rows <= most_rows;
}

at::Tensor result(const at::Tensor &x, const at::Tensor &weight) {
    auto shape = x.sizes().vec();
    shape.back() = weight.size(0);
    return at::empty(shape, x.options());
}

// Each row of x as 16-bit integers times a scale. Rounding is at most 2^-16 of the row's largest value up to 4,000 inputs;
// with more the integers are smaller, so that `inputs / 16` products of 127 with the largest one stay within 32 bits.
AVX512 std::vector<float> integers(const at::Tensor &x, int64_t inputs, std::vector<int16_t> &into) {
    const int64_t rows = x.numel() / inputs;
    const float largest = std::min<int64_t>(32767, (int64_t{1} << 31) / (127 * (inputs / 16 + 1)) - 1);
    const auto *values = x.const_data_ptr<at::BFloat16>();
    std::vector<float> scales(rows);
    into.resize(rows * inputs);
    for (int64_t row = 0; row < rows; ++row) {
        const auto *from = values + row * inputs;
        __m512 most = _mm512_setzero_ps();
        for (int64_t k = 0; k < inputs; k += 16) most = _mm512_max_ps(most, _mm512_abs_ps(floats(0xffff, from + k)));
        const float top = _mm512_reduce_max_ps(most);
        scales[row] = top / largest;
        const __m512 factor = _mm512_set1_ps(top > 0 ? largest / top : 0);
        for (int64_t k = 0; k < inputs; k += 16) {
            const __m512i rounded = _mm512_cvtps_epi32(_mm512_mul_ps(floats(0xffff, from + k), factor));
            _mm256_storeu_si256(
                reinterpret_cast<__m256i *>(&into[row * inputs + k]), _mm512_cvtsepi32_epi16(rounded));
        }
    }
    return scales;
}

}

std::optional<at::Tensor> few_rows::linear(const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias) {
    if (weight.scalar_type() != at::kBFloat16 || !fits(x, weight, bias)) return std::nullopt;
    const at::Tensor input = x.contiguous();
    at::Tensor y = result(x, weight);
    multiply(Product<Halves>{
        input.const_data_ptr<at::BFloat16>(), nullptr, weight.const_data_ptr<at::BFloat16>(), nullptr,
        bias.defined() ? bias.const_data_ptr<at::BFloat16>() : nullptr, y.mutable_data_ptr<at::BFloat16>(),
        x.numel() / x.size(-1), weight.size(0), weight.size(1)});
    return y;
}

std::optional<at::Tensor> few_rows::linear_int8(const at::Tensor &x, const at::Tensor &values, const at::Tensor &scales,
                                                const at::Tensor &bias) {
    if (!fits(x, values, bias)) return std::nullopt;
    const at::Tensor input = x.contiguous();
    at::Tensor y = result(x, values);
    std::vector<int16_t> rows;
    const std::vector<float> row_scales = integers(input, x.size(-1), rows);
    multiply(Product<Integers>{
        rows.data(), row_scales.data(), values.const_data_ptr<int8_t>(), scales.const_data_ptr<at::BFloat16>(),
        bias.defined() ? bias.const_data_ptr<at::BFloat16>() : nullptr, y.mutable_data_ptr<at::BFloat16>(), x.numel() / x.size(-1), values.size(0), values.size(1)});
    return y;
}

#else

std::optional<at::Tensor> few_rows::linear(const at::Tensor &, const at::Tensor &, const at::Tensor &) {
    return std::nullopt;
}
std::optional<at::Tensor> few_rows::linear_int8(const at::Tensor &, const at::Tensor &, const at::Tensor &,
                                                const at::Tensor &) {
    return std::nullopt;
}

#endif

namespace {

bool is_plain(const at::Tensor &x) {
    return !c10::GradMode::is_enabled() && x.is_cpu() && x.scalar_type() == at::kBFloat16 && x.numel() > 0;
}

}

std::optional<at::Tensor> few_rows::rms_norm(const at::Tensor &x, const at::Tensor &weight, double epsilon) {
    const int64_t width = x.size(-1), rows = x.numel() / std::max<int64_t>(width, 1);
    if (!is_plain(x) || rows > 256 || !x.is_contiguous() || !weight.is_contiguous()) return std::nullopt;
    if (weight.scalar_type() != at::kBFloat16 || weight.numel() != width) return std::nullopt;
    at::Tensor y = at::empty_like(x);
    const auto *from = x.const_data_ptr<at::BFloat16>();
    const auto *scale = weight.const_data_ptr<at::BFloat16>();
    auto *to = y.mutable_data_ptr<at::BFloat16>();
    for (int64_t row = 0; row < rows; ++row, from += width, to += width) {
        float squares = 0;
        for (int64_t i = 0; i < width; ++i) squares += static_cast<float>(from[i]) * static_cast<float>(from[i]);
        const float factor = 1 / std::sqrt(squares / width + static_cast<float>(epsilon));
        for (int64_t i = 0; i < width; ++i)
            to[i] = static_cast<float>(from[i]) * factor * static_cast<float>(scale[i]);
    }
    return y;
}

std::optional<at::Tensor> few_rows::rotate(const at::Tensor &x, const at::Tensor &cosine, const at::Tensor &sine) {
    if (!is_plain(x) || x.dim() != 4 || x.size(2) != 1 || x.stride(3) != 1) return std::nullopt;
    if (cosine.scalar_type() != at::kBFloat16 || !cosine.is_contiguous() || !sine.is_contiguous()) return std::nullopt;
    const int64_t batch = x.size(0), heads = x.size(1), width = x.size(3), turned = cosine.size(-1), half = turned / 2;
    if (cosine.numel() != batch * turned || sine.numel() != cosine.numel()) return std::nullopt;
    at::Tensor y = at::empty({batch, heads, 1, width}, x.options());
    auto *to = y.mutable_data_ptr<at::BFloat16>();
    for (int64_t row = 0; row < batch; ++row) {
        const auto *c = cosine.const_data_ptr<at::BFloat16>() + row * turned;
        const auto *s = sine.const_data_ptr<at::BFloat16>() + row * turned;
        for (int64_t head = 0; head < heads; ++head, to += width) {
            const auto *from = x.const_data_ptr<at::BFloat16>() + row * x.stride(0) + head * x.stride(1);
            for (int64_t i = 0; i < half; ++i) {
                const float a = from[i], b = from[half + i];
                to[i] = a * static_cast<float>(c[i]) - b * static_cast<float>(s[i]);
                to[half + i] = b * static_cast<float>(c[half + i]) + a * static_cast<float>(s[half + i]);
            }
            std::copy(from + turned, from + width, to + turned);
        }
    }
    return y;
}

bool few_rows::put(at::Tensor &x, const at::Tensor &rows, const at::Tensor &columns, const at::Tensor &values) {
    if (!x.is_cpu() || !x.is_contiguous() || x.dim() < 3 || values.scalar_type() != x.scalar_type()) return false;
    if (rows.scalar_type() != at::kLong || columns.scalar_type() != at::kLong) return false;
    const int64_t count = rows.numel(), size = x.stride(1);
    if (columns.numel() != count || values.numel() != count * size) return false;
    const at::Tensor source = values.contiguous(), lines = rows.contiguous(), places = columns.contiguous();
    const auto *line = lines.const_data_ptr<int64_t>(), *place = places.const_data_ptr<int64_t>();
    for (int64_t i = 0; i < count; ++i)
        if (line[i] < 0 || line[i] >= x.size(0) || place[i] < 0 || place[i] >= x.size(1)) return false;
    const int64_t bytes = size * x.element_size();
    for (int64_t i = 0; i < count; ++i)
        std::memcpy(static_cast<char *>(x.mutable_data_ptr()) + line[i] * x.stride(0) * x.element_size() + place[i] * bytes,
                    static_cast<const char *>(source.const_data_ptr()) + i * bytes, bytes);
    return true;
}
