#pragma once

#include "Lanes.h"
#include "MatrixRegisters.h"
#include "PagedAttention.h"
#include "Tiles.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

// Attention of some queries to the pages that they see, in tiles that stay in registers: AVX-512's, or AMX's where the
// CPU has them.
namespace paged_attention {

constexpr float hidden = -std::numeric_limits<float>::infinity();

// The place of an element of a key and of a value in its page.
constexpr int64_t key_place(int64_t slot, int64_t d) { return (d / 2 * page_tokens + slot) * 2 + d % 2; }
constexpr int64_t value_place(int64_t slot, int64_t d, int64_t dimension) {
    return (slot / 2 * dimension + d) * 2 + slot % 2;
}

// One sequence's tokens in the pass.
struct Sequence {
    const int32_t *table;
    int64_t start, count, first;
};

// The shape of the layer, and its memory.
template <typename Number>
struct Layer {
    Number *pages;
    int64_t heads, key_heads, dimension;
    Form form;

    int64_t group() const { return heads / key_heads; }
    int64_t half_page() const { return page_tokens * dimension; }
    Number *keys(int32_t page, int64_t head) const { return pages + (page * key_heads + head) * 2 * half_page(); }
    Number *values(int32_t page, int64_t head) const { return keys(page, head) + half_page(); }
    // The first key that a query at a position sees.
    int64_t lowest(int64_t position) const { return form.window > 0 ? std::max<int64_t>(0, position - form.window + 1) : 0; }
};

// The queries of one head group for some tokens of a sequence: rows of queries, in which a token's heads are
// adjacent.
template <typename Number>
struct Piece {
    const Layer<Number> &layer;
    const Sequence &sequence;
    int64_t head, token, tokens;
    // `[rows][dim]`, rotated and scaled.
    const Number *queries;
    // The output of the whole pass, `[tokens][heads · dim]`.
    Number *output;

    int64_t rows() const { return tokens * layer.group(); }
    int64_t position(int64_t row) const { return sequence.first + token + row / layer.group(); }
    int64_t first_page() const { return layer.lowest(position(0)) / page_tokens; }
    int64_t end_page() const { return position(rows() - 1) / page_tokens + 1; }
    const Number *keys(int64_t page) const { return layer.keys(sequence.table[page], head); }
    const Number *values(int64_t page) const { return layer.values(sequence.table[page], head); }
    Number *out(int64_t row) const {
        const int64_t place = sequence.start + token + row / layer.group();
        return output + (place * layer.heads + head * layer.group() + row % layer.group()) * layer.dimension;
    }

    // Caps scores, and hides the keys that a row does not see; `scores` begins at the first page's first key.
    void mask(float *scores, int64_t row, int64_t width) const {
        const int64_t base = first_page() * page_tokens, end = position(row) + 1 - base;
        if (layer.form.cap > 0)
            for (int64_t t = 0; t < end; ++t)
                scores[t] = std::tanh(scores[t] / static_cast<float>(layer.form.cap)) * static_cast<float>(layer.form.cap);
        for (int64_t t = end; t < width; ++t) scores[t] = hidden;
        for (int64_t t = 0; t < layer.lowest(position(row)) - base; ++t) scores[t] = hidden;
    }
};

#if defined(__x86_64__)

using namespace tiles;

// In AMX's registers: a page of keys fills one for every 32 elements, a page of values half of one for every 16.
struct Matrix : Halves {};

// Computes in registers: the scores of a tile of rows with four pages at a time, then the weighted values of 64
// elements at a time.
template <typename Kind>
struct InTiles {
    using Half = c10::BFloat16;
    const Piece<Half> &piece;
    const typename Kind::Input *queries;
    float *scores;
    typename Kind::Input *weights;
    float *inverse;
    int64_t first, pages;

    int64_t width() const { return pages * page_tokens; }

    template <int Rows, int Blocks>
    AVX512 void score(int64_t row, int64_t page) const {
        const Half *keys[Blocks];
        for (int b = 0; b < Blocks; ++b) keys[b] = piece.keys(first + page + b);
        __m512 sums[Rows][Blocks];
        clear<Kind>(sums);
        const int64_t dimension = piece.layer.dimension;
        accumulate<Kind>(sums, queries + row * dimension, dimension, keys, places * pair, dimension / pair);
        for (int r = 0; r < Rows; ++r)
            for (int b = 0; b < Blocks; ++b) _mm512_storeu_ps(scores + (row + r) * width() + (page + b) * page_tokens, sums[r][b]);
    }

    // Turns a row's scores into weights relative to the largest; the inverse of their sum is kept for the end.
    AVX512 void weigh(int64_t row) const {
        float *own = scores + row * width();
        piece.mask(own, row, width());
        __m512 most = _mm512_loadu_ps(own);
        for (int64_t t = places; t < width(); t += places) most = _mm512_max_ps(most, _mm512_loadu_ps(own + t));
        const __m512 top = _mm512_set1_ps(_mm512_reduce_max_ps(most));
        __m512 sum = _mm512_setzero_ps();
        for (int64_t t = 0; t < width(); t += places) {
            const __m512 weight = lanes::exp(_mm512_sub_ps(_mm512_loadu_ps(own + t), top));
            sum = _mm512_add_ps(sum, weight);
            if constexpr (std::is_same_v<typename Kind::Input, float>)
                _mm512_storeu_ps(weights + row * width() + t, weight);
            else
                _mm256_storeu_si256(reinterpret_cast<__m256i *>(weights + row * width() + t),
                                    (__m256i)_mm512_cvtneps_pbh(weight));
        }
        inverse[row] = 1 / _mm512_reduce_add_ps(sum);
    }

    template <int Rows, int Blocks>
    AVX512 void sum(int64_t row, int64_t d) const {
        __m512 sums[Rows][Blocks];
        clear<Kind>(sums);
        for (int64_t page = 0; page < pages; ++page) {
            const Half *values[Blocks];
            for (int b = 0; b < Blocks; ++b) values[b] = piece.values(first + page) + (d + b * places) * pair;
            accumulate<Kind>(sums, weights + row * width() + page * page_tokens, width(), values,
                             piece.layer.dimension * pair, page_tokens / pair);
        }
        for (int r = 0; r < Rows; ++r)
            for (int b = 0; b < Blocks; ++b)
                _mm256_storeu_epi16(piece.out(row + r) + d + b * places,
                                    (__m256i)_mm512_cvtneps_pbh(_mm512_mul_ps(sums[r][b], _mm512_set1_ps(inverse[row + r]))));
    }

    // Scores of 16 rows with some pages.
    template <int pages_at_once>
    AMX void score_in_registers(int64_t row, int64_t page) const {
        const int64_t dimension = piece.layer.dimension;
        using Sums = matrix::Sums<1, pages_at_once>;
        Sums::clear();
        for (int64_t d = 0; d < dimension; d += lane)
            Sums::add(queries + row * dimension + d, dimension * sizeof(Half),
                      [&](int b) { return piece.keys(first + page + b) + d * places; }, page_tokens * pair * sizeof(Half));
        Sums::store(scores + row * width() + page * page_tokens, places, 0, width() * sizeof(float));
    }

    // The weighted values of 16 rows, 16 elements for each of some registers.
    template <int registers>
    AMX void sum_in_registers(int64_t row, int64_t d) const {
        const int64_t dimension = piece.layer.dimension;
        alignas(64) float sums[matrix::side][registers * places];
        using Sums = matrix::Sums<1, registers>;
        Sums::clear();
        for (int64_t page = 0; page < pages; ++page)
            Sums::add(weights + row * width() + page * page_tokens, width() * sizeof(Half),
                      [&](int b) { return piece.values(first + page) + (d + b * places) * pair; }, dimension * pair * sizeof(Half));
        Sums::store(sums[0], places, 0, sizeof sums[0]);
        for (int64_t r = 0; r < std::min(piece.rows() - row, matrix::side); ++r)
            for (int b = 0; b < registers; ++b)
                _mm256_storeu_epi16(piece.out(row + r) + d + b * places,
                                    (__m256i)_mm512_cvtneps_pbh(
                                        _mm512_mul_ps(_mm512_load_ps(sums[r] + b * places), _mm512_set1_ps(inverse[row + r]))));
    }

    AMX void run_in_registers() const {
        const int64_t rows = piece.rows(), dimension = piece.layer.dimension;
        {
            const matrix::Registers registers(true);
            for (int64_t row = 0; row < rows; row += matrix::side) {
                int64_t page = 0;
                for (; page + 4 <= pages; page += 4) score_in_registers<4>(row, page);
                for (; page < pages; ++page) score_in_registers<1>(row, page);
            }
        }
        for (int64_t row = 0; row < rows; ++row) weigh(row);
        const matrix::Registers registers(true, page_tokens / pair);
        for (int64_t row = 0; row < rows; row += matrix::side) {
            int64_t d = 0;
            for (; d + 4 * places <= dimension; d += 4 * places) sum_in_registers<4>(row, d);
            for (; d < dimension; d += places) sum_in_registers<1>(row, d);
        }
    }

    AVX512 void run() const {
        if constexpr (std::is_same_v<Kind, Matrix>) run_in_registers();
        else run_in_vectors();
    }

    AVX512 void run_in_vectors() const {
        const int64_t rows = piece.rows(), dimension = piece.layer.dimension;
        for_rows(rows, [&]<int Rows>(int64_t row) AVX512 {
            int64_t page = 0;
            for (; page + 4 <= pages; page += 4) score<Rows, 4>(row, page);
            for (; page < pages; ++page) score<Rows, 1>(row, page);
        });
        for (int64_t row = 0; row < rows; ++row) weigh(row);
        for_rows(rows, [&]<int Rows>(int64_t row) AVX512 {
            int64_t d = 0;
            for (; d + 4 * places <= dimension; d += 4 * places) sum<Rows, 4>(row, d);
            for (; d < dimension; d += places) sum<Rows, 1>(row, d);
        });
    }
};

template <typename Kind>
void attend_in_tiles(const Piece<c10::BFloat16> &piece, std::vector<float> &room) {
    const int64_t first = piece.first_page(), pages = piece.end_page() - first;
    const int64_t width = pages * page_tokens;
    // Registers are filled with rows that do not count.
    const int64_t rows = std::is_same_v<Kind, Matrix> ? matrix::filled(piece.rows()) : piece.rows();
    const int64_t numbers = rows * piece.layer.dimension;
    room.resize(2 * rows * width + rows + numbers);
    float *scores = room.data(), *weights = scores + rows * width, *inverse = weights + rows * width;
    const typename Kind::Input *queries;
    if constexpr (std::is_same_v<typename Kind::Input, float>) {
        std::copy(piece.queries, piece.queries + numbers, inverse + rows);
        queries = inverse + rows;
    } else {
        queries = piece.queries;
    }
    InTiles<Kind>{piece, queries, scores, reinterpret_cast<typename Kind::Input *>(weights), inverse, first, pages}.run();
}

inline bool fits_tiles(const Layer<c10::BFloat16> &layer) { return lanes::cpu_fits() && layer.dimension % lanes::lane == 0; }

inline void attend(const Piece<c10::BFloat16> &piece, bool uses_registers, std::vector<float> &room) {
    if (uses_registers) return attend_in_tiles<Matrix>(piece, room);
    prefers_wide() ? attend_in_tiles<Wide>(piece, room) : attend_in_tiles<Halves>(piece, room);
}

#else

inline bool fits_tiles(const Layer<c10::BFloat16> &) { return false; }
inline void attend(const Piece<c10::BFloat16> &, bool, std::vector<float> &) {}

#endif

}
