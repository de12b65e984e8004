#include "GatedDelta.h"

#include "Calls.h"

#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <limits>
#include <vector>

namespace {

constexpr int64_t chunk = 64;

// One head's tokens, one after the other, so that a token's result does not depend on how many come at once, to the
// bit.
struct Head {
    const float *query, *key, *value, *learning, *decay;
    // `[key width][value width]`.
    float *memory;
    float *output;
    int64_t tokens, heads, keys, values;

    void run(float *found) const {
        for (int64_t t = 0; t < tokens; ++t) {
            const float *q = query + t * heads * keys, *k = key + t * heads * keys, *v = value + t * heads * values;
            float *out = output + t * heads * values;
            const float kept = std::exp(decay[t * heads]), learned = learning[t * heads];
            for (int64_t j = 0; j < values; ++j) found[j] = out[j] = 0;
            for (int64_t i = 0; i < keys; ++i) {
                float *__restrict row = memory + i * values;
                for (int64_t j = 0; j < values; ++j) {
                    row[j] *= kept;
                    found[j] += row[j] * k[i];
                }
            }
            for (int64_t j = 0; j < values; ++j) found[j] = (v[j] - found[j]) * learned;
            for (int64_t i = 0; i < keys; ++i) {
                float *__restrict row = memory + i * values;
                for (int64_t j = 0; j < values; ++j) {
                    row[j] += k[i] * found[j];
                    out[j] += row[j] * q[i];
                }
            }
        }
    }
};

std::pair<at::Tensor, at::Tensor> by_tokens(const at::Tensor &query, const at::Tensor &key, const at::Tensor &value,
                                            const at::Tensor &learning, const at::Tensor &decay, const at::Tensor &memory) {
    const auto q = query.contiguous(), k = key.contiguous(), v = value.contiguous(), b = learning.contiguous(),
               g = decay.contiguous();
    auto state = memory.clone(at::MemoryFormat::Contiguous);
    auto output = at::empty_like(v);
    const int64_t tokens = q.size(0), heads = q.size(1), keys = q.size(2), values = v.size(2);
    at::parallel_for(0, heads, 1, [&](int64_t begin, int64_t end) {
        std::vector<float> found(values);
        for (int64_t h = begin; h < end; ++h)
            Head{q.data_ptr<float>() + h * keys, k.data_ptr<float>() + h * keys, v.data_ptr<float>() + h * values,
                 b.data_ptr<float>() + h, g.data_ptr<float>() + h, state.data_ptr<float>() + h * keys * values,
                 output.data_ptr<float>() + h * values, tokens, heads, keys, values}
                .run(found.data());
    });
    return {output, state};
}

// Processes chunks of tokens at once, as matrix products through which gradients flow. Within a chunk, what the
// memory learns of a token depends on the earlier tokens by a triangular system (the paper's UT transform).
std::pair<at::Tensor, at::Tensor> by_chunks(const at::Tensor &query, const at::Tensor &key, const at::Tensor &value,
                                            const at::Tensor &learning, const at::Tensor &decay, const at::Tensor &memory) {
    const int64_t tokens = query.size(0), heads = query.size(1);
    const int64_t chunks = (tokens + chunk - 1) / chunk, more = chunks * chunk - tokens;
    // [tokens, heads, width] -> [heads, chunks, chunk, width]
    auto rows = [&](const at::Tensor &x) {
        return at::constant_pad_nd(x.transpose(0, 1), {0, 0, 0, more}).reshape({heads, chunks, chunk, x.size(2)});
    };
    auto numbers = [&](const at::Tensor &x) { return at::constant_pad_nd(x.t(), {0, more}).reshape({heads, chunks, chunk}); };
    const auto q = rows(query), k = rows(key), b = numbers(learning).unsqueeze(-1);
    const auto past = numbers(decay).cumsum(-1);
    const auto later = at::ones({chunk, chunk}, past.options().dtype(at::kBool)).triu(1);
    const auto pairs =
        (past.unsqueeze(-1) - past.unsqueeze(-2)).masked_fill(later, -std::numeric_limits<double>::infinity()).exp();
    const auto system = at::matmul(k * b, k.transpose(-1, -2)) * pairs;
    auto solved = [&](const at::Tensor &x) { return at::linalg_solve_triangular(system, x, false, true, true); };
    const auto learned = solved(rows(value) * b), read = solved(k * b * past.exp().unsqueeze(-1));
    const auto own = at::matmul(q, k.transpose(-1, -2)) * pairs;
    const auto decayed_q = q * past.exp().unsqueeze(-1);
    const auto end = past.narrow(-1, chunk - 1, 1);
    const auto decayed_k = (k * (end - past).exp().unsqueeze(-1)).transpose(-1, -2);
    const auto kept = end.exp().unsqueeze(-1);
    auto state = memory;
    std::vector<at::Tensor> outputs;
    for (int64_t i = 0; i < chunks; ++i) {
        const auto news = learned.select(1, i) - at::matmul(read.select(1, i), state);
        outputs.push_back(at::matmul(decayed_q.select(1, i), state) + at::matmul(own.select(1, i), news));
        state = state * kept.select(1, i) + at::matmul(decayed_k.select(1, i), news);
    }
    return {at::cat(outputs, 1).narrow(1, 0, tokens).transpose(0, 1), state};
}

at::Tensor unit(const at::Tensor &x) { return x * at::rsqrt((x * x).sum(-1, true) + 1e-6); }

bool goes_by_chunks(at::ArrayRef<at::Tensor> inputs) {
    bool learns = false;
    for (const auto &x : inputs) learns = learns || x.requires_grad();
    return (c10::GradMode::is_enabled() && learns) || inputs[0].device().type() != at::kCPU;
}

}  // namespace

std::pair<at::Tensor, at::Tensor> gated_delta::run(const at::Tensor &query, const at::Tensor &key, const at::Tensor &value,
                                                   const at::Tensor &learning, const at::Tensor &decay, const at::Tensor &memory) {
    return goes_by_chunks({query, key, value, learning, decay, memory}) ? by_chunks(query, key, value, learning, decay, memory)
                                                                        : by_tokens(query, key, value, learning, decay, memory);
}

int ct_gated_delta(const ct_tensor *mixed, const ct_tensor *learning, const ct_tensor *forgetting, const ct_tensor *rate,
                   const ct_tensor *bias, int64_t key_heads, int64_t key_width, int64_t value_heads, int64_t value_width,
                   const ct_tensor *memory, ct_tensor **output, ct_tensor **after) {
    using namespace calls;
    return perform([&] {
        // libtorch's functions compute full registers with a different last bit than the rest; rounding from float64
        // removes that.
        const auto exact = goes_by_chunks({mixed->value, learning->value, forgetting->value, rate->value, bias->value})
                               ? at::kFloat : at::kDouble;
        const auto x = at::silu(mixed->value.squeeze(0).to(exact));
        const int64_t tokens = x.size(0), keys = key_heads * key_width, group = value_heads / key_heads;
        auto heads = [&](int64_t start, int64_t count, int64_t width) {
            return x.narrow(1, start, count * width).reshape({tokens, count, width});
        };
        // Each key head serves a group of consecutive value heads.
        auto repeated = [&](const at::Tensor &y) {
            return (group == 1 ? y : y.repeat_interleave(group, 1)).to(at::kFloat);
        };
        const auto query = repeated(unit(heads(0, key_heads, key_width)) * (1 / std::sqrt(static_cast<double>(key_width))));
        const auto key = repeated(unit(heads(keys, key_heads, key_width)));
        const auto value = heads(2 * keys, value_heads, value_width).to(at::kFloat);
        const auto learned = learning->value.squeeze(0).to(exact).sigmoid().to(at::kFloat);
        const auto pace = at::softplus(forgetting->value.squeeze(0).to(exact) + bias->value.to(exact));
        const auto decay = (-rate->value.to(exact).exp() * pace).to(at::kFloat);
        const auto before = memory ? memory->value : at::zeros({value_heads, key_width, value_width}, query.options());
        const auto [read, state] = gated_delta::run(query, key, value, learned, decay, before);
        *output = new ct_tensor{read.reshape({1, tokens, value_heads * value_width}).to(mixed->value.scalar_type())};
        *after = new ct_tensor{state};
    });
}
