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

// One sequence's tokens in the pass. Their queries are kept from `row` on: sequences with the same beginning are
// adjacent there.
struct Sequence {
    const int32_t *table;
    int64_t start, count, first, row;

    // The pages that hold nothing but earlier tokens.
    int64_t earlier_pages() const { return first / page_tokens; }
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

// Pieces of one head whose sequences begin with the same pages, which are read once for the rows of all. Their queries
// are consecutive.
template <typename Number>
struct Bundle {
    const std::vector<Piece<Number>> &pieces;
    // The first page that their queries see, and how many pages from there on they share.
    int64_t first, shared;

    int64_t rows() const {
        int64_t rows = 0;
        for (const auto &piece : pieces) rows += piece.rows();
        return rows;
    }
    int64_t most_rows() const {
        int64_t most = 0;
        for (const auto &piece : pieces) most = std::max(most, piece.rows());
        return most;
    }
    int64_t pages() const {
        int64_t most = 0;
        for (const auto &piece : pieces) most = std::max(most, piece.end_page() - first);
        return most;
    }
    // Calls `body(piece, row)` with each piece and its first row.
    void for_pieces(const auto &body) const {
        int64_t row = 0;
        for (const auto &piece : pieces) {
            body(piece, row);
            row += piece.rows();
        }
    }
};

#if defined(__x86_64__)

using namespace tiles;

// In AMX's registers: a page of keys fills one for every 32 elements, a page of values half of one for every 16.
struct Matrix : Halves {};

// Computes in registers: the scores of a tile of rows with four pages at a time, then the weighted values of 64
// elements at a time. First comes what the pieces of a bundle share, then each one's own.
template <typename Kind>
struct InTiles {
    using Half = c10::BFloat16;
    using Input = typename Kind::Input;
    const Bundle<Half> &bundle;
    const Input *queries;
    // `[rows][width]` for the tokens of the pages from the first on.
    float *scores;
    Input *weights;
    int64_t width;
    // Of each row, the inverse of its weights' sum.
    float *inverse;
    // `[rows][dim]`: the weighted values of shared pages.
    float *begun;

    // Rows and the pages that they see: what all pieces share, or what is one piece's own.
    struct Part {
        const Piece<Half> &piece;
        int64_t row, rows, page, end;
        bool is_shared;
    };

    const Layer<Half> &layer() const { return bundle.pieces[0].layer; }

    Part shared_part() const { return {bundle.pieces[0], 0, bundle.rows(), 0, bundle.shared, true}; }

    void for_own_parts(const auto &body) const {
        bundle.for_pieces([&](const Piece<Half> &piece, int64_t row) {
            body(Part{piece, row, piece.rows(), bundle.shared, piece.end_page() - bundle.first, false});
        });
    }

    template <int Rows, int Blocks>
    AVX512 void score(const Piece<Half> &piece, int64_t row, int64_t page) const {
        const Half *keys[Blocks];
        for (int b = 0; b < Blocks; ++b) keys[b] = piece.keys(bundle.first + page + b);
        __m512 sums[Rows][Blocks];
        clear<Kind>(sums);
        const int64_t dimension = layer().dimension;
        accumulate<Kind>(sums, queries + row * dimension, dimension, keys, places * pair, dimension / pair);
        for (int r = 0; r < Rows; ++r)
            for (int b = 0; b < Blocks; ++b) _mm512_storeu_ps(scores + (row + r) * width + (page + b) * page_tokens, sums[r][b]);
    }

    // Turns the scores of a piece's row into weights relative to the largest; the inverse of their sum is kept for the
    // end.
    AVX512 void weigh(const Piece<Half> &piece, int64_t own, int64_t row) const {
        float *scored = scores + row * width;
        const int64_t seen = (piece.end_page() - bundle.first) * page_tokens;
        piece.mask(scored, own, seen);
        __m512 most = _mm512_loadu_ps(scored);
        for (int64_t t = places; t < seen; t += places) most = _mm512_max_ps(most, _mm512_loadu_ps(scored + t));
        const __m512 top = _mm512_set1_ps(_mm512_reduce_max_ps(most));
        __m512 sum = _mm512_setzero_ps();
        for (int64_t t = 0; t < seen; t += places) {
            const __m512 weight = lanes::exp(_mm512_sub_ps(_mm512_loadu_ps(scored + t), top));
            sum = _mm512_add_ps(sum, weight);
            if constexpr (std::is_same_v<Input, float>)
                _mm512_storeu_ps(weights + row * width + t, weight);
            else
                _mm256_storeu_si256(reinterpret_cast<__m256i *>(weights + row * width + t),
                                    (__m256i)_mm512_cvtneps_pbh(weight));
        }
        inverse[row] = 1 / _mm512_reduce_add_ps(sum);
    }

    // Writes out 16 elements of a row.
    AVX512 void finish(const Part &part, int64_t row, int64_t d, __m512 sum) const {
        _mm256_storeu_epi16(part.piece.out(row - part.row) + d,
                            (__m256i)_mm512_cvtneps_pbh(_mm512_mul_ps(sum, _mm512_set1_ps(inverse[row]))));
    }

    // Weighted values of a part's pages for some of its rows, from what was begun; kept for the pieces, or written out as
    // the result of one.
    template <int Rows, int Blocks>
    AVX512 void sum(const Part &part, int64_t row, int64_t d) const {
        const int64_t dimension = layer().dimension;
        __m512 sums[Rows][Blocks];
        if (part.page > 0)
            for (int r = 0; r < Rows; ++r)
                for (int b = 0; b < Blocks; ++b) sums[r][b] = _mm512_loadu_ps(begun + (row + r) * dimension + d + b * places);
        else
            clear<Kind>(sums);
        for (int64_t page = part.page; page < part.end; ++page) {
            const Half *values[Blocks];
            for (int b = 0; b < Blocks; ++b) values[b] = part.piece.values(bundle.first + page) + (d + b * places) * pair;
            accumulate<Kind>(sums, weights + row * width + page * page_tokens, width, values, dimension * pair, page_tokens / pair);
        }
        for (int r = 0; r < Rows; ++r)
            for (int b = 0; b < Blocks; ++b)
                if (part.is_shared)
                    _mm512_storeu_ps(begun + (row + r) * dimension + d + b * places, sums[r][b]);
                else
                    finish(part, row + r, d + b * places, sums[r][b]);
    }

    // Scores of 16 rows with some pages.
    template <int pages_at_once>
    AMX void score_in_registers(const Piece<Half> &piece, int64_t row, int64_t page) const {
        const int64_t dimension = layer().dimension;
        using Sums = matrix::Sums<1, pages_at_once>;
        Sums::clear();
        for (int64_t d = 0; d < dimension; d += lane)
            Sums::add(queries + row * dimension + d, dimension * sizeof(Half),
                      [&](int b) { return piece.keys(bundle.first + page + b) + d * places; }, page_tokens * pair * sizeof(Half));
        Sums::store(scores + row * width + page * page_tokens, places, 0, width * sizeof(float));
    }

    // As above for 16 rows, 16 elements for each of some registers. Rows behind the part's do not count.
    template <int registers>
    AMX void sum_in_registers(const Part &part, int64_t row, int64_t d) const {
        const int64_t dimension = layer().dimension;
        using Sums = matrix::Sums<1, registers>;
        if (part.page > 0) Sums::load(begun + row * dimension + d, places, 0, dimension * sizeof(float));
        else Sums::clear();
        for (int64_t page = part.page; page < part.end; ++page)
            Sums::add(weights + row * width + page * page_tokens, width * sizeof(Half),
                      [&](int b) { return part.piece.values(bundle.first + page) + (d + b * places) * pair; },
                      dimension * pair * sizeof(Half));
        if (part.is_shared) return Sums::store(begun + row * dimension + d, places, 0, dimension * sizeof(float));
        alignas(64) float sums[matrix::side][registers * places];
        Sums::store(sums[0], places, 0, sizeof sums[0]);
        for (int64_t r = 0; r < std::min(part.row + part.rows - row, matrix::side); ++r)
            for (int b = 0; b < registers; ++b) finish(part, row + r, d + b * places, _mm512_load_ps(sums[r] + b * places));
    }

    // Scores of a part. In registers, rows that follow it are overwritten: they are scored later.
    AVX512 void score_pages(const Part &part) const {
        if constexpr (std::is_same_v<Kind, Matrix>) {
            for (int64_t r = 0; r < part.rows; r += matrix::side) {
                int64_t page = part.page;
                for (; page + 4 <= part.end; page += 4) score_in_registers<4>(part.piece, part.row + r, page);
                for (; page < part.end; ++page) score_in_registers<1>(part.piece, part.row + r, page);
            }
        } else {
            for_rows(part.rows, [&]<int Rows>(int64_t r) AVX512 {
                int64_t page = part.page;
                for (; page + 4 <= part.end; page += 4) score<Rows, 4>(part.piece, part.row + r, page);
                for (; page < part.end; ++page) score<Rows, 1>(part.piece, part.row + r, page);
            });
        }
    }

    AVX512 void sum_pages(const Part &part) const {
        const int64_t dimension = layer().dimension;
        if constexpr (std::is_same_v<Kind, Matrix>) {
            for (int64_t r = 0; r < part.rows; r += matrix::side) {
                int64_t d = 0;
                for (; d + 4 * places <= dimension; d += 4 * places) sum_in_registers<4>(part, part.row + r, d);
                for (; d < dimension; d += places) sum_in_registers<1>(part, part.row + r, d);
            }
        } else {
            for_rows(part.rows, [&]<int Rows>(int64_t r) AVX512 {
                int64_t d = 0;
                for (; d + 4 * places <= dimension; d += 4 * places) sum<Rows, 4>(part, part.row + r, d);
                for (; d < dimension; d += places) sum<Rows, 1>(part, part.row + r, d);
            });
        }
    }

    AVX512 void run() const {
        const int64_t rows = bundle.rows(), most = bundle.most_rows();
        if (bundle.shared) {
            const auto registers = opened(matrix::side, rows);
            score_pages(shared_part());
        }
        {
            const auto registers = opened(matrix::side, most);
            for_own_parts([&](const Part &part) { score_pages(part); });
        }
        bundle.for_pieces([&](const Piece<Half> &piece, int64_t row) {
            for (int64_t own = 0; own < piece.rows(); ++own) weigh(piece, own, row + own);
        });
        if (bundle.shared) {
            const auto registers = opened(page_tokens / pair, rows);
            sum_pages(shared_part());
        }
        const auto registers = opened(page_tokens / pair, most);
        for_own_parts([&](const Part &part) { sum_pages(part); });
    }

    static matrix::Registers opened(int64_t pairs, int64_t rows) {
        return matrix::Registers(std::is_same_v<Kind, Matrix>, pairs, std::min(rows, matrix::side));
    }
};

template <typename Kind>
void attend_in_tiles(const Bundle<c10::BFloat16> &bundle, std::vector<float> &room) {
    const int64_t width = bundle.pages() * page_tokens, dimension = bundle.pieces[0].layer.dimension;
    // Registers are filled with rows that do not count.
    const int64_t rows = bundle.rows() + (std::is_same_v<Kind, Matrix> ? matrix::side : 0), numbers = rows * dimension;
    room.resize(2 * rows * width + rows + 2 * numbers);
    float *scores = room.data(), *weights = scores + rows * width, *inverse = weights + rows * width;
    float *begun = inverse + rows, *copied = begun + numbers;
    const typename Kind::Input *queries;
    if constexpr (std::is_same_v<typename Kind::Input, float>) {
        std::copy(bundle.pieces[0].queries, bundle.pieces[0].queries + numbers, copied);
        queries = copied;
    } else {
        queries = bundle.pieces[0].queries;
    }
    InTiles<Kind>{bundle, queries, scores, reinterpret_cast<typename Kind::Input *>(weights), width, inverse, begun}.run();
}

inline bool fits_tiles(const Layer<c10::BFloat16> &layer) { return lanes::cpu_fits() && layer.dimension % lanes::lane == 0; }

inline void attend(const Bundle<c10::BFloat16> &bundle, bool uses_registers, std::vector<float> &room) {
    if (uses_registers) return attend_in_tiles<Matrix>(bundle, room);
    prefers_wide() ? attend_in_tiles<Wide>(bundle, room) : attend_in_tiles<Halves>(bundle, room);
}

#else

inline bool fits_tiles(const Layer<c10::BFloat16> &) { return false; }
inline void attend(const Bundle<c10::BFloat16> &, bool, std::vector<float> &) {}

#endif

}
