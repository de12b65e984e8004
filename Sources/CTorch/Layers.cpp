#include "AttentionInBlocks.h"
#include "BlockedProducts.h"
#include "Calls.h"
#include "FewRows.h"
#include "PagedAttention.h"
#include "Projections.h"
#include "Training.h"
#include "TreeAttention.h"
#include "VarlenAttention.h"

#include <c10/core/GradMode.h>

// Layers, and weights laid out for inference.

using namespace calls;

static at::Tensor dropped(const at::Tensor &x, double probability, uint64_t seed) {
    if (auto kept = training::dropout(x, probability, seed)) return *kept;
    auto own = at::globalContext().defaultGenerator(x.device()).clone();
    own.set_current_seed(seed);
    auto kept = at::empty_like(x).bernoulli_(1 - probability, own);
    return x * kept.div_(1 - probability);
}

ct_tensor *ct_linear(const ct_tensor *x, const ct_tensor *weight, const ct_tensor *scales, const ct_tensor *bias) {
    return make([&] { return projections::linear(x->value, {weight->value, or_none(scales), or_none(bias)}); });
}
int ct_linears(const ct_tensor *x, const ct_tensor *const *weights, const ct_tensor *const *scales,
               const ct_tensor *const *biases, int count, ct_tensor **products) {
    return perform([&] {
        std::vector<projections::Weights> all;
        for (int i = 0; i < count; ++i) all.push_back({weights[i]->value, or_none(scales[i]), or_none(biases[i])});
        const auto results = projections::linears(x->value, all);
        for (int i = 0; i < count; ++i) products[i] = new ct_tensor{results[i]};
    });
}
static void give(const blocked_products::Weights &packed, ct_tensor **values, ct_tensor **scales) {
    *values = new ct_tensor{packed.values};
    if (packed.scales.defined()) *scales = new ct_tensor{packed.scales};
}
int ct_pack_blocks(const ct_tensor *weight, int bits, ct_tensor **values, ct_tensor **scales) {
    return perform([&] {
        const auto pack = bits == 4 ? blocked_products::pack_int4 : bits == 8 ? blocked_products::pack_int8 : blocked_products::pack;
        if (const auto blocks = pack(weight->value)) give(*blocks, values, scales);
    });
}
int ct_pack(const ct_tensor *weight, int bits, ct_tensor **values, ct_tensor **scales) {
    return perform([&] {
        give(bits == 4 ? projections::pack_int4(weight->value) : projections::pack_int8(weight->value), values, scales);
    });
}
bool ct_has_blocks(void) { return blocked_products::has_kernels(); }
bool ct_blocks_multiply_in_floats(void) { return blocked_products::multiplies_in_floats(); }
bool ct_blocks_multiply_in_registers(void) { return blocked_products::has_registers(); }
void ct_use_matrix_registers(bool are_used) { blocked_products::use_registers(are_used); }
ct_tensor *ct_paged_attention(const ct_tensor *q, const ct_tensor *k, const ct_tensor *v, const ct_tensor *cosine,
                              const ct_tensor *sine, const ct_tensor *q_norm, const ct_tensor *k_norm, ct_tensor *pages,
                              const ct_tensor *tables, const ct_tensor *starts, const ct_tensor *firsts, double scale,
                              int64_t window, double cap, double norm_epsilon) {
    auto optional = [](const ct_tensor *x) { return x ? std::optional(x->value) : std::nullopt; };
    return make([&] {
        return paged_attention::attend(q->value, optional(k), optional(v), cosine->value, sine->value,
                                       optional(q_norm), optional(k_norm), pages->value, {tables->value, starts->value, firsts->value},
                                       {scale, window, cap, norm_epsilon});
    });
}
ct_tensor *ct_zero_pages(const int64_t *shape, int rank, ct_dtype dtype) {
    return make([&] { return paged_attention::zero_pages(extents(shape, rank), scalar(dtype)); });
}
ct_tensor *ct_from_int32(const int32_t *elements, const int64_t *shape, int rank) {
    return make([&] { return at::from_blob(const_cast<int32_t *>(elements), extents(shape, rank), at::TensorOptions(at::kInt)).clone(); });
}

ct_tensor *ct_embedding(const ct_tensor *weight, const ct_tensor *indices) {
    return make([&] {
        if (blocked_products::is_blocked(weight->value)) return blocked_products::rows(weight->value, indices->value);
        return at::embedding(weight->value, indices->value);
    });
}
ct_tensor *ct_rms_norm(const ct_tensor *x, const ct_tensor *weight, double epsilon) {
    return make([&] {
        if (auto norm = few_rows::rms_norm(x->value, weight->value, epsilon)) return *norm;
        if (auto normed = training::rms_norm(x->value, std::nullopt, weight->value, epsilon)) return normed->norm;
        return at::rms_norm(x->value, {x->value.size(-1)}, weight->value, epsilon);
    });
}
int ct_add_rms_norm(const ct_tensor *x, const ct_tensor *added, const ct_tensor *weight, double epsilon, ct_tensor **sum,
                    ct_tensor **norm) {
    return perform([&] {
        // Inference has a separate kernel without a backward pass.
        if (c10::GradMode::is_enabled() || x->value.scalar_type() != at::kBFloat16) {
            if (auto normed = training::rms_norm(x->value, added->value, weight->value, epsilon)) {
                *sum = new ct_tensor{normed->sum};
                *norm = new ct_tensor{normed->norm};
                return;
            }
        }
        const auto whole = x->value + added->value;
        auto result = few_rows::rms_norm(whole, weight->value, epsilon);
        *norm = new ct_tensor{result ? *result : at::rms_norm(whole, {whole.size(-1)}, weight->value, epsilon)};
        *sum = new ct_tensor{whole};
    });
}
ct_tensor *ct_layer_norm(const ct_tensor *x, const ct_tensor *added, const ct_tensor *weight, const ct_tensor *bias,
                         double epsilon) {
    return make([&] {
        const auto whole = added ? x->value + added->value : x->value;
        const auto shift = bias ? std::optional<at::Tensor>(bias->value) : std::nullopt;
        return at::layer_norm(whole, {whole.size(-1)}, weight->value, shift, epsilon);
    });
}
ct_tensor *ct_gelu(const ct_tensor *x, bool approximate) {
    return make([&] { return at::gelu(x->value, approximate ? "tanh" : "none"); });
}
ct_tensor *ct_relu(const ct_tensor *x) {
    return make([&] { return at::relu(x->value); });
}
int ct_adapted_linears(const ct_tensor *x, const ct_adapted *projections, int count, ct_tensor **products) {
    return perform([&] {
        std::vector<training::Adapted> all;
        for (int i = 0; i < count; ++i) {
            const auto &each = projections[i];
            all.push_back({each.weight->value, or_none(each.bias), or_none(each.down), or_none(each.up), each.scale,
                           each.dropout, each.seed});
        }
        if (auto results = training::adapted(x->value, all)) {
            for (int i = 0; i < count; ++i) products[i] = new ct_tensor{(*results)[i]};
            return;
        }
        for (int i = 0; i < count; ++i) {
            const auto &each = all[i];
            auto y = projections::linear(x->value, {each.weight, {}, each.bias});
            if (each.down.defined()) {
                const auto kept = each.dropout > 0 ? dropped(x->value, each.dropout, each.seed) : x->value;
                const auto type = kept.scalar_type();
                const auto low = projections::linear(kept, {each.down.to(type), {}, {}});
                y = y + projections::linear(low, {each.up.to(type), {}, {}}) * each.scale;
            }
            products[i] = new ct_tensor{y};
        }
    });
}
ct_tensor *ct_rotate(const ct_tensor *x, const ct_tensor *cosine, const ct_tensor *sine) {
    return make([&] {
        if (auto turned = few_rows::rotate(x->value, cosine->value, sine->value)) return *turned;
        if (auto turned = training::rotate(x->value, cosine->value, sine->value)) return *turned;
        const int64_t width = x->value.size(-1), turned = cosine->value.size(-1), half = turned / 2;
        auto part = at::narrow(x->value, -1, 0, turned);
        auto quarter = at::cat({-at::narrow(part, -1, half, half), at::narrow(part, -1, 0, half)}, -1);
        auto result = part * cosine->value + quarter * sine->value;
        return turned == width ? result : at::cat({result, at::narrow(x->value, -1, turned, width - turned)}, -1);
    });
}
ct_tensor *ct_attention(const ct_tensor *q, const ct_tensor *k, const ct_tensor *v, const ct_tensor *mask,
                        bool causal) {
    return make([&] {
        if (mask && !causal)
            if (auto attended = few_rows::attention(q->value, k->value, v->value, mask->value)) return *attended;
        auto optional_mask = mask ? std::optional<at::Tensor>(mask->value) : std::nullopt;
        return at::scaled_dot_product_attention(q->value, k->value, v->value, optional_mask, 0.0, causal);
    });
}
ct_tensor *ct_attention_in_blocks(const ct_tensor *q, const ct_tensor *k, const ct_tensor *v, int64_t block) {
    return make([&] { return AttentionInBlocks::apply(q->value, k->value, v->value, block); });
}
bool ct_tree_attention_fits(const ct_tensor *q, const ct_tensor *k, const ct_tensor *v) {
    return tree_attention::fits(q->value, k->value, v->value);
}
ct_tensor *ct_tree_attention(const ct_tensor *q, const ct_tensor *k, const ct_tensor *v, const int64_t *lengths,
                             const int64_t *parents, int count, int64_t window) {
    return make([&] {
        if (!tree_attention::fits(q->value, k->value, v->value)) throw std::invalid_argument("there is no kernel for such heads here");
        std::vector<tree_attention::Segment> segments;
        for (int i = 0; i < count; ++i) segments.push_back({lengths[i], parents[i]});
        return tree_attention::attend(q->value, k->value, v->value, segments, window);
    });
}
ct_tensor *ct_flash_attention(const ct_tensor *q, const ct_tensor *k, const ct_tensor *v, const ct_tensor *q_starts,
                              const ct_tensor *k_starts, int64_t longest_q, int64_t longest_k, int64_t window) {
    return make([&] {
        return flash_attention(q->value, k->value, v->value, q_starts->value, k_starts->value, longest_q, longest_k, window);
    });
}
ct_tensor *ct_repeat_rows(const ct_tensor *x, const ct_tensor *indices) {
    return make([&] { return RepeatedRows::apply(x->value, indices->value); });
}
ct_tensor *ct_dropout(const ct_tensor *x, double probability, uint64_t seed) {
    return make([&] { return dropped(x->value, probability, seed); });
}
ct_tensor *ct_cross_entropy_sum(const ct_tensor *logits, const ct_tensor *targets) {
    return make([&] {
        if (auto sum = training::cross_entropy_sum(logits->value, targets->value)) return *sum;
        return at::cross_entropy_loss(logits->value.to(at::kFloat), targets->value, std::nullopt, at::Reduction::Sum);
    });
}
ct_tensor *ct_log_probabilities(const ct_tensor *logits, const ct_tensor *rows, const ct_tensor *columns) {
    return make([&] {
        const auto scores = logits->value.to(at::kFloat);
        const auto picked = scores.flatten().index_select(0, rows->value * scores.size(1) + columns->value);
        return picked - scores.logsumexp(1).index_select(0, rows->value);
    });
}
