#pragma once

#include "BlockedProducts.h"
#include "FourBits.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

// Products with plain matrices, with matrices in blocks, and with matrices quantised in libtorch's layout, for CPUs
// without our own kernels.
namespace projections {

using blocked_products::Weights;

// Signed bytes with a scale per row, in libtorch's layout.
inline Weights pack_int8(const at::Tensor &weight) {
    const auto whole = weight.to(at::kFloat), scale = (whole.abs().amax(1) / 127).clamp_min(1e-10);
    return {(whole / scale.unsqueeze(1)).round().clamp(-127, 127).to(at::kChar), scale.to(at::kBFloat16), {}};
}

// Four bits, in libtorch's layout.
inline Weights pack_int4(const at::Tensor &weight) {
    const FourBits bits(weight.to(at::kFloat));
    // libtorch's kernel reads (number - 8) * scale + zero.
    const auto pair = at::cat({bits.scale, bits.low + bits.scale * 8}, 2).transpose(0, 1);
    return {at::_convert_weight_to_int4pack_for_cpu(bits.numbers.flatten(1), 1), pair.contiguous().to(at::kBFloat16), {}};
}

// The product of rows `[rows, in]` with a packed matrix, by libtorch: bytes have one scale for each output,
// libtorch's half bytes have two values for each group and output.
inline at::Tensor packed(const at::Tensor &rows, const at::Tensor &values, const at::Tensor &scales) {
    if (values.scalar_type() == at::kChar) return at::_weight_int8pack_mm(rows, values, scales);
    return at::_weight_int4pack_mm_for_cpu(rows, values, rows.size(1) / scales.size(0), scales);
}

// x · weightᵀ, with a bias when there is one.
inline at::Tensor linear(const at::Tensor &x, const Weights &weights) {
    const auto &[values, scales, bias] = weights;
    if (blocked_products::is_blocked(values)) return blocked_products::linears(x, {weights}).front();
    if (!scales.defined()) return bias.defined() ? at::linear(x, values, bias) : at::linear(x, values);
    auto product = packed(x.reshape({-1, x.size(-1)}).contiguous(), values, scales);
    auto shape = x.sizes().vec();
    shape.back() = product.size(1);
    product = product.reshape(shape);
    return bias.defined() ? product + bias : product;
}

// Several of them; those in blocks are computed together.
inline std::vector<at::Tensor> linears(const at::Tensor &x, const std::vector<Weights> &weights) {
    const bool are_blocked = std::ranges::all_of(weights, [&](const auto &each) {
        return blocked_products::is_blocked(each.values) && each.values.scalar_type() == weights.front().values.scalar_type();
    });
    if (are_blocked && !weights.empty()) return blocked_products::linears(x, weights);
    std::vector<at::Tensor> products;
    for (const auto &each : weights) products.push_back(linear(x, each));
    return products;
}

}
