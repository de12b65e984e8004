#pragma once

#include <ATen/ATen.h>
#include <ATen/ops/_flash_attention_forward.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

// Rows of the first axis in any order, with repetitions. The gradients of a row's copies are summed in float32: a
// beginning that hundreds of samples share would lose their small contributions in bfloat16.
struct RepeatedRows : torch::autograd::Function<RepeatedRows> {
    static at::Tensor forward(torch::autograd::AutogradContext *context, const at::Tensor &x, const at::Tensor &indices) {
        context->save_for_backward({indices});
        context->saved_data["rows"] = x.size(0);
        return at::index_select(x, 0, indices);
    }

    static torch::autograd::variable_list backward(torch::autograd::AutogradContext *context,
                                                   torch::autograd::variable_list gradients) {
        const auto &above = gradients[0];
        auto shape = above.sizes().vec();
        shape[0] = context->saved_data["rows"].toInt();
        auto sum = at::zeros(shape, above.options().dtype(at::kFloat));
        sum.index_add_(0, context->get_saved_variables()[0], above.to(at::kFloat));
        return {sum.to(above.scalar_type()), {}};
    }
};

// FlashAttention-2 over concatenated sequences; a sequence's last query belongs to its last key. libtorch has this
// kernel, and its backward pass, only on CUDA.
inline at::Tensor flash_attention(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, const at::Tensor &q_starts,
                                  const at::Tensor &k_starts, int64_t longest_q, int64_t longest_k, int64_t window) {
    const auto back = window > 0 ? std::optional<int64_t>(window - 1) : std::nullopt;
    const auto ahead = window > 0 ? std::optional<int64_t>(0) : std::nullopt;
    const double scale = 1 / std::sqrt(static_cast<double>(q.size(-1)));
    return std::get<0>(at::_flash_attention_forward(q, k, v, q_starts, k_starts, longest_q, longest_k, 0.0, true, false,
                                                    scale, back, ahead));
}
