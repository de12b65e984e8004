#include "BlockedProducts.h"

#include "LargePages.h"
#include "MatrixProduct.h"
#include "NibbleTiles.h"
#include "ScaledRows.h"
#include "Threads.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cstring>
#include <type_traits>

#if defined(__x86_64__)

namespace {

using namespace tiles;

// How many bytes ahead a product of few rows prefetches each block's weights.
constexpr int64_t far_ahead = 1024;

// The inputs of a column that lie side by side where bytes are multiplied in AMX's registers.
constexpr int64_t quad = 4;

// bfloat16 weights and inputs in AMX's registers. x has rows up to a multiple of 16, of which only the first count.
struct Matrix {
    using Weight = c10::BFloat16;
    using Input = c10::BFloat16;
};

// Bytes with four inputs of a column side by side, times 16-bit integers (`ByteRows`), for CPUs with AMX: the same sums as
// those of `Bytes`.
struct MatrixBytes {
    using Weight = int8_t;
    using Input = uint8_t;
};

template <typename Kind>
constexpr bool uses_registers = std::is_same_v<Kind, Matrix> || std::is_same_v<Kind, MatrixBytes>;

// The inputs and outputs of a product; x has `rows` rows.
template <typename Kind>
struct Product {
    const typename Kind::Input *x;
    // For integers, each row's scale; otherwise null.
    const float *row_scales;
    // For nibbles, the sums of each row's groups; otherwise null.
    const float *x_sums;
    const typename Kind::Weight *weight;
    // For bytes, each output's scale; for nibbles, the groups' factors; otherwise null.
    const c10::BFloat16 *scales;
    // May be null.
    const c10::BFloat16 *bias;
    c10::BFloat16 *y;
    int64_t rows, outputs, inputs;

    static constexpr bool has_groups = std::is_same_v<Kind, Nibbles>;

    int64_t blocks() const { return outputs / places; }

    const typename Kind::Weight *block(int64_t number) const {
        return weight + number * places * inputs / (has_groups ? 4 : 1);
    }

    // Writes a register of sums to y: scaled, with bias, in bfloat16.
    INLINE void write(__m512 values, int64_t row, int64_t output) const {
        if constexpr (has_groups) {
            values = _mm512_mul_ps(values, _mm512_set1_ps(row_scales[row]));
        } else if (scales) {
            values = _mm512_mul_ps(values, _mm512_mul_ps(floats(0xffff, scales + output), _mm512_set1_ps(row_scales[row])));
        }
        if (bias) values = _mm512_add_ps(values, floats(0xffff, bias + output));
        _mm256_storeu_epi16(y + row * outputs + output, (__m256i)_mm512_cvtneps_pbh(values));
    }

    template <int Rows, int Blocks>
    AVX512 void tile(int64_t row, int64_t first) const {
        const typename Kind::Weight *weights[Blocks];
        for (int b = 0; b < Blocks; ++b) weights[b] = block(first + b);
        constexpr int64_t ahead = Rows <= 2 ? far_ahead : 0;
        if constexpr (has_groups) {
            const int64_t groups = inputs / FourBits::group;
            const c10::BFloat16 *factors[Blocks];
            for (int b = 0; b < Blocks; ++b) factors[b] = scales + (first + b) * groups * Nibbles::factors;
            __m512 totals[Rows][Blocks];
            clear<Wide>(totals);
            accumulate(totals, x + row * inputs, x_sums + row * groups, inputs, weights, factors, ahead);
            write_all<Wide>(totals, row, first);
        } else {
            typename Kind::Sum sums[Rows][Blocks];
            clear<Kind>(sums);
            accumulate<Kind>(sums, x + row * inputs, inputs, weights, places * pair, inputs / pair, ahead);
            write_all<Kind>(sums, row, first);
        }
    }

    template <typename Sums, int Rows, int Blocks>
    INLINE void write_all(const typename Sums::Sum (&sums)[Rows][Blocks], int64_t row, int64_t first) const {
#pragma clang loop unroll(full)
        for (int r = 0; r < Rows; ++r)
#pragma clang loop unroll(full)
            for (int b = 0; b < Blocks; ++b) write(Sums::floats(sums[r][b]), row + r, (first + b) * places);
    }

    // All rows with some blocks, which stay in the cache meanwhile.
    template <int Blocks>
    AVX512 void stripe(int64_t first) const {
        for_rows(rows, [&]<int Rows>(int64_t row) AVX512 { tile<Rows, Blocks>(row, first); });
    }

    // Some rows with some blocks in AMX's registers.
    template <int tall, int broad>
    AVX512 void squares(int64_t row, int64_t first) const {
        constexpr int64_t side = matrix::side;
        alignas(64) float sums[tall * broad][side][side];
        // The first rows fetch the weights, which the others find in the cache.
        const auto product = row == 0 ? matrix::squares<matrix::Halves, tall, broad, true>
                                      : matrix::squares<matrix::Halves, tall, broad, false>;
        product(x + row * inputs, line(), block(first), line() * places, line(), sums[0][0]);
        const int64_t count = std::min<int64_t>(rows - row, tall * side);
        for (int64_t r = 0; r < count; ++r)
            for (int b = 0; b < broad; ++b) write(_mm512_load_ps(sums[r / side * broad + b][r % side]), row + r, (first + b) * places);
    }

    // The same for bytes: the sums of 16 rows' high bytes, and below them those of their low bytes.
    template <int broad>
    AVX512 void byte_squares(int64_t row, int64_t first) const {
        constexpr int64_t side = matrix::side;
        alignas(64) int32_t sums[2][broad][side][side];
        const auto product = row == 0 ? matrix::squares<matrix::HighAndLow, 2, broad, true>
                                      : matrix::squares<matrix::HighAndLow, 2, broad, false>;
        product(x + 2 * row * inputs, line(), block(first), line() * places, line(), sums[0][0][0]);
        const int64_t count = std::min<int64_t>(rows - row, side);
        for (int64_t r = 0; r < count; ++r)
            for (int b = 0; b < broad; ++b) {
                const __m512i high = _mm512_slli_epi32(_mm512_load_si512(sums[0][b][r]), 8);
                write(_mm512_cvtepi32_ps(_mm512_add_epi32(high, _mm512_load_si512(sums[1][b][r]))), row + r, (first + b) * places);
            }
    }

    // One or two rows of bytes with some blocks: the same sums in vectors, which read weights sooner after each other. An
    // instruction multiplies unsigned bytes with signed ones, so the high bytes are 128 larger than they are.
    template <int Rows, int Blocks>
    AVX512 void byte_lines(int64_t first) const {
        __m512i high[Rows][Blocks] = {}, low[Rows][Blocks] = {}, totals[Blocks] = {};
        auto four = [](const uint8_t *from, uint32_t flipped) AVX512 {
            uint32_t bytes;
            std::memcpy(&bytes, from, sizeof bytes);
            return _mm512_set1_epi32(static_cast<int>(bytes ^ flipped));
        };
        for (int64_t k = 0; k < inputs; k += quad) {
            __m512i weights[Blocks];
            for (int b = 0; b < Blocks; ++b) {
                const int8_t *from = block(first + b) + k * places;
                _mm_prefetch(reinterpret_cast<const char *>(from + far_ahead), _MM_HINT_T0);
                weights[b] = _mm512_loadu_si512(from);
                totals[b] = _mm512_dpbusd_epi32(totals[b], _mm512_set1_epi8(1), weights[b]);
            }
            for (int r = 0; r < Rows; ++r) {
                const __m512i upper = four(x + r * inputs + k, 0x80808080);
                const __m512i lower = four(x + (matrix::side + r) * inputs + k, 0);
                for (int b = 0; b < Blocks; ++b) {
                    high[r][b] = _mm512_dpbusd_epi32(high[r][b], upper, weights[b]);
                    low[r][b] = _mm512_dpbusd_epi32(low[r][b], lower, weights[b]);
                }
            }
        }
        for (int r = 0; r < Rows; ++r)
            for (int b = 0; b < Blocks; ++b) {
                const __m512i sum = _mm512_add_epi32(_mm512_slli_epi32(high[r][b], 8), low[r][b]);
                const __m512i excess = _mm512_slli_epi32(totals[b], 15);
                write(_mm512_cvtepi32_ps(_mm512_sub_epi32(sum, excess)), r, (first + b) * places);
            }
    }

    template <int Rows, int Blocks>
    AVX512 void run_in_lines(int64_t begin, int64_t end) const {
        int64_t block = begin;
        for (; block + Blocks <= end; block += Blocks) byte_lines<Rows, Blocks>(block);
        for (; block < end; ++block) byte_lines<Rows, 1>(block);
    }

    // The bytes of a row of x, and of a column of weights.
    int64_t line() const { return inputs * static_cast<int64_t>(sizeof(typename Kind::Weight)); }

    // Some rows with some blocks, which stay in the cache meanwhile.
    template <int broad>
    AVX512 void squares(int64_t row, int64_t end, int64_t first) const {
        if constexpr (std::is_same_v<Kind, MatrixBytes>) {
            for (; row < end; row += matrix::side) byte_squares<broad>(row, first);
        } else {
            if constexpr (broad <= 2)
                for (; row + matrix::side < end; row += 2 * matrix::side) squares<2, broad>(row, first);
            for (; row < end; row += matrix::side) squares<1, broad>(row, first);
        }
    }

    void run_in_registers(int64_t begin, int64_t end) const {
        if constexpr (std::is_same_v<Kind, MatrixBytes>) {
            if (rows == 1) return run_in_lines<1, 8>(begin, end);
            if (rows == 2) return run_in_lines<2, 4>(begin, end);
        }
        const matrix::Registers registers(true);
        // So many rows stay in the cache while all blocks pass.
        constexpr int64_t together = 256;
        for (int64_t row = 0; row < rows; row += together) {
            const int64_t last = std::min(row + together, rows);
            int64_t block = begin;
            if constexpr (std::is_same_v<Kind, Matrix>)
                if (rows <= matrix::side)
                    for (; block + 4 <= end; block += 4) squares<4>(row, last, block);
            for (; block + 2 <= end; block += 2) squares<2>(row, last, block);
            for (; block < end; ++block) squares<1>(row, last, block);
        }
    }

    AVX512 void run(int64_t begin, int64_t end) const {
        if constexpr (uses_registers<Kind>) return run_in_registers(begin, end);
        else run_in_vectors(begin, end);
    }

    AVX512 void run_in_vectors(int64_t begin, int64_t end) const {
        int64_t block = begin;
        // With one or two rows there are few sums, so more blocks side by side keep more sums in flight.
        if (rows == 1)
            for (; block + 8 <= end; block += 8) tile<1, 8>(0, block);
        // For nibbles, registers hold integers and totals, so half as many blocks.
        if (rows == 2)
            for (constexpr int wide = has_groups ? 4 : 8; block + wide <= end; block += wide) tile<2, wide>(0, block);
        if constexpr (!has_groups)
            for (; block + 4 <= end; block += 4) stripe<4>(block);
        for (; block + 2 <= end; block += 2) stripe<2>(block);
        for (; block < end; ++block) stripe<1>(block);
    }
};

// Several products of the same x. The threads' shares of all products follow each other, so that threads synchronise
// only once.
template <typename Kind>
void multiply(const std::vector<Product<Kind>> &products) {
    int64_t work = 0;
    for (const auto &p : products) work += p.outputs * p.inputs * (p.rows + 1) / 2;
    // A share with at least this many products is worth waking a thread.
    Threads::run(work / 65536, [&](int64_t number, int64_t count) {
        // If one product's blocks cannot be shared evenly, the next product's make up for it.
        int64_t behind = number;
        for (const auto &p : products) {
            constexpr int64_t together = 4;
            const int64_t pieces = (p.blocks() + together - 1) / together;
            const int64_t first = pieces * behind / count, last = pieces * (behind + 1) / count;
            p.run(std::min(first * together, p.blocks()), std::min(last * together, p.blocks()));
            behind = count - 1 - behind;
        }
    });
}

const c10::BFloat16 *data(const at::Tensor &x) { return x.defined() ? x.const_data_ptr<c10::BFloat16>() : nullptr; }

bool fits(const at::Tensor &weight) {
    return cpu_fits() && weight.is_cpu() && weight.dim() == 2 && weight.size(0) > 0 && weight.size(0) % places == 0 &&
           weight.size(1) > 0 && weight.size(1) % lane == 0;
}

// `[out, in] → [out / 16, in / together, 16, together]`.
at::Tensor in_blocks(const at::Tensor &weight, int64_t together = pair) {
    const auto source = weight.view({weight.size(0) / places, places, weight.size(1) / together, together}).transpose(1, 2);
    const at::Tensor blocks = at::empty(source.sizes(), source.options());
    enlarge_pages(blocks);
    blocks.copy_(source);
    return blocks;
}

// How many inputs an element of some kind contains, together with its neighbour.
int64_t inputs_of(const at::Tensor &values) {
    return values.size(1) * (values.scalar_type() == at::kShort ? Nibbles::inputs_at_once : values.size(3));
}

// Whether a matrix in blocks has the scales that its kind needs.
bool has_scales(const at::Tensor &values, const at::Tensor &scales) {
    const int64_t blocks = values.size(0);
    if (values.scalar_type() == at::kBFloat16) return !scales.defined();
    if (!scales.defined() || scales.scalar_type() != at::kBFloat16 || !scales.is_contiguous()) return false;
    if (values.scalar_type() == at::kChar) return scales.numel() == blocks * places;
    return values.scalar_type() == at::kShort &&
           scales.sizes() == at::IntArrayRef({blocks, inputs_of(values) / FourBits::group, 2, places});
}

// x with rows of zeros up to a multiple of 16.
at::Tensor filled(const at::Tensor &x) {
    const int64_t missing = matrix::filled(x.size(0)) - x.size(0);
    return missing == 0 ? x : at::constant_pad_nd(x, {0, 0, 0, missing});
}

void check(const at::Tensor &x, const std::vector<blocked_products::Weights> &weights) {
    TORCH_CHECK(!c10::GradMode::is_enabled(), "a matrix in blocks is for inference, and gradients are enabled");
    TORCH_CHECK(x.is_cpu() && x.scalar_type() == at::kBFloat16, "a matrix in blocks takes bfloat16 on the CPU, not ",
                x.scalar_type());
    const auto kind = weights.front().values.scalar_type();
    for (const auto &[values, scales, bias] : weights) {
        TORCH_CHECK(blocked_products::is_blocked(values) && values.is_contiguous() && values.scalar_type() == kind &&
                        values.size(3) == weights.front().values.size(3),
                    "the matrices of one input are not of one kind");
        const int64_t outputs = values.size(0) * places;
        TORCH_CHECK(inputs_of(values) == x.size(-1), "a matrix with ", inputs_of(values), " inputs does not take ", x.size(-1));
        TORCH_CHECK(!bias.defined() || (bias.scalar_type() == at::kBFloat16 && bias.is_contiguous() && bias.numel() == outputs),
                    "the bias of a matrix in blocks must be ", outputs, " bfloat16 numbers");
        TORCH_CHECK(has_scales(values, scales), "a matrix in blocks of ", kind, " has no such scales");
    }
}

}

bool blocked_products::has_kernels() { return cpu_fits(); }
bool blocked_products::multiplies_in_floats() { return cpu_fits() && prefers_wide() && !has_registers(); }
bool blocked_products::has_registers() { return matrix::are_used(); }
void blocked_products::use_registers(bool are_used) { matrix::are_wanted = are_used; }

std::optional<blocked_products::Weights> blocked_products::pack(const at::Tensor &weight) {
    if (!fits(weight)) return std::nullopt;
    return Weights{in_blocks(weight.to(at::kBFloat16)), {}, {}};
}

std::optional<blocked_products::Weights> blocked_products::pack_int8(const at::Tensor &weight) {
    if (!fits(weight)) return std::nullopt;
    const auto whole = weight.to(at::kFloat), scale = (whole.abs().amax(1) / 127).clamp_min(1e-10).to(at::kBFloat16);
    const auto bytes = (whole / scale.to(at::kFloat).unsqueeze(1)).round().clamp(-127, 127).to(at::kChar);
    const bool fills_registers = matrix::are_used() && weight.size(1) % matrix::depth == 0;
    return Weights{in_blocks(bytes, fills_registers ? quad : pair), scale, {}};
}

std::optional<blocked_products::Weights> blocked_products::pack_int4(const at::Tensor &weight) {
    if (!fits(weight)) return std::nullopt;
    const FourBits bits(weight.to(at::kFloat));
    const int64_t blocks = weight.size(0) / places, words = weight.size(1) / Nibbles::inputs_at_once;
    // [out, groups, 32] as blocks, columns, words, pairs, and the two of a pair.
    const auto numbers = bits.numbers.view({blocks, places, words, Nibbles::inputs_at_once / pair, pair});
    const auto factors = at::tensor({1, 16, 256, 4096}, at::kInt).view({-1, 1});
    const auto values = (numbers * factors).sum(3, false, at::kInt).to(at::kShort);
    const auto scales = at::stack({bits.scale, bits.low}, 2).view({blocks, places, -1, 2}).permute({0, 2, 3, 1});
    return Weights{in_blocks(values.view({weight.size(0), -1})), scales.to(at::kBFloat16).contiguous(), {}};
}

std::vector<at::Tensor> blocked_products::linears(const at::Tensor &x, const std::vector<Weights> &weights) {
    check(x, weights);
    const at::Tensor input = x.contiguous();
    const int64_t inputs = x.size(-1), rows = x.numel() / inputs;
    std::vector<at::Tensor> results;
    for (const auto &each : weights) {
        auto shape = x.sizes().vec();
        shape.back() = each.values.size(0) * places;
        results.push_back(at::empty(shape, x.options()));
    }
    if (rows == 0) return results;
    auto all = [&](auto kind, const auto *from, const float *row_scales, const float *x_sums) {
        using Kind = decltype(kind);
        std::vector<Product<Kind>> products;
        for (size_t i = 0; i < weights.size(); ++i) {
            const auto &[values, scales, bias] = weights[i];
            products.push_back({from, row_scales, x_sums, values.template const_data_ptr<typename Kind::Weight>(), data(scales),
                                data(bias), results[i].mutable_data_ptr<c10::BFloat16>(), rows, results[i].size(-1), inputs});
        }
        multiply(products);
    };
    const auto kind = weights.front().values.scalar_type();
    if (kind == at::kChar) {
        const ScaledRows scaled(data(input), rows, inputs, 127 * (inputs + 1));
        if (weights.front().values.size(3) == quad) {
            const ByteRows bytes(scaled, rows, inputs);
            all(MatrixBytes(), bytes.values.get(), scaled.scales.data(), nullptr);
        } else {
            all(Bytes(), scaled.values.get(), scaled.scales.data(), nullptr);
        }
    } else if (kind == at::kShort) {
        const ScaledRows scaled(data(input), rows, inputs, 15 * (FourBits::group + 1));
        const auto sums = group_sums(scaled.values.get(), rows, inputs);
        all(Nibbles(), scaled.values.get(), scaled.scales.data(), sums.data());
    } else if (matrix::are_used()) {
        const at::Tensor whole = filled(input.view({rows, inputs}));
        all(Matrix(), data(whole), nullptr, nullptr);
    } else if (prefers_wide()) {
        const at::Tensor wide = input.to(at::kFloat);
        all(Wide(), wide.const_data_ptr<float>(), nullptr, nullptr);
    } else {
        all(Halves(), data(input), nullptr, nullptr);
    }
    return results;
}

at::Tensor blocked_products::rows(const at::Tensor &values, const at::Tensor &indices) {
    TORCH_CHECK(is_blocked(values) && values.scalar_type() == at::kBFloat16 && values.is_contiguous() &&
                    indices.scalar_type() == at::kLong && indices.is_cpu(),
                "rows are looked up in a bfloat16 matrix in blocks, by int64 indices");
    const int64_t outputs = values.size(0) * places, pairs = values.size(1), count = indices.numel();
    const at::Tensor wanted = indices.contiguous();
    const auto *row = wanted.const_data_ptr<int64_t>();
    for (int64_t i = 0; i < count; ++i)
        TORCH_CHECK_INDEX(row[i] >= 0 && row[i] < outputs, "index ", row[i], " is out of range; there are ", outputs, " rows");
    auto shape = indices.sizes().vec();
    shape.push_back(pairs * pair);
    at::Tensor found = at::empty(shape, values.options());
    const auto *from = values.const_data_ptr<c10::BFloat16>();
    auto *to = found.mutable_data_ptr<c10::BFloat16>();
    Threads::run(count / 8, [&](int64_t number, int64_t threads) {
        for (int64_t i = count * number / threads; i < count * (number + 1) / threads; ++i) {
            const auto *source = from + (row[i] / places * pairs * places + row[i] % places) * pair;
            for (int64_t k = 0; k < pairs; ++k) std::memcpy(to + (i * pairs + k) * pair, source + k * places * pair, 4);
        }
    });
    return found;
}

#else

bool blocked_products::has_kernels() { return false; }
bool blocked_products::multiplies_in_floats() { return false; }
bool blocked_products::has_registers() { return false; }
void blocked_products::use_registers(bool) {}
std::optional<blocked_products::Weights> blocked_products::pack(const at::Tensor &) { return std::nullopt; }
std::optional<blocked_products::Weights> blocked_products::pack_int8(const at::Tensor &) { return std::nullopt; }
std::optional<blocked_products::Weights> blocked_products::pack_int4(const at::Tensor &) { return std::nullopt; }
std::vector<at::Tensor> blocked_products::linears(const at::Tensor &, const std::vector<Weights> &) {
    TORCH_CHECK(false, "no matrix is laid out in blocks on this CPU");
}
at::Tensor blocked_products::rows(const at::Tensor &, const at::Tensor &) {
    TORCH_CHECK(false, "no matrix is laid out in blocks on this CPU");
}

#endif
