#include "AttentionInBlocks.h"
#include "BlockedProducts.h"
#include "CTorch.h"
#include "CUDAGraph.h"
#include "FewRows.h"
#include "PagedAttention.h"
#include "Projections.h"
#include "TensorPool.h"
#include "Training.h"
#include "TrainingLoopTable.h"
#include "TreeAttention.h"
#include "VarlenAttention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/ops/_fused_adamw.h>
#include <c10/core/GradMode.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif
#include <torch/csrc/autograd/autograd.h>
#include <torch/version.h>

#include <cstring>
#include <string>
#include <vector>

struct ct_tensor {
    at::Tensor value;
};

struct ct_graph {
    CUDAGraph value;
};

namespace {

thread_local std::string last_error;

// Runs `body` and turns any exception into a message and `failure`.
template <typename Result, typename Body>
Result guarded(Result failure, Body body) {
    try {
        last_error.clear();
        return body();
    } catch (const c10::Error &error) {
        last_error = error.what_without_backtrace();
    } catch (const std::exception &error) {
        last_error = error.what();
    } catch (...) {
        last_error = "an unknown C++ exception";
    }
    if (last_error.empty()) last_error = "libtorch gave no message";
    return failure;
}

template <typename Body>
ct_tensor *make(Body body) {
    return guarded<ct_tensor *>(nullptr, [&] { return new ct_tensor{body()}; });
}

template <typename Body>
int perform(Body body) {
    return guarded<int>(1, [&] {
        body();
        return 0;
    });
}

at::ScalarType scalar(ct_dtype dtype) {
    switch (dtype) {
        case CT_F32: return at::kFloat;
        case CT_BF16: return at::kBFloat16;
        case CT_F16: return at::kHalf;
        case CT_I64: return at::kLong;
        case CT_I32: return at::kInt;
        case CT_BOOL: return at::kBool;
        case CT_U8: return at::kByte;
        case CT_F64: return at::kDouble;
        case CT_I8: return at::kChar;
    }
    throw std::invalid_argument("unknown dtype");
}

at::Device place(ct_device device) {
    if (device == CT_CPU) return at::kCPU;
    const auto &refusal = CUDALibrary::shared().refusal;
    if (!refusal.empty()) throw std::runtime_error("CUDA cannot be used: " + refusal);
    return at::kCUDA;
}

at::IntArrayRef extents(const int64_t *shape, int rank) { return at::IntArrayRef(shape, static_cast<size_t>(rank)); }

std::vector<at::Tensor> values(ct_tensor *const *xs, int count) {
    std::vector<at::Tensor> list;
    list.reserve(count);
    for (int i = 0; i < count; ++i) list.push_back(xs[i]->value);
    return list;
}

// A generator of our own, so that what is drawn depends on the seed alone and not on what else runs.
at::Generator generator(uint64_t seed) {
    auto own = at::globalContext().defaultGenerator(at::kCPU).clone();
    own.set_current_seed(seed);
    return own;
}

}  // namespace

const char *ct_error(void) { return last_error.c_str(); }
const char *ct_version(void) { return TORCH_VERSION; }
void ct_set_threads(int threads) { at::set_num_threads(threads); }
int ct_threads(void) { return at::get_num_threads(); }
bool ct_gradients_enabled(void) { return c10::GradMode::is_enabled(); }
void ct_set_gradients_enabled(bool enabled) { c10::GradMode::set_enabled(enabled); }
const char *ct_cuda_refusal(void) { return CUDALibrary::shared().refusal.c_str(); }

// Asks for large pages below a tensor that is not written yet: weights are then read a tenth faster.
static void enlarge_pages(const at::Tensor &tensor) {
#if defined(__linux__)
    constexpr uintptr_t page = 2 << 20;
    const auto begin = reinterpret_cast<uintptr_t>(tensor.data_ptr());
    const uintptr_t first = (begin + page - 1) / page * page, end = (begin + tensor.nbytes()) / page * page;
    if (first < end) madvise(reinterpret_cast<void *>(first), end - first, MADV_HUGEPAGE);
#endif
}

ct_tensor *ct_from_bytes(const void *bytes, const int64_t *shape, int rank, ct_dtype dtype) {
    return make([&] {
        const auto source = at::from_blob(const_cast<void *>(bytes), extents(shape, rank), at::TensorOptions(scalar(dtype)));
        at::Tensor tensor = at::empty(source.sizes(), source.options());
        enlarge_pages(tensor);
        return tensor.copy_(source);
    });
}
ct_tensor *ct_full(const int64_t *shape, int rank, double value, ct_dtype dtype, ct_device device) {
    return make([&] {
        return at::full(extents(shape, rank), value, at::TensorOptions(scalar(dtype)).device(place(device)));
    });
}
ct_tensor *ct_normal(const int64_t *shape, int rank, double deviation, uint64_t seed) {
    return make([&] { return at::randn(extents(shape, rank), generator(seed), at::kFloat).mul_(deviation); });
}
ct_tensor *ct_uniform(const int64_t *shape, int rank, double low, double high, uint64_t seed) {
    return make([&] { return at::rand(extents(shape, rank), generator(seed), at::kFloat).mul_(high - low).add_(low); });
}
ct_tensor *ct_arange(int64_t from, int64_t to, ct_device device) {
    return make([&] { return at::arange(from, to, at::TensorOptions(at::kLong).device(place(device))); });
}
int ct_copy_bytes(const ct_tensor *tensor, void *bytes, size_t capacity) {
    return perform([&] {
        auto host = tensor->value.detach().to(at::kCPU).contiguous();
        if (host.nbytes() > capacity) throw std::length_error("the buffer is smaller than the tensor");
        std::memcpy(bytes, host.data_ptr(), host.nbytes());
    });
}
void ct_free(ct_tensor *tensor) { delete tensor; }
ct_tensor *ct_to(const ct_tensor *x, ct_dtype dtype, ct_device device) {
    return make([&] { return x->value.to(place(device), scalar(dtype)); });
}
ct_tensor *ct_alias(const ct_tensor *x) {
    return make([&] { return x->value; });
}

int ct_rank(const ct_tensor *x) { return static_cast<int>(x->value.dim()); }
int64_t ct_extent(const ct_tensor *x, int axis) {
    return guarded<int64_t>(-1, [&] { return x->value.size(axis); });
}
int64_t ct_count(const ct_tensor *x) { return x->value.numel(); }
ct_dtype ct_dtype_of(const ct_tensor *x) {
    switch (x->value.scalar_type()) {
        case at::kBFloat16: return CT_BF16;
        case at::kHalf: return CT_F16;
        case at::kLong: return CT_I64;
        case at::kInt: return CT_I32;
        case at::kBool: return CT_BOOL;
        case at::kByte: return CT_U8;
        case at::kDouble: return CT_F64;
        case at::kChar: return CT_I8;
        default: return CT_F32;
    }
}
ct_device ct_device_of(const ct_tensor *x) { return x->value.is_cuda() ? CT_CUDA : CT_CPU; }

#define BINARY(name, call) \
    ct_tensor *name(const ct_tensor *a, const ct_tensor *b) { return make([&] { return call(a->value, b->value); }); }
BINARY(ct_add, at::add)
BINARY(ct_subtract, at::sub)
BINARY(ct_multiply, at::mul)
BINARY(ct_divide, at::div)
BINARY(ct_matmul, at::matmul)
BINARY(ct_less, at::lt)
BINARY(ct_less_equal, at::le)

#define UNARY(name, call) \
    ct_tensor *name(const ct_tensor *x) { return make([&] { return call(x->value); }); }
UNARY(ct_negate, at::neg)
UNARY(ct_exp, at::exp)
UNARY(ct_log, at::log)
UNARY(ct_rsqrt, at::rsqrt)
UNARY(ct_cos, at::cos)
UNARY(ct_sin, at::sin)
UNARY(ct_tanh, at::tanh)
UNARY(ct_sum_all, at::sum)
UNARY(ct_detach, at::detach)

ct_tensor *ct_gated(const ct_tensor *x, const ct_tensor *other, bool gelu) {
    return make([&] {
        const auto gate = gelu ? few_rows::Gate::gelu : few_rows::Gate::silu;
        if (auto product = few_rows::gated(x->value, other->value, gate)) return *product;
        if (auto product = training::gated(x->value, other->value, gelu)) return *product;
        return (gelu ? at::gelu(x->value, "tanh") : at::silu(x->value)) * other->value;
    });
}
ct_tensor *ct_add_scalar(const ct_tensor *x, double value) {
    return make([&] { return at::add(x->value, value); });
}
ct_tensor *ct_multiply_scalar(const ct_tensor *x, double value) {
    return make([&] { return at::mul(x->value, value); });
}
ct_tensor *ct_power(const ct_tensor *x, double exponent) {
    return make([&] { return at::pow(x->value, exponent); });
}
ct_tensor *ct_sum(const ct_tensor *x, int64_t axis, bool keep) {
    return make([&] { return at::sum(x->value, {axis}, keep); });
}
ct_tensor *ct_mean(const ct_tensor *x, int64_t axis, bool keep) {
    return make([&] { return at::mean(x->value, {axis}, keep); });
}
ct_tensor *ct_argmax(const ct_tensor *x, int64_t axis) {
    return make([&] {
        if (auto places = few_rows::argmax(x->value, axis)) return *places;
        return at::argmax(x->value, axis);
    });
}
ct_tensor *ct_softmax(const ct_tensor *x, int64_t axis) {
    return make([&] { return at::softmax(x->value, axis); });
}
ct_tensor *ct_log_softmax(const ct_tensor *x, int64_t axis) {
    return make([&] { return at::log_softmax(x->value, axis); });
}
ct_tensor *ct_cumulative_sum(const ct_tensor *x, int64_t axis) {
    return make([&] { return at::cumsum(x->value, axis); });
}
int ct_top(const ct_tensor *x, int64_t count, ct_tensor **top_values, ct_tensor **indices) {
    return perform([&] {
        auto [best, where] = at::topk(x->value, count, -1, true, true);
        *top_values = new ct_tensor{best};
        *indices = new ct_tensor{where};
    });
}

int ct_largest_components(const ct_tensor *x, int64_t count, ct_tensor **left, ct_tensor **right) {
    return perform([&] {
        auto [u, values, v] = at::linalg_svd(x->value, false);
        *left = new ct_tensor{at::narrow(u, 1, 0, count) * at::narrow(values, 0, 0, count)};
        *right = new ct_tensor{at::narrow(v, 0, 0, count).contiguous()};
    });
}
int ct_orthogonal_components(const ct_tensor *x, int64_t count, ct_tensor **left, ct_tensor **right) {
    return perform([&] {
        auto [q, r] = at::linalg_qr(x->value);
        *left = new ct_tensor{at::narrow(q, 1, 0, count).contiguous()};
        *right = new ct_tensor{at::narrow(r, 0, 0, count).contiguous()};
    });
}

ct_tensor *ct_reshape(const ct_tensor *x, const int64_t *shape, int rank) {
    return make([&] { return at::reshape(x->value, extents(shape, rank)); });
}
ct_tensor *ct_expand(const ct_tensor *x, const int64_t *shape, int rank) {
    return make([&] { return x->value.expand(extents(shape, rank)); });
}
ct_tensor *ct_transpose(const ct_tensor *x, int64_t a, int64_t b) {
    return make([&] { return at::transpose(x->value, a, b); });
}
ct_tensor *ct_contiguous(const ct_tensor *x) {
    return make([&] { return x->value.contiguous(); });
}
ct_tensor *ct_narrow(const ct_tensor *x, int64_t axis, int64_t start, int64_t length) {
    return make([&] { return at::narrow(x->value, axis, start, length); });
}
ct_tensor *ct_select_rows(const ct_tensor *x, int64_t axis, const ct_tensor *indices) {
    return make([&] { return at::index_select(x->value, axis, indices->value); });
}
ct_tensor *ct_gather(const ct_tensor *x, int64_t axis, const ct_tensor *indices) {
    return make([&] { return at::gather(x->value, axis, indices->value); });
}
ct_tensor *ct_add_rows(const ct_tensor *x, const ct_tensor *indices, const ct_tensor *rows) {
    return make([&] { return at::index_add(x->value, 0, indices->value, rows->value); });
}
ct_tensor *ct_where(const ct_tensor *condition, const ct_tensor *a, const ct_tensor *b) {
    return make([&] { return at::where(condition->value, a->value, b->value); });
}
ct_tensor *ct_concatenate(const ct_tensor *const *xs, int count, int64_t axis) {
    return make([&] { return at::cat(values(const_cast<ct_tensor *const *>(xs), count), axis); });
}
int ct_split(const ct_tensor *x, const int64_t *sizes, int count, int64_t axis, ct_tensor **parts) {
    return perform([&] {
        auto pieces = at::split_with_sizes(x->value, at::IntArrayRef(sizes, static_cast<size_t>(count)), axis);
        for (int i = 0; i < count; ++i) parts[i] = new ct_tensor{pieces[i]};
    });
}

static at::Tensor dropped(const at::Tensor &x, double probability, uint64_t seed) {
    if (auto kept = training::dropout(x, probability, seed)) return *kept;
    auto own = at::globalContext().defaultGenerator(x.device()).clone();
    own.set_current_seed(seed);
    auto kept = at::empty_like(x).bernoulli_(1 - probability, own);
    return x * kept.div_(1 - probability);
}
static at::Tensor or_none(const ct_tensor *x) { return x ? x->value : at::Tensor(); }

ct_tensor *ct_linear(const ct_tensor *x, const ct_tensor *weight, const ct_tensor *scales, const ct_tensor *bias) {
    return make([&] { return projections::linear(x->value, {weight->value, or_none(scales), or_none(bias)}); });
}
int ct_linears(const ct_tensor *x, const ct_tensor *const *weights, const ct_tensor *const *scales,
               const ct_tensor *const *biases, int count, ct_tensor **products) {
    return perform([&] {
        std::vector<few_rows::Weights> all;
        for (int i = 0; i < count; ++i) all.push_back({weights[i]->value, or_none(scales[i]), or_none(biases[i])});
        const auto results = projections::linears(x->value, all);
        for (int i = 0; i < count; ++i) products[i] = new ct_tensor{results[i]};
    });
}
static void give(const few_rows::Weights &packed, ct_tensor **values, ct_tensor **scales) {
    *values = new ct_tensor{packed.values};
    *scales = new ct_tensor{packed.scales};
}
int ct_pack_int8(const ct_tensor *weight, ct_tensor **values, ct_tensor **scales) {
    return perform([&] { give(projections::pack_int8(weight->value), values, scales); });
}
int ct_pack_int4(const ct_tensor *weight, ct_tensor **values, ct_tensor **scales) {
    return perform([&] { give(projections::pack_int4(weight->value), values, scales); });
}

ct_tensor *ct_pack_blocks(const ct_tensor *weight) {
    return guarded<ct_tensor *>(nullptr, [&]() -> ct_tensor * {
        auto blocks = blocked_products::pack(weight->value);
        return blocks ? new ct_tensor{*blocks} : nullptr;
    });
}
int ct_pack_int8_blocks(const ct_tensor *weight, ct_tensor **values, ct_tensor **scales) {
    return perform([&] {
        if (const auto blocks = blocked_products::pack_int8(weight->value)) {
            *values = new ct_tensor{blocks->values};
            *scales = new ct_tensor{blocks->scales};
        }
    });
}
bool ct_has_blocks(void) { return blocked_products::has_kernels(); }
ct_tensor *ct_paged_attention(const ct_tensor *q, const ct_tensor *k, const ct_tensor *v, const ct_tensor *cosine,
                              const ct_tensor *sine, const ct_tensor *q_norm, const ct_tensor *k_norm, ct_tensor *pages,
                              const ct_tensor *tables, const ct_tensor *starts, const ct_tensor *firsts, double scale,
                              int64_t window, double cap, double norm_epsilon) {
    auto optional = [](const ct_tensor *x) { return x ? std::optional(x->value) : std::nullopt; };
    return make([&] {
        return paged_attention::attend(q->value, k->value, v->value, cosine->value, sine->value, optional(q_norm),
                                       optional(k_norm), pages->value, {tables->value, starts->value, firsts->value},
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
        // Inference has a kernel of its own, without a way back.
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
int ct_adapted_linears(const ct_tensor *x, const ct_adapted *projections, int count, ct_tensor **products) {
    return perform([&] {
        std::vector<training::Adapted> all;
        for (int i = 0; i < count; ++i) {
            const auto &each = projections[i];
            all.push_back({each.weight->value, or_none(each.bias), or_none(each.down), or_none(each.up), each.scale,
                           each.dropout, each.seed});
        }
        // A decoding step has kernels of its own, which read the weights faster.
        const int64_t rows = x->value.numel() / std::max<int64_t>(x->value.size(-1), 1);
        if (c10::GradMode::is_enabled() || rows > 16) {
            if (auto results = training::adapted(x->value, all)) {
                for (int i = 0; i < count; ++i) products[i] = new ct_tensor{(*results)[i]};
                return;
            }
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

int ct_copy_into(ct_tensor *x, const ct_tensor *source) {
    return perform([&] {
        at::NoGradGuard frozen;
        x->value.copy_(source->value);
    });
}
int ct_put(ct_tensor *x, const ct_tensor *rows, const ct_tensor *columns, const ct_tensor *new_values) {
    return perform([&] {
        at::NoGradGuard frozen;
        if (!few_rows::put(x->value, rows->value, columns->value, new_values->value))
            x->value.index_put_({rows->value, columns->value}, new_values->value);
    });
}
int ct_scale(ct_tensor *x, double factor) {
    return perform([&] {
        at::NoGradGuard frozen;
        x->value.mul_(factor);
    });
}

int ct_set_requires_gradient(ct_tensor *x, bool required) {
    return perform([&] { x->value.set_requires_grad(required); });
}
bool ct_requires_gradient(const ct_tensor *x) { return x->value.requires_grad(); }
int ct_backward(const ct_tensor *loss) {
    return perform([&] { torch::autograd::backward({loss->value}, {}); });
}
int ct_backward_from(const ct_tensor *x, const ct_tensor *gradient) {
    return perform([&] { torch::autograd::backward({x->value}, {gradient->value}); });
}
void ct_set_interruption(ct_interruption interruption) { training::set_interruption(interruption); }
void ct_choose_training_products(int floats) { training::choose_products(floats); }
void ct_use_portable_training(bool portable) { training::set_portable(portable); }
void ct_keep_memory(void) { tensor_pool::keep(); }
void ct_release_memory(void) { tensor_pool::release(); }
void ct_memory(size_t *used, size_t *idle, size_t *most) {
    const auto report = tensor_pool::report();
    *used = report.used, *idle = report.idle, *most = report.most;
}
ct_tensor *ct_gradient(const ct_tensor *x) {
    last_error.clear();
    if (!x->value.grad().defined()) return nullptr;
    return make([&] { return x->value.grad(); });
}
void ct_clear_gradient(ct_tensor *x) {
    guarded<int>(1, [&] { x->value.mutable_grad() = at::Tensor(); return 0; });
}

int ct_adamw(ct_tensor *const *parameters, ct_tensor *const *gradients, ct_tensor *const *means,
             ct_tensor *const *variances, int count, int64_t step, double rate, double beta1, double beta2,
             double epsilon, double decay) {
    return perform([&] {
        at::NoGradGuard frozen;
        auto targets = values(parameters, count);
        std::vector<at::Tensor> steps;
        // The fused kernel wants each tensor's step count beside the tensor.
        for (const auto &target : targets)
            steps.push_back(at::full({}, static_cast<double>(step), at::TensorOptions(at::kFloat).device(target.device())));
        at::_fused_adamw_(targets, values(gradients, count), values(means, count), values(variances, count), {}, steps,
                          rate, beta1, beta2, decay, epsilon, false, false);
    });
}
double ct_norm(ct_tensor *const *xs, int count) {
    return guarded<double>(-1, [&] {
        double sum = 0;
        for (int i = 0; i < count; ++i) {
            auto norm = at::linalg_vector_norm(xs[i]->value.to(at::kFloat)).item<double>();
            sum += norm * norm;
        }
        return std::sqrt(sum);
    });
}

const char *ct_graph_refusal(void) { return CUDAGraph::refusal().c_str(); }
ct_graph *ct_graph_begin(void) {
    return guarded<ct_graph *>(nullptr, [] { return new ct_graph(); });
}
int ct_graph_end(ct_graph *graph) {
    return perform([&] { graph->value.end(); });
}
int ct_graph_replay(ct_graph *graph) {
    return perform([&] { graph->value.replay(); });
}
void ct_graph_free(ct_graph *graph) { delete graph; }
