#include "FewRows.h"

#include "Lanes.h"
#include "Nibbles.h"
#include "Threads.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#if defined(__x86_64__)

namespace {

using namespace lanes;

// Products of more rows than this are libtorch's: its blocked kernels win there.
constexpr int64_t most_rows = 16;

// How many weight rows a tile takes with so many rows of x: with few, as many as fill a register with sums; with many,
// as many as have their sums in registers at once.
constexpr int width(int rows) { return rows <= 4 ? places / rows : 24 / rows; }

// bfloat16 times bfloat16, in float32.
struct Halves {
    using Input = c10::BFloat16;
    using Weight = c10::BFloat16;
    using Sum = __m512;
    using Values = __m512bh;
    INLINE static Values load(const c10::BFloat16 *from) { return (__m512bh)_mm512_loadu_si512(from); }
    INLINE static Sum zero() { return _mm512_setzero_ps(); }
    INLINE static Sum add(Sum sum, Values a, Values b) { return _mm512_dpbf16_ps(sum, a, b); }
    INLINE static __m512 floats(Sum sum) { return sum; }
};

// Numbers in four bits, each group of 32 with a scale and a lowest value, times bfloat16.
struct Nibbles {
    using Input = c10::BFloat16;
    using Weight = int16_t;
};

// What a product reads and writes; `rows` rows of x, `outputs` rows of weights.
template <typename Kind>
struct Product {
    const typename Kind::Input *x;
    // Of nibbles, the sums of each row's groups; else null.
    const float *x_parts;
    const typename Kind::Weight *weight;
    // Of nibbles, scales and lowest values of its groups; else null.
    const c10::BFloat16 *scales;
    // May be null.
    const c10::BFloat16 *bias;
    c10::BFloat16 *y;
    int64_t rows, outputs, inputs;
};

// Sums of one product that are under way at once, as an addition takes several cycles.
constexpr int depth(int rows) { return rows <= 2 ? 4 : rows <= 4 ? 2 : 1; }

// How many bytes ahead of where it reads one weight row after the other, a product fetches.
constexpr int64_t far_ahead = 1024;

// Registers of sums, and their totals to memory.
template <int Count>
struct Sums {
    static constexpr int registers = (Count + places - 1) / places;
    __m512 whole[registers * places];
    INLINE Sums() {
        for (int i = Count; i < registers * places; ++i) whole[i] = _mm512_setzero_ps();
    }
    INLINE void store(float *results) const {
        for (int i = 0; i < registers; ++i) _mm512_storeu_ps(results + i * places, totals(whole + i * places));
    }
};

// `Rows` rows of x from `row` on with `Wide` rows of weights from `output` on: the sums, those of one weight row side by
// side, and up to a register's places behind them.
//
// Memory is read fastest along one weight row after the other. With many rows of x the arithmetic counts, too: then weight
// rows go side by side, so that each piece of x that was loaded serves all of them, and the next tile is fetched meanwhile.
// Weights are fetched past the larger caches, as they are not read again before the next token; that is a tenth of the time.
template <int Rows, int Wide, typename Kind>
INLINE void tile(const Product<Kind> &p, int64_t row, int64_t output, float *results) {
    constexpr int side = Rows <= 4 ? 1 : Wide, depth = ::depth(Rows);
    const int64_t count = p.inputs;
    const int64_t ahead = Rows <= 4 ? far_ahead : Wide * count * sizeof(typename Kind::Weight);
    const auto *x = p.x + row * count;
    const auto *weight = p.weight + output * count;
    Sums<Rows * Wide> sums;
#pragma clang loop unroll(full)
    for (int first = 0; first < Wide; first += side) {
        typename Kind::Sum parts[side * Rows * depth];
        for (auto &part : parts) part = Kind::zero();
        auto take = [&](int64_t k, int at) __attribute__((always_inline)) AVX512 {
            typename Kind::Values weights[side];
#pragma clang loop unroll(full)
            for (int n = 0; n < side; ++n) {
                const auto *from = weight + (first + n) * count + k;
                _mm_prefetch(reinterpret_cast<const char *>(from) + ahead, _MM_HINT_NTA);
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
            sums.whole[first * Rows + i] = sum;
        }
    }
    sums.store(results);
}

// The same with nibbles: a group's products are summed and then scaled, and what lies below all of its numbers is added.
template <int Rows, int Wide>
INLINE void tile(const Product<Nibbles> &p, int64_t row, int64_t output, float *results) {
    constexpr int depth = ::depth(Rows);
    const int64_t groups = p.inputs / lane;
    const auto *x = p.x + row * p.inputs;
    const auto *group_sums = p.x_parts + row * groups;
    const __m512i table = nibbles::table();
    Sums<Rows * Wide> sums;
#pragma clang loop unroll(full)
    for (int n = 0; n < Wide; ++n) {
        const auto *weight = p.weight + (output + n) * p.inputs / nibbles::groups_at_once;
        const auto *scale = p.scales + (output + n) * 2 * groups, *low = scale + groups;
        __m512 parts[Rows * depth];
        for (auto &part : parts) part = _mm512_setzero_ps();
        for (int64_t group = 0; group < groups; group += nibbles::groups_at_once) {
            const auto *from = weight + group / nibbles::groups_at_once * lane;
            _mm_prefetch(reinterpret_cast<const char *>(from) + far_ahead, _MM_HINT_NTA);
            const __m512i words = _mm512_loadu_si512(from);
#pragma clang loop unroll(full)
            for (int i = 0; i < nibbles::groups_at_once; ++i) {
                const auto numbers = (__m512bh)nibbles::numbers(words, i, table);
                const __m512 factor = nibbles::broadcast(scale + group + i);
#pragma clang loop unroll(full)
                for (int m = 0; m < Rows; ++m) {
                    const auto values = (__m512bh)_mm512_loadu_si512(x + m * p.inputs + (group + i) * lane);
                    auto &part = parts[i % depth * Rows + m];
                    part = _mm512_fmadd_ps(_mm512_dpbf16_ps(_mm512_setzero_ps(), numbers, values), factor, part);
                }
            }
        }
        for (int64_t group = 0; group < groups; group += places) {
            const auto some = static_cast<__mmask16>(groups - group >= places ? 0xffff : (1 << (groups - group)) - 1);
            const __m512 lowest = floats(some, low + group);
            for (int m = 0; m < Rows; ++m) {
                const __m512 inputs = _mm512_maskz_loadu_ps(some, group_sums + m * groups + group);
                parts[m] = _mm512_fmadd_ps(lowest, inputs, parts[m]);
            }
        }
        for (int m = 0; m < Rows; ++m) {
            for (int at = 1; at < depth; ++at) parts[m] = _mm512_add_ps(parts[m], parts[at * Rows + m]);
            sums.whole[n * Rows + m] = parts[m];
        }
    }
    sums.store(results);
}

// Sums `[count][Rows]` to y `[row…][output…]`, with bias, in bfloat16.
template <int Rows, typename Kind>
INLINE void write(const Product<Kind> &p, const float *results, int64_t row, int64_t output, int64_t count) {
    const __m512i offsets = _mm512_mullo_epi32(
        _mm512_set1_epi32(Rows), _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    for (int64_t n = 0; n < count; n += 16) {
        const auto some = static_cast<__mmask16>(count - n >= 16 ? 0xffff : (1 << (count - n)) - 1);
        const __m512 bias = p.bias ? floats(some, p.bias + output + n) : _mm512_setzero_ps();
        for (int m = 0; m < Rows; ++m) {
            const __m512 values = _mm512_mask_i32gather_ps(bias, some, offsets, results + n * Rows + m, 4);
            const __m256bh halves = _mm512_cvtneps_pbh(_mm512_add_ps(values, bias));
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
    for (int64_t from = begin; from < end; from += chunk) {
        const int64_t count = std::min(chunk, end - from);
        int64_t n = 0;
        for (; n + wide <= count; n += wide) tile<Rows, wide>(p, row, from + n, results + n * Rows);
        for (; n < count; ++n) tile<Rows, 1>(p, row, from + n, results + n * Rows);
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

// Several products of one x, the threads' shares of all of them one after the other: threads meet once for all.
template <typename Kind>
void multiply(const std::vector<Product<Kind>> &products) {
    int64_t weights = 0;
    for (const auto &p : products) weights += p.outputs * p.inputs;
    // A share is worth a thread's waking when it reads this much.
    Threads::run(weights / 65536, [&](int64_t number, int64_t count) {
        for (const auto &p : products) {
            const int64_t size = (p.outputs + count * places - 1) / (count * places) * places;
            multiply(p, std::min(number * size, p.outputs), std::min((number + 1) * size, p.outputs));
        }
    });
}

bool is_plain(const at::Tensor &x, at::ScalarType type) {
    return x.is_cpu() && x.scalar_type() == type && x.is_contiguous() && x.numel() > 0;
}

bool fits(const at::Tensor &x, const few_rows::Weights &weights, at::ScalarType kind) {
    const auto &[values, scales, bias] = weights;
    if (!is_plain(values, kind) || values.dim() != 2) return false;
    const int64_t outputs = values.size(0), inputs = x.size(-1);
    if (bias.defined() && (!is_plain(bias, at::kBFloat16) || bias.numel() != outputs)) return false;
    if (kind == at::kShort) return nibbles::is_packed(values, scales, inputs);
    if (values.size(1) != inputs) return false;
    return kind == at::kBFloat16 && !scales.defined();
}

const c10::BFloat16 *data(const at::Tensor &x) { return x.defined() ? x.const_data_ptr<c10::BFloat16>() : nullptr; }

}

std::optional<std::vector<at::Tensor>> few_rows::linears(const at::Tensor &x, const std::vector<Weights> &weights) {
    if (c10::GradMode::is_enabled() || !x.is_cpu() || x.scalar_type() != at::kBFloat16 || x.numel() == 0 ||
        weights.empty() || !lanes::cpu_fits())
        return std::nullopt;
    const int64_t inputs = x.size(-1), rows = x.numel() / inputs;
    const auto kind = weights.front().values.scalar_type();
    if (rows > most_rows || inputs % lanes::lane != 0) return std::nullopt;
    for (const auto &each : weights)
        if (!fits(x, each, kind)) return std::nullopt;
    const at::Tensor input = x.contiguous();
    std::vector<at::Tensor> results;
    for (const auto &each : weights) {
        auto shape = x.sizes().vec();
        shape.back() = each.values.size(0);
        results.push_back(at::empty(shape, x.options()));
    }
    auto all = [&](auto kind, const auto *from, const float *parts, int64_t width) {
        using Kind = decltype(kind);
        std::vector<Product<Kind>> products;
        for (size_t i = 0; i < weights.size(); ++i) {
            const auto &[values, scales, bias] = weights[i];
            products.push_back({from, parts, values.template const_data_ptr<typename Kind::Weight>(), data(scales), data(bias),
                                results[i].mutable_data_ptr<c10::BFloat16>(), rows, values.size(0), width});
        }
        multiply(products);
    };
    if (kind == at::kShort) {
        const nibbles::Inputs filled(data(input), rows, inputs);
        all(Nibbles(), filled.values.data(), filled.sums.data(), nibbles::filled(inputs));
    } else {
        all(Halves(), data(input), nullptr, inputs);
    }
    return results;
}

std::optional<few_rows::Weights> few_rows::pack_int4(const at::Tensor &weight) {
    if (!lanes::cpu_fits() || weight.dim() != 2 || weight.numel() == 0 || weight.size(1) % lanes::lane != 0) return std::nullopt;
    const auto [values, scales] = nibbles::pack(weight.to(at::kFloat));
    return Weights{values, scales, {}};
}

at::Tensor few_rows::restored(const Weights &weights, int64_t inputs) {
    TORCH_CHECK(nibbles::is_packed(weights.values, weights.scales, inputs), "the matrix in four bits does not take ",
                inputs, " inputs");
    const auto &values = weights.values;
    const auto *words = values.const_data_ptr<int16_t>();
    at::Tensor whole = at::empty({values.size(0), inputs}, weights.scales.options());
    Threads::run(values.numel() >> 16, [&](int64_t number, int64_t count) {
        const int64_t rows = values.size(0);
        nibbles::restore(words, data(weights.scales), whole.mutable_data_ptr<c10::BFloat16>(), inputs,
                         rows * number / count, rows * (number + 1) / count);
    });
    return whole;
}

#else

std::optional<std::vector<at::Tensor>> few_rows::linears(const at::Tensor &, const std::vector<Weights> &) {
    return std::nullopt;
}
std::optional<few_rows::Weights> few_rows::pack_int4(const at::Tensor &) { return std::nullopt; }
at::Tensor few_rows::restored(const Weights &, int64_t) { TORCH_CHECK(false, "no matrix is packed so on this CPU"); }

#endif
