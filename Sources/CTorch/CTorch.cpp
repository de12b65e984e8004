#include "Calls.h"
#include "CUDAGraph.h"
#include "FewRows.h"
#include "LargePages.h"
#include "Threads.h"
#include "Training.h"

#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <torch/version.h>

#include <cstring>

// The process, tensors, arithmetic, and shape.

using namespace calls;

at::ScalarType calls::scalar(ct_dtype dtype) {
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

namespace {

at::Device place(ct_device device) {
    if (device == CT_CPU) return at::kCPU;
    const auto &refusal = CUDALibrary::shared().refusal;
    if (!refusal.empty()) throw std::runtime_error("CUDA cannot be used: " + refusal);
    return at::kCUDA;
}

// A separate generator, so that random numbers depend on the seed alone and not on what else runs.
at::Generator generator(uint64_t seed) {
    auto own = at::globalContext().defaultGenerator(at::kCPU).clone();
    own.set_current_seed(seed);
    return own;
}

}

const char *ct_error(void) { return last_error.c_str(); }
const char *ct_version(void) { return TORCH_VERSION; }
void ct_set_threads(int threads) { at::set_num_threads(threads); }
int ct_threads(void) { return at::get_num_threads(); }
void ct_release_workers(void) { Threads::release(); }
bool ct_gradients_enabled(void) { return c10::GradMode::is_enabled(); }
void ct_set_gradients_enabled(bool enabled) { c10::GradMode::set_enabled(enabled); }
const char *ct_cuda_refusal(void) { return CUDALibrary::shared().refusal.c_str(); }

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
UNARY(ct_rsqrt, at::rsqrt)
UNARY(ct_sigmoid, at::sigmoid)
UNARY(ct_sum_all, at::sum)
UNARY(ct_detach, at::detach)

// MKL's vector functions find out the processor at their first call. When two threads make it at the same time, one of them
// may compute with the less accurate variant, off by 5e-5; so one thread makes it alone.
static void prepare_vector_functions() {
    static const at::Tensor first = at::tanh(at::zeros({1}));
}
#define VECTOR(name, call) \
    ct_tensor *name(const ct_tensor *x) { \
        return make([&] { \
            prepare_vector_functions(); \
            return call(x->value); \
        }); \
    }
VECTOR(ct_exp, at::exp)
VECTOR(ct_log, at::log)
VECTOR(ct_cos, at::cos)
VECTOR(ct_sin, at::sin)
VECTOR(ct_tanh, at::tanh)

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
ct_tensor *ct_maximum(const ct_tensor *x, int64_t axis, bool keep) {
    return make([&] { return at::amax(x->value, {axis}, keep); });
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
