#pragma once

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>

// Causal attention, one block of queries at a time. Attention weights are not kept but computed again in the backward
// pass, so memory grows linearly with the text, not quadratically.
struct AttentionInBlocks : torch::autograd::Function<AttentionInBlocks> {
    // One block: the queries of a group are the rows of one product with the keys that they share.
    struct Block {
        int64_t start, count, seen;
        at::Tensor queries, keys, values;

        Block(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, int64_t start, int64_t count)
            : start(start), count(count), seen(k.size(2) - q.size(2) + start + count) {
            queries = rows(q, k.size(1)) * scale(q);
            keys = at::narrow(k, 2, 0, seen).reshape({-1, seen, k.size(3)});
            values = at::narrow(v, 2, 0, seen).reshape({-1, seen, v.size(3)});
        }

        static double scale(const at::Tensor &q) { return 1 / std::sqrt(static_cast<double>(q.size(3))); }

        // This block's part of `[batch, heads, length, dim]` as `[batch · shared, group · count, dim]`.
        at::Tensor rows(const at::Tensor &x, int64_t shared) const {
            return at::narrow(x, 2, start, count).reshape({x.size(0) * shared, x.size(1) / shared * count, x.size(3)});
        }

        at::Tensor weights() const {
            auto scores = at::bmm(queries, keys.transpose(1, 2));
            auto corner = at::full({count, count}, -INFINITY, scores.options()).triu_(1);
            at::narrow(scores.view({scores.size(0), -1, count, seen}), 3, seen - count, count).add_(corner);
            return at::softmax(scores, -1);
        }
    };

    static at::Tensor forward(torch::autograd::AutogradContext *context, const at::Tensor &q, const at::Tensor &k,
                              const at::Tensor &v, int64_t size) {
        context->save_for_backward({q, k, v});
        context->saved_data["size"] = size;
        auto output = at::empty(q.sizes(), q.options());
        for (int64_t start = 0; start < q.size(2); start += size) {
            const Block block(q, k, v, start, std::min(size, q.size(2) - start));
            auto part = at::narrow(output, 2, start, block.count);
            part.copy_(at::bmm(block.weights(), block.values).view(part.sizes()));
        }
        return output;
    }

    static torch::autograd::variable_list backward(torch::autograd::AutogradContext *context,
                                                   torch::autograd::variable_list gradients) {
        const auto saved = context->get_saved_variables();
        const auto &q = saved[0], &k = saved[1], &v = saved[2];
        const int64_t size = context->saved_data["size"].toInt();
        auto of_q = at::empty(q.sizes(), q.options());
        // Sums over blocks and groups, in full precision.
        auto of_k = at::zeros({k.size(0) * k.size(1), k.size(2), k.size(3)}, k.options().dtype(at::kFloat));
        auto of_v = at::zeros_like(of_k);
        for (int64_t start = 0; start < q.size(2); start += size) {
            const Block block(q, k, v, start, std::min(size, q.size(2) - start));
            const auto weights = block.weights(), above = block.rows(gradients[0], k.size(1));
            const auto scores =
                at::_softmax_backward_data(at::bmm(above, block.values.transpose(1, 2)), weights, -1, q.scalar_type());
            auto part = at::narrow(of_q, 2, start, block.count);
            part.copy_(at::bmm(scores, block.keys).mul_(Block::scale(q)).view(part.sizes()));
            at::narrow(of_k, 1, 0, block.seen).add_(at::bmm(scores.transpose(1, 2), block.queries));
            at::narrow(of_v, 1, 0, block.seen).add_(at::bmm(weights.transpose(1, 2), above));
        }
        return {of_q, of_k.view(k.sizes()).to(k.scalar_type()), of_v.view(v.sizes()).to(v.scalar_type()), {}};
    }
};
