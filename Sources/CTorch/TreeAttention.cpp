#include "TreeAttention.h"

#include "MatrixTiles.h"
#include "Threads.h"
#include "TrainingLoopTable.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <stdexcept>

#if defined(__x86_64__)

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using bf16 = c10::BFloat16;
using pair_tiles::Left;

namespace {

// The queries and keys of a tile.
constexpr int64_t side = 64;
constexpr int64_t widest = 256;

// A run of keys that a segment sees: its place in the row, and in its sample.
struct Run {
    int64_t start, length, place;
};

// Some queries of one segment, with the segments that it continues and itself.
struct Block {
    int64_t start, count, place;
    const std::vector<Run> *runs;
    int64_t cost;
};

// The row's blocks of queries.
struct Layout {
    std::vector<std::vector<Run>> runs;
    std::vector<Block> blocks;
    int64_t window, tokens = 0;

    Layout(const std::vector<tree_attention::Segment> &segments, int64_t window) : window(window) {
        for (const auto &segment : segments) {
            const auto number = static_cast<int64_t>(runs.size());
            if (segment.length <= 0 || segment.parent >= number) throw std::invalid_argument("a segment is empty or goes on from none before it");
            std::vector<Run> path;
            if (segment.parent >= 0) path = runs[segment.parent];
            const int64_t place = path.empty() ? 0 : path.back().place + path.back().length;
            path.push_back({tokens, segment.length, place});
            runs.push_back(path);
            tokens += segment.length;
        }
        for (const auto &path : runs) {
            const Run &own = path.back();
            for (int64_t first = 0; first < own.length; first += side) {
                const int64_t count = std::min(side, own.length - first), place = own.place + first;
                const int64_t seen = place + count, cost = window > 0 ? std::min(seen, window + side) : seen;
                blocks.push_back({own.start + first, count, place, &path, cost + side});
            }
        }
    }
};

// Calls `body(start, count, place)` for each tile of keys that some query of the block sees.
template <typename Body>
AVX512 void over_tiles(const Block &block, int64_t window, const Body &body) {
    const int64_t last = block.place + block.count - 1;
    for (const auto &run : *block.runs)
        for (int64_t first = 0; first < run.length; first += side) {
            const int64_t place = run.place + first;
            if (place > last) return;
            const int64_t count = std::min({side, run.length - first, last - place + 1});
            if (window > 0 && place + count - 1 <= block.place - window) continue;
            body(run.start + first, count, place);
        }
}

// Which of the queries at `place` + 16 · vector and the 15 after it exist and see the key at `key`.
inline __mmask16 seeing(const Block &block, int64_t vector, int64_t key, int64_t window) {
    auto below = [&](int64_t places) {
        const int64_t here = std::clamp<int64_t>(places - 16 * vector, 0, 16);
        return static_cast<uint32_t>((1u << here) - 1);
    };
    const uint32_t before = below(key - block.place);
    const uint32_t end = below(window > 0 ? std::min(block.count, key + window - block.place) : block.count);
    return static_cast<__mmask16>(end & ~before);
}

// Whether all queries see all keys of a tile, and fill their registers.
inline bool all_see(const Block &block, int64_t place, int64_t count, int64_t window) {
    return place + count - 1 <= block.place && block.count % 16 == 0 &&
           (window == 0 || place > block.place + block.count - 1 - window);
}

// The rows of a head, which are `stride` elements apart.
struct Rows {
    const bf16 *from;
    int64_t stride;

    const bf16 *row(int64_t number) const { return from + number * stride; }
    Rows at(int64_t number) const { return {row(number), stride}; }

    // As the left side of a product: pairs along the row.
    AVX512 Left left() const { return {reinterpret_cast<const uint32_t *>(from), stride / 2, 1}; }
};

// `to[p][j]` = pair p of row j: rows become columns. Columns beyond `count` are zero, up to `side`, and so are pairs
// beyond the last, up to a multiple of 16.
AVX512 void columns(Rows rows, int64_t count, int64_t width, uint32_t *to) {
    alignas(64) uint32_t square[16 * 16];
    for (int64_t j = 0; j < side; j += 16)
        for (int64_t p = 0; p < width / 2; p += 16) {
            const auto *from = reinterpret_cast<const uint32_t *>(rows.row(j)) + p;
            pair_tiles::copy_square(from, rows.stride / 2, count - j, width / 2 - p, square, 16);
            lanes::transpose(square, 16, to + p * side + j, side);
        }
}

// `to[p][i]` = elements i of rows 2p and 2p + 1, side by side; an odd last row is paired with zeros, and pairs of zeros
// follow up to a multiple of 16.
AVX512 void pairs(Rows rows, int64_t count, int64_t width, uint32_t *to) {
    const int64_t last = (count + 1) / 2;
    std::memset(to + last * width, 0, sizeof(uint32_t) * (matrix::filled(last) - last) * width);
    for (int64_t p = 0; p < last; ++p) {
        const bf16 *a = rows.row(2 * p), *b = rows.row(2 * p + 1);
        const bool whole = 2 * p + 1 < count;
        for (int64_t i = 0; i < width; i += 16) {
            const __m512i low = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(a + i)));
            const __m512i high =
                whole ? _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(b + i))) : _mm512_setzero_si512();
            _mm512_storeu_si512(to + p * width + i, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
        }
    }
}

INLINE void store(bf16 *to, __m512 values) {
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(to), (__m256i)_mm512_cvtneps_pbh(values));
}

// The transpose of sums `[width, side]`, each column times its factor, as `count` rows in bfloat16.
AVX512 void rows_of(const float *sums, const float *factors, int64_t width, int64_t count, bf16 *to, int64_t stride) {
    alignas(64) uint32_t square[16 * 16], turned[16 * 16];
    for (int64_t i = 0; i < count; i += 16) {
        const __m512 factor = _mm512_load_ps(factors + i);
        for (int64_t d = 0; d < width; d += 32) {
            const int64_t pairs = std::min<int64_t>(16, (width - d) / 2);
            for (int64_t p = 0; p < pairs; ++p) {
                const float *first = sums + (d + 2 * p) * side + i;
                const __m512bh both =
                    _mm512_cvtne2ps_pbh(_mm512_mul_ps(_mm512_load_ps(first + side), factor), _mm512_mul_ps(_mm512_load_ps(first), factor));
                // The first number of each pair lies below the second.
                const __m512i low = _mm512_cvtepu16_epi32(_mm512_castsi512_si256((__m512i)both));
                const __m512i high = _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64((__m512i)both, 1));
                _mm512_store_si512(square + p * 16, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
            }
            lanes::transpose(square, 16, turned, 16);
            for (int64_t row = 0; row < std::min<int64_t>(16, count - i); ++row)
                std::memcpy(to + (i + row) * stride + d, turned + row * 16, sizeof(uint32_t) * pairs);
        }
    }
}

// The workspace of one thread. Everything is transposed: keys run down, queries across, so that a register contains
// one key's weights for 16 queries, and a query's maximum and sum need no operations across a register.
struct Scratch {
    alignas(64) uint32_t queries[widest / 2 * side]{}, above[widest / 2 * side]{};    // columns
    alignas(64) uint32_t query_pairs[side / 2 * widest]{}, above_pairs[side / 2 * widest]{};
    alignas(64) uint32_t tile_pairs[side / 2 * widest]{}, weight_pairs[side / 2 * side]{};
    alignas(64) float scores[side * side]{}, slopes[side * side]{}, sums[widest * side]{};
    alignas(64) bf16 weights[side * side]{}, gradients[side * side]{};
    alignas(64) float most[side]{}, total[side]{}, along[side]{};
    matrix_tiles::Products tiles;

    explicit Scratch(bool uses_registers) : tiles(uses_registers) {}
};

AVX512 float dot(const bf16 *a, const bf16 *b, int64_t width) {
    __m512 sum = _mm512_setzero_ps();
    for (int64_t d = 0; d < width; d += 16) sum = _mm512_fmadd_ps(lanes::floats(0xffff, a + d), lanes::floats(0xffff, b + d), sum);
    return _mm512_reduce_add_ps(sum);
}

// Pairs of the rows of a tile's weights `[keys, side]`; an odd last one is paired with zeros.
AVX512 void weight_pairs(const bf16 *weights, int64_t count, uint32_t *to) { pairs({weights, side}, count, side, to); }

struct Head {
    Rows q, k, v;
    int64_t width;
    float scale;
};

// One block of queries of one head.
AVX512 void forward(const Block &block, const Head &head, int64_t window, Scratch &s, bf16 *to, int64_t stride, float *log_sums) {
    const int64_t vectors = (block.count + 15) / 16, width = head.width;
    columns(head.q.at(block.start), block.count, width, s.queries);
    std::memset(s.sums, 0, sizeof(float) * width * side);
    for (int64_t i = 0; i < side; ++i) s.most[i] = -INFINITY, s.total[i] = 0;
    over_tiles(block, window, [&](int64_t start, int64_t count, int64_t place) AVX512 {
        s.tiles.product(count, vectors, head.k.at(start).left(), s.queries, side, width / 2, s.scores, side, false);
        const bool whole = all_see(block, place, count, window);
        for (int64_t vector = 0; vector < vectors; ++vector) {
            const __m512 before = _mm512_load_ps(s.most + 16 * vector);
            __m512 most = before;
            for (int64_t j = 0; j < count; ++j) {
                float *score = s.scores + j * side + 16 * vector;
                __m512 value = _mm512_mul_ps(_mm512_load_ps(score), _mm512_set1_ps(head.scale));
                if (!whole) value = _mm512_mask_mov_ps(_mm512_set1_ps(-INFINITY), seeing(block, vector, place + j, window), value);
                _mm512_store_ps(score, value);
                most = _mm512_max_ps(value, most);
            }
            // As long as no key is visible, weights are zero.
            const __m512 base = _mm512_mask_mov_ps(most, _mm512_cmp_ps_mask(most, _mm512_set1_ps(-INFINITY), _CMP_EQ_OQ), _mm512_setzero_ps());
            const __m512 shrink = lanes::exp(_mm512_sub_ps(before, base));
            __m512 total = _mm512_mul_ps(_mm512_load_ps(s.total + 16 * vector), shrink);
            for (int64_t j = 0; j < count; ++j) {
                const __m512 weight = lanes::exp(_mm512_sub_ps(_mm512_load_ps(s.scores + j * side + 16 * vector), base));
                total = _mm512_add_ps(total, weight);
                store(s.weights + j * side + 16 * vector, weight);
            }
            _mm512_store_ps(s.most + 16 * vector, most);
            _mm512_store_ps(s.total + 16 * vector, total);
            if (_mm512_cmp_ps_mask(shrink, _mm512_set1_ps(1), _CMP_NEQ_UQ))
                for (int64_t d = 0; d < width; ++d) {
                    float *sum = s.sums + d * side + 16 * vector;
                    _mm512_store_ps(sum, _mm512_mul_ps(_mm512_load_ps(sum), shrink));
                }
        }
        pairs(head.v.at(start), count, width, s.tile_pairs);
        weight_pairs(s.weights, count, s.weight_pairs);
        s.tiles.product(width, vectors, {s.tile_pairs, 1, width}, s.weight_pairs, side, (count + 1) / 2, s.sums, side, true);
    });
    for (int64_t i = 0; i < block.count; ++i) log_sums[i] = s.most[i] + std::log(s.total[i]), s.total[i] = 1 / s.total[i];
    rows_of(s.sums, s.total, width, block.count, to, stride);
}

struct Gradients {
    Rows above, result;
    const float *log_sums;
    bf16 *of_q;
    int64_t stride;
    // The sums `[tokens, width]` of this thread.
    float *of_k, *of_v;
};

AVX512 void backward(const Block &block, const Head &head, int64_t window, Scratch &s, const Gradients &g) {
    const int64_t vectors = (block.count + 15) / 16, width = head.width;
    const Rows q = head.q.at(block.start), above = g.above.at(block.start), result = g.result.at(block.start);
    columns(q, block.count, width, s.queries);
    columns(above, block.count, width, s.above);
    pairs(q, block.count, width, s.query_pairs);
    pairs(above, block.count, width, s.above_pairs);
    std::memset(s.sums, 0, sizeof(float) * width * side);
    for (int64_t i = 0; i < side; ++i) {
        s.most[i] = 0, s.along[i] = 0;
        if (i >= block.count) continue;
        s.most[i] = g.log_sums[block.start + i];
        s.along[i] = dot(above.row(i), result.row(i), width);
    }
    over_tiles(block, window, [&](int64_t start, int64_t count, int64_t place) AVX512 {
        s.tiles.product(count, vectors, head.k.at(start).left(), s.queries, side, width / 2, s.scores, side, false);
        s.tiles.product(count, vectors, head.v.at(start).left(), s.above, side, width / 2, s.slopes, side, false);
        const bool whole = all_see(block, place, count, window);
        for (int64_t vector = 0; vector < vectors; ++vector) {
            const __m512 log_sum = _mm512_load_ps(s.most + 16 * vector), along = _mm512_load_ps(s.along + 16 * vector);
            for (int64_t j = 0; j < count; ++j) {
                const int64_t here = j * side + 16 * vector;
                __m512 weight = lanes::exp(_mm512_fmsub_ps(_mm512_load_ps(s.scores + here), _mm512_set1_ps(head.scale), log_sum));
                if (!whole) weight = _mm512_maskz_mov_ps(seeing(block, vector, place + j, window), weight);
                const __m512 slope = _mm512_mul_ps(weight, _mm512_sub_ps(_mm512_load_ps(s.slopes + here), along));
                store(s.weights + here, weight);
                store(s.gradients + here, _mm512_mul_ps(slope, _mm512_set1_ps(head.scale)));
            }
        }
        const int64_t both = (block.count + 1) / 2;
        s.tiles.product(count, width / 16, Rows{s.weights, side}.left(), s.above_pairs, width, both, g.of_v + start * width, width, true);
        s.tiles.product(count, width / 16, Rows{s.gradients, side}.left(), s.query_pairs, width, both, g.of_k + start * width, width, true);
        pairs(head.k.at(start), count, width, s.tile_pairs);
        weight_pairs(s.gradients, count, s.weight_pairs);
        s.tiles.product(width, vectors, {s.tile_pairs, 1, width}, s.weight_pairs, side, (count + 1) / 2, s.sums, side, true);
    });
    std::fill_n(s.total, side, 1.0f);
    rows_of(s.sums, s.total, width, block.count, g.of_q + block.start * g.stride, g.stride);
}

// Distributes all heads' blocks among the threads by their cost, with those of a key head next to each other:
// `body(number, first, last)` with places in (key head, block, query head of the group).
template <typename Body>
void share(const Layout &layout, int64_t key_heads, const Body &body) {
    const auto blocks = static_cast<int64_t>(layout.blocks.size());
    std::vector<int64_t> ends;
    int64_t cost = 0;
    for (int64_t head = 0; head < key_heads; ++head)
        for (const auto &block : layout.blocks) ends.push_back(cost += block.cost);
    Threads::run(blocks * key_heads, [&](int64_t number, int64_t count) {
        auto place = [&](int64_t part) {
            return std::lower_bound(ends.begin(), ends.end(), (cost * part + count - 1) / count) - ends.begin();
        };
        const int64_t first = number == 0 ? 0 : place(number) + 1;
        const int64_t last = number == count - 1 ? blocks * key_heads : place(number + 1) + 1;
        if (first < last) body(number, first, last);
    });
}

Rows rows(const at::Tensor &x, int64_t head) { return {x.const_data_ptr<bf16>() + head * x.stride(1), x.stride(2)}; }

// In the memory order of projections' outputs, so that no copy is needed before or after.
at::Tensor like_projected(const at::Tensor &x) {
    return at::empty({x.size(0), x.size(2), x.size(1), x.size(3)}, x.options()).transpose(1, 2);
}

struct LayoutHolder : torch::CustomClassHolder {
    std::shared_ptr<Layout> layout;
};

struct TreeAttention : torch::autograd::Function<TreeAttention> {
    static at::Tensor forward(AutogradContext *context, const at::Tensor &q, const at::Tensor &k, const at::Tensor &v,
                              const std::shared_ptr<Layout> &layout) {
        const int64_t heads = q.size(1), key_heads = k.size(1), tokens = q.size(2), group = heads / key_heads;
        const auto result = like_projected(q), log_sums = at::empty({heads, tokens}, q.options().dtype(at::kFloat));
        const bool uses_registers = matrix::are_used();
        share(*layout, key_heads, [&](int64_t, int64_t first, int64_t last) {
            auto scratch = std::make_unique<Scratch>(uses_registers);
            each(*layout, first, last, group, [&](const Block &block, int64_t head, int64_t key_head) {
                ::forward(block, of(q, k, v, head, key_head), layout->window, *scratch,
                          result.mutable_data_ptr<bf16>() + head * result.stride(1) + block.start * result.stride(2),
                          result.stride(2), log_sums.mutable_data_ptr<float>() + head * tokens + block.start);
            });
        });
        context->save_for_backward({q, k, v, result, log_sums});
        auto holder = c10::make_intrusive<LayoutHolder>();
        holder->layout = layout;
        context->saved_data["layout"] = c10::IValue::make_capsule(holder);
        return result;
    }

    // A thread's sums for the key heads that it works on.
    struct Share {
        int64_t first = 0, count = 0;
        at::Tensor of_k, of_v;
    };

    static variable_list backward(AutogradContext *context, variable_list gradients) {
        const auto saved = context->get_saved_variables();
        const auto &q = saved[0], &k = saved[1], &v = saved[2], &result = saved[3], &log_sums = saved[4];
        const auto layout = c10::static_intrusive_pointer_cast<LayoutHolder>(context->saved_data["layout"].toCapsule())->layout;
        const auto &above = gradients[0].stride(3) == 1 && gradients[0].stride(2) % 2 == 0 ? gradients[0] : gradients[0].contiguous();
        const int64_t heads = q.size(1), key_heads = k.size(1), tokens = q.size(2), width = q.size(3), group = heads / key_heads;
        const auto blocks = static_cast<int64_t>(layout->blocks.size());
        const auto of_q = like_projected(q);
        std::vector<Share> shares(std::max(at::get_num_threads(), 1));
        const bool uses_registers = matrix::are_used();
        share(*layout, key_heads, [&](int64_t number, int64_t first, int64_t last) {
            auto &own = shares[number];
            own.first = first / blocks;
            own.count = (last - 1) / blocks - own.first + 1;
            own.of_k = at::zeros({own.count, tokens, width}, log_sums.options());
            own.of_v = at::zeros_like(own.of_k);
            auto scratch = std::make_unique<Scratch>(uses_registers);
            each(*layout, first, last, group, [&](const Block &block, int64_t head, int64_t key_head) {
                const int64_t place = (key_head - own.first) * tokens * width;
                ::backward(block, of(q, k, v, head, key_head), layout->window, *scratch,
                           {rows(above, head), rows(result, head), log_sums.const_data_ptr<float>() + head * tokens,
                            of_q.mutable_data_ptr<bf16>() + head * of_q.stride(1), of_q.stride(2),
                            own.of_k.mutable_data_ptr<float>() + place, own.of_v.mutable_data_ptr<float>() + place});
            });
        });
        return {of_q, summed(k, shares, &Share::of_k), summed(v, shares, &Share::of_v), {}};
    }

private:
    static Head of(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, int64_t head, int64_t key_head) {
        return {rows(q, head), rows(k, key_head), rows(v, key_head), q.size(3), 1 / std::sqrt(static_cast<float>(q.size(3)))};
    }

    template <typename Body>
    static void each(const Layout &layout, int64_t first, int64_t last, int64_t group, const Body &body) {
        const auto blocks = static_cast<int64_t>(layout.blocks.size());
        for (int64_t place = first; place < last; ++place)
            for (int64_t member = 0; member < group; ++member)
                body(layout.blocks[place % blocks], place / blocks * group + member, place / blocks);
    }

    static at::Tensor summed(const at::Tensor &x, const std::vector<Share> &shares, at::Tensor Share::*part) {
        const auto to = like_projected(x);
        for (int64_t head = 0; head < x.size(1); ++head) {
            at::Tensor sum;
            for (const auto &share : shares) {
                if (head < share.first || head >= share.first + share.count) continue;
                const auto own = (share.*part)[head - share.first];
                sum = sum.defined() ? sum + own : own;
            }
            to[0][head].copy_(sum);
        }
        return to;
    }
};

}

bool tree_attention::fits(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v) {
    auto is_plain = [](const at::Tensor &x) {
        return x.is_cpu() && x.scalar_type() == at::kBFloat16 && x.dim() == 4 && x.size(0) == 1 && x.stride(3) == 1 &&
               x.stride(2) % 2 == 0 && x.stride(1) % 2 == 0 && x.storage_offset() % 2 == 0;
    };
    const int64_t width = q.dim() == 4 ? q.size(3) : 0;
    return is_plain(q) && is_plain(k) && is_plain(v) && width % 16 == 0 && width > 0 && width <= widest && k.sizes() == v.sizes() &&
           k.size(3) == width && k.size(2) == q.size(2) && q.size(2) > 0 && q.size(1) % k.size(1) == 0 && lanes::cpu_fits() &&
           training::is_wide();
}

at::Tensor tree_attention::attend(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v,
                                  const std::vector<Segment> &segments, int64_t window) {
    const auto layout = std::make_shared<Layout>(segments, window);
    if (layout->tokens != q.size(2)) throw std::invalid_argument("the segments' lengths do not add up to the row's");
    return TreeAttention::apply(q, k, v, layout);
}

#else

bool tree_attention::fits(const at::Tensor &, const at::Tensor &, const at::Tensor &) { return false; }

at::Tensor tree_attention::attend(const at::Tensor &q, const at::Tensor &, const at::Tensor &, const std::vector<Segment> &, int64_t) {
    return q;
}

#endif
