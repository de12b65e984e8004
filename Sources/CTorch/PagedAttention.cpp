#include "PagedAttention.h"

#include "Lanes.h"
#include "MatrixRegisters.h"
#include "Threads.h"
#include "Tiles.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>
#if defined(__unix__) || defined(__APPLE__)
#include <sys/mman.h>
#endif

namespace {

using paged_attention::Form;
using paged_attention::page_tokens;

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

// A head's vector, normalised if there is a weight for that, and rotated by its angles: `to` in float32.
template <typename Number, typename Angle>
void turn(const Number *from, const Number *norm, const Angle *cosine, const Angle *sine, int64_t turned, int64_t dimension,
          double epsilon, float *to) {
    for (int64_t i = 0; i < dimension; ++i) to[i] = from[i];
    if (norm) {
        float squares = 0;
        for (int64_t i = 0; i < dimension; ++i) squares += to[i] * to[i];
        const float factor = 1 / std::sqrt(squares / dimension + static_cast<float>(epsilon));
        for (int64_t i = 0; i < dimension; ++i) to[i] = static_cast<Number>(to[i] * factor * static_cast<float>(norm[i]));
    }
    const int64_t half = turned / 2;
    for (int64_t i = 0; i < half; ++i) {
        const float a = to[i], b = to[half + i];
        to[i] = a * static_cast<float>(cosine[i]) - b * static_cast<float>(sine[i]);
        to[half + i] = b * static_cast<float>(cosine[half + i]) + a * static_cast<float>(sine[half + i]);
    }
}

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
        matrix::clear<pages_at_once>();
        for (int64_t d = 0; d < dimension; d += lane)
            matrix::add<pages_at_once>(queries + row * dimension + d, dimension * sizeof(Half),
                                       [&](int b) { return piece.keys(first + page + b) + d * places; }, page_tokens * pair * sizeof(Half));
        matrix::store<pages_at_once>(scores + row * width() + page * page_tokens, places, width() * sizeof(float));
    }

    // The weighted values of 16 rows, 16 elements for each of some registers.
    template <int registers>
    AMX void sum_in_registers(int64_t row, int64_t d) const {
        const int64_t dimension = piece.layer.dimension;
        alignas(64) float sums[matrix::side][registers * places];
        matrix::clear<registers>();
        for (int64_t page = 0; page < pages; ++page)
            matrix::add<registers>(weights + row * width() + page * page_tokens, width() * sizeof(Half),
                                   [&](int b) { return piece.values(first + page) + (d + b * places) * pair; }, dimension * pair * sizeof(Half));
        matrix::store<registers>(sums[0], places, sizeof sums[0]);
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

bool fits_tiles(const Layer<c10::BFloat16> &layer) { return lanes::cpu_fits() && layer.dimension % lanes::lane == 0; }

void attend(const Piece<c10::BFloat16> &piece, bool uses_registers, std::vector<float> &room) {
    if (uses_registers) return attend_in_tiles<Matrix>(piece, room);
    prefers_wide() ? attend_in_tiles<Wide>(piece, room) : attend_in_tiles<Halves>(piece, room);
}

#else

bool fits_tiles(const Layer<c10::BFloat16> &) { return false; }
void attend(const Piece<c10::BFloat16> &, bool, std::vector<float> &) {}

#endif

bool fits_tiles(const Layer<float> &) { return false; }
void attend(const Piece<float> &, bool, std::vector<float> &) {}

// For other CPUs, and for float32: copies a sequence's keys and values into one piece each, and uses libtorch's
// products.
template <typename Number>
void attend_at_once(const Layer<Number> &layer, const Sequence &sequence, const Number *queries, int64_t pass_tokens,
                    Number *output) {
    const int64_t dimension = layer.dimension, group = layer.group(), count = sequence.count;
    const int64_t first = layer.lowest(sequence.first), keys = sequence.first + count - first;
    at::Tensor k = at::empty({layer.key_heads, keys, dimension}, at::kFloat), v = at::empty_like(k);
    at::Tensor q = at::empty({layer.key_heads, count * group, dimension}, at::kFloat);
    for (int64_t head = 0; head < layer.key_heads; ++head) {
        auto *to_k = k.template mutable_data_ptr<float>() + head * keys * dimension;
        auto *to_v = v.template mutable_data_ptr<float>() + head * keys * dimension;
        for (int64_t t = 0; t < keys; ++t) {
            const int32_t page = sequence.table[(first + t) / page_tokens];
            const auto *from_k = layer.keys(page, head), *from_v = layer.values(page, head);
            const int64_t slot = (first + t) % page_tokens;
            for (int64_t d = 0; d < dimension; ++d) {
                to_k[t * dimension + d] = from_k[key_place(slot, d)];
                to_v[t * dimension + d] = from_v[value_place(slot, d, dimension)];
            }
        }
        const auto *own = queries + (head * pass_tokens + sequence.start) * group * dimension;
        std::copy(own, own + count * group * dimension, q.template mutable_data_ptr<float>() + head * count * group * dimension);
    }
    at::Tensor scores = at::bmm(q, k.transpose(1, 2));
    if (layer.form.cap > 0) scores = at::tanh(scores / layer.form.cap) * layer.form.cap;
    const auto query = at::arange(sequence.first, sequence.first + count).view({1, count, 1, 1});
    const auto key = at::arange(first, first + keys).view({1, 1, 1, keys});
    auto unseen = key.gt(query);
    if (layer.form.window > 0) unseen = unseen.logical_or(key.le(query - layer.form.window));
    scores = scores.view({layer.key_heads, count, group, keys}).masked_fill(unseen, hidden);
    const auto sums = at::bmm(at::softmax(scores, -1).view({layer.key_heads, count * group, keys}), v)
                          .view({layer.key_heads, count, group, dimension})
                          .transpose(0, 1)
                          .contiguous();
    const at::Tensor joined = sums;
    const auto *from = joined.template const_data_ptr<float>();
    std::copy(from, from + sums.numel(), output + sequence.start * layer.heads * dimension);
}

// The approximate number of rows of queries in a piece: their scores must stay in a core's cache.
constexpr int64_t piece_rows = 24;

template <typename Number, typename Angle>
struct Work {
    const Layer<Number> layer;
    const std::vector<Sequence> sequences;
    // Without keys and values, the pages already hold those of the pass.
    const Number *q, *k, *v, *q_norm, *k_norm;
    const Angle *cosine, *sine;
    int64_t turned, tokens;
    Number *output;

    // Rotated and scaled queries, `[key heads][tokens][group · dim]`, so that a piece's rows are consecutive.
    // Behind the last are as many as fill a register.
    std::unique_ptr<Number[]> queries =
        std::make_unique_for_overwrite<Number[]>((tokens * layer.heads + matrix::side) * layer.dimension);
    // Decided by the thread that shares out the work.
    const bool uses_registers = matrix::are_used();

    void prepare(const Sequence &sequence, int64_t token, float *room) const {
        const int64_t place = sequence.start + token, position = sequence.first + token;
        const int64_t dimension = layer.dimension, group = layer.group();
        const int32_t page = sequence.table[position / page_tokens];
        const int64_t slot = position % page_tokens;
        const auto *c = cosine + place * turned, *s = sine + place * turned;
        for (int64_t head = 0; head < layer.heads; ++head) {
            turn(q + (place * layer.heads + head) * dimension, q_norm, c, s, turned, dimension, layer.form.norm_epsilon, room);
            auto *to = queries.get() + ((head / group * tokens + place) * group + head % group) * dimension;
            for (int64_t d = 0; d < dimension; ++d) to[d] = room[d] * static_cast<float>(layer.form.scale);
        }
        for (int64_t head = 0; k && head < layer.key_heads; ++head) {
            auto *keys = layer.keys(page, head), *values = layer.values(page, head);
            const auto place_of_head = (place * layer.key_heads + head) * dimension;
            turn(k + place_of_head, k_norm, c, s, turned, dimension, layer.form.norm_epsilon, room);
            for (int64_t d = 0; d < dimension; ++d) {
                keys[key_place(slot, d)] = room[d];
                values[value_place(slot, d, dimension)] = v[place_of_head + d];
            }
        }
    }

    // Clears the pages that the pass begins, since a NaN left there would survive even a weight of zero. This happens
    // before threads share the tokens, because threads may share a page.
    void clear_new_pages() const {
        for (const auto &sequence : sequences)
            for (int64_t token = (page_tokens - sequence.first % page_tokens) % page_tokens; token < sequence.count;
                 token += page_tokens)
                for (int64_t head = 0; head < layer.key_heads; ++head) {
                    auto *keys = layer.keys(sequence.table[(sequence.first + token) / page_tokens], head);
                    std::fill(keys, keys + 2 * layer.half_page(), Number(0));
                }
    }

    void run() const {
        if (k) clear_new_pages();
        Threads::run(tokens * (layer.heads + layer.key_heads) * layer.dimension / 16384, [&](int64_t number, int64_t count) {
            std::vector<float> room(layer.dimension);
            int64_t place = 0;
            for (const auto &sequence : sequences)
                for (int64_t token = 0; token < sequence.count; ++token, ++place)
                    if (place * count / tokens == number) prepare(sequence, token, room.data());
        });
        if (!fits_tiles(layer)) {
            for (const auto &sequence : sequences) attend_at_once(layer, sequence, queries.get(), tokens, output);
            return;
        }
        struct Share {
            const Sequence *sequence;
            int64_t head, token, count;
        };
        std::vector<Share> shares;
        int64_t products = 0;
        const int64_t most = std::max<int64_t>(1, piece_rows / layer.group());
        for (const auto &sequence : sequences)
            for (int64_t head = 0; head < layer.key_heads; ++head)
                for (int64_t token = 0; token < sequence.count; token += most) {
                    shares.push_back({&sequence, head, token, std::min(most, sequence.count - token)});
                    products += (sequence.first + token) * shares.back().count * layer.group() * layer.dimension;
                }
        std::atomic<size_t> next = 0;
        Threads::run(std::min<int64_t>(shares.size(), products / 65536), [&](int64_t, int64_t) {
            std::vector<float> room;
            for (size_t i = next++; i < shares.size(); i = next++) {
                const auto &[sequence, head, token, count] = shares[i];
                const auto *own = queries.get() +
                                  (head * tokens + sequence->start + token) * layer.group() * layer.dimension;
                attend(Piece<Number>{layer, *sequence, head, token, count, own, output}, uses_registers, room);
            }
        });
    }
};

std::vector<Sequence> sequences(const paged_attention::Pass &pass, int64_t tokens, int64_t pages) {
    const auto &[tables, starts, firsts] = pass;
    for (const auto *x : {&tables, &starts, &firsts})
        TORCH_CHECK(x->is_cpu() && x->scalar_type() == at::kInt && x->is_contiguous(), "a pass is described by int32 on the CPU");
    const int64_t count = firsts.numel(), width = tables.size(1);
    TORCH_CHECK(tables.dim() == 2 && tables.size(0) == count && starts.numel() == count + 1, "a pass of ", count,
                " sequences has other tables or starts");
    const auto *start = starts.const_data_ptr<int32_t>(), *first = firsts.const_data_ptr<int32_t>();
    const auto *table = tables.const_data_ptr<int32_t>();
    TORCH_CHECK(start[0] == 0 && start[count] == tokens, "the sequences of a pass have ", start[count], " tokens, and there are ",
                tokens);
    std::vector<Sequence> list;
    for (int64_t i = 0; i < count; ++i) {
        list.push_back({table + i * width, start[i], start[i + 1] - start[i], first[i]});
        const auto &sequence = list.back();
        const int64_t used = (sequence.first + sequence.count + page_tokens - 1) / page_tokens;
        TORCH_CHECK(sequence.count > 0 && sequence.first >= 0 && used <= width, "sequence ", i, " needs ", used,
                    " pages, and its table has ", width);
        for (int64_t page = 0; page < used; ++page)
            TORCH_CHECK(sequence.table[page] >= 0 && sequence.table[page] < pages, "sequence ", i, " names page ",
                        sequence.table[page], " of ", pages);
    }
    return list;
}

template <typename Number, typename Angle>
void work(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, const at::Tensor &cosine, const at::Tensor &sine,
          const at::Tensor &q_norm, const at::Tensor &k_norm, at::Tensor &pages, const paged_attention::Pass &pass,
          const Form &form, at::Tensor &output) {
    const int64_t dimension = pages.size(3) / page_tokens, key_heads = pages.size(1);
    auto optional = [](const at::Tensor &x) { return x.defined() ? x.const_data_ptr<Number>() : nullptr; };
    Work<Number, Angle>{
        {pages.mutable_data_ptr<Number>(), q.size(1) / dimension, key_heads, dimension, form},
        sequences(pass, q.size(0), pages.size(0)), q.const_data_ptr<Number>(), optional(k), optional(v),
        optional(q_norm), optional(k_norm), cosine.const_data_ptr<Angle>(), sine.const_data_ptr<Angle>(),
        cosine.size(1), q.size(0), output.mutable_data_ptr<Number>()}
        .run();
}

}

at::Tensor paged_attention::attend(const at::Tensor &q, const std::optional<at::Tensor> &k,
                                   const std::optional<at::Tensor> &v, const at::Tensor &cosine, const at::Tensor &sine,
                                   const std::optional<at::Tensor> &q_norm, const std::optional<at::Tensor> &k_norm,
                                   at::Tensor &pages, const Pass &pass, const Form &form) {
    TORCH_CHECK(!c10::GradMode::is_enabled(), "attention over pages is for inference, and gradients are enabled");
    const auto type = pages.scalar_type();
    TORCH_CHECK(pages.is_cpu() && pages.is_contiguous() && pages.dim() == 4 && pages.size(2) == 2, "pages of another shape");
    TORCH_CHECK(type == at::kBFloat16 || type == at::kFloat, "pages hold bfloat16 or float32, not ", type);
    const int64_t dimension = pages.size(3) / page_tokens, key_width = pages.size(1) * dimension;
    TORCH_CHECK(k.has_value() == v.has_value(), "keys and values come together");
    for (const auto *x : {&q, k ? &*k : &q, v ? &*v : &q})
        TORCH_CHECK(x->is_cpu() && x->dim() == 2 && x->scalar_type() == type && x->size(0) == q.size(0),
                    "queries, keys and values must be one row a token, in the pages' type");
    const bool keys_fit = !k || (k->size(1) == key_width && v->size(1) == key_width);
    TORCH_CHECK(q.size(1) % key_width == 0 && keys_fit && dimension % 2 == 0,
                "queries, keys and values do not fit pages of ", pages.size(1), " heads of ", dimension);
    TORCH_CHECK(cosine.dim() == 2 && cosine.size(0) == q.size(0) && cosine.sizes() == sine.sizes() &&
                    cosine.scalar_type() == sine.scalar_type() && cosine.size(1) <= dimension && cosine.size(1) % 2 == 0,
                "the angles do not fit the tokens");
    auto norm = [&](const std::optional<at::Tensor> &weight) {
        if (!weight) return at::Tensor();
        TORCH_CHECK(weight->numel() == dimension, "a norm of heads has ", weight->numel(), " weights for ", dimension);
        return weight->to(type).contiguous();
    };
    const at::Tensor queries = q.contiguous(), keys = k ? k->contiguous() : at::Tensor();
    const at::Tensor values = v ? v->contiguous() : at::Tensor();
    const at::Tensor cosines = cosine.contiguous(), sines = sine.contiguous(), of_q = norm(q_norm), of_k = norm(k_norm);
    at::Tensor output = at::empty(q.sizes(), q.options());
    const bool half = type == at::kBFloat16, half_angles = cosines.scalar_type() == at::kBFloat16;
    TORCH_CHECK(half_angles || cosines.scalar_type() == at::kFloat, "angles are bfloat16 or float32");
    (half ? half_angles ? work<c10::BFloat16, c10::BFloat16> : work<c10::BFloat16, float>
          : half_angles ? work<float, c10::BFloat16>
                        : work<float, float>)(queries, keys, values, cosines, sines, of_q, of_k, pages, pass, form, output);
    return output;
}

at::Tensor paged_attention::zero_pages(at::IntArrayRef shape, at::ScalarType type) {
    const auto options = at::TensorOptions(type);
    size_t bytes = at::elementSize(type);
    for (const auto extent : shape) bytes *= extent;
#if defined(__unix__) || defined(__APPLE__)
    void *memory = bytes == 0 ? MAP_FAILED : mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory != MAP_FAILED)
        return at::from_blob(memory, shape, [bytes](void *memory) { munmap(memory, bytes); }, options);
#endif
    return at::zeros(shape, options);
}
