#include "PagedAttention.h"

#include "PagedTiles.h"
#include "Threads.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
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

using namespace paged_attention;

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

bool fits_tiles(const Layer<float> &) { return false; }
void attend(const Bundle<float> &, bool, std::vector<float> &) {}

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
        const auto *own = queries + (head * pass_tokens + sequence.row) * group * dimension;
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

// The fewest pages that are worth a bundle of their own.
constexpr int64_t fewest_shared = 4;

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
            auto *to = queries.get() + ((head / group * tokens + sequence.row + token) * group + head % group) * dimension;
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
        const auto shares = this->shares();
        int64_t products = 0;
        for (const auto &share : shares)
            for (size_t i = 0; i < share.sequences; ++i)
                products += (share.sequence[i].first + share.token) * share.count(i) * layer.group() * layer.dimension;
        const size_t pieces = shares.size() * layer.key_heads;
        std::atomic<size_t> next = 0;
        Threads::run(std::min<int64_t>(pieces, products * layer.key_heads / 65536), [&](int64_t, int64_t) {
            std::vector<float> room;
            std::vector<Piece<Number>> own;
            for (size_t i = next++; i < pieces; i = next++) {
                const Share &share = shares[i / layer.key_heads];
                const int64_t head = i % layer.key_heads;
                own.clear();
                for (size_t j = 0; j < share.sequences; ++j) {
                    const auto &sequence = share.sequence[j];
                    const auto *rows = queries.get() + (head * tokens + sequence.row + share.token) * layer.group() * layer.dimension;
                    own.push_back({layer, sequence, head, share.token, share.count(j), rows, output});
                }
                attend(Bundle<Number>{own, own[0].first_page(), share.pages}, uses_registers, room);
            }
        });
    }

    // What a thread computes at once for a head: some tokens of one sequence, or all tokens of several that share pages.
    struct Share {
        const Sequence *sequence;
        size_t sequences;
        int64_t token, most, pages;

        int64_t count(size_t i) const { return std::min(most, sequence[i].count - token); }
    };

    std::vector<Share> shares() const {
        std::vector<Share> shares;
        const int64_t most = std::max<int64_t>(1, piece_rows / layer.group());
        // Rows of a bundle: a register's, or a piece's. With many threads there are smaller bundles, so that each has work.
        const int64_t even = tokens * layer.heads / (2 * at::get_num_threads());
        const int64_t bundle_rows = std::min(uses_registers ? matrix::side : piece_rows, even);
        for (size_t i = 0; i < sequences.size();) {
            const auto &sequence = sequences[i];
            Share share{&sequence, 1, 0, most, 0};
            int64_t rows = sequence.count * layer.group();
            for (; i + share.sequences < sequences.size(); ++share.sequences) {
                const auto &next = sequences[i + share.sequences];
                rows += next.count * layer.group();
                const int64_t pages = common_pages(sequence, next, share.sequences == 1 ? sequence.earlier_pages() : share.pages);
                // A sequence that shares too little would take more from the others than it gains.
                const int64_t saved = share.pages * (share.sequences - 1);
                if (rows > bundle_rows || pages < fewest_shared || pages * static_cast<int64_t>(share.sequences) < saved) break;
                share.pages = pages;
            }
            for (; share.token < sequence.count; share.token += most) shares.push_back(share);
            i += share.sequences;
        }
        return shares;
    }

    // How many pages of two sequences are the same, up to a limit, if both see all of them.
    int64_t common_pages(const Sequence &a, const Sequence &b, int64_t limit) const {
        if (layer.lowest(a.first) > 0 || layer.lowest(b.first) > 0) return 0;
        limit = std::min(limit, b.earlier_pages());
        return std::mismatch(a.table, a.table + limit, b.table).first - a.table;
    }
};

// Gives sequences with the same beginning adjacent rows.
void arrange(std::vector<Sequence> &sequences) {
    std::stable_sort(sequences.begin(), sequences.end(), [](const Sequence &a, const Sequence &b) {
        return std::lexicographical_compare(a.table, a.table + a.earlier_pages(), b.table, b.table + b.earlier_pages());
    });
    int64_t row = 0;
    for (auto &sequence : sequences) {
        sequence.row = row;
        row += sequence.count;
    }
}

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
        list.push_back({table + i * width, start[i], start[i + 1] - start[i], first[i], 0});
        const auto &sequence = list.back();
        const int64_t used = (sequence.first + sequence.count + page_tokens - 1) / page_tokens;
        TORCH_CHECK(sequence.count > 0 && sequence.first >= 0 && used <= width, "sequence ", i, " needs ", used,
                    " pages, and its table has ", width);
        for (int64_t page = 0; page < used; ++page)
            TORCH_CHECK(sequence.table[page] >= 0 && sequence.table[page] < pages, "sequence ", i, " names page ",
                        sequence.table[page], " of ", pages);
    }
    arrange(list);
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
