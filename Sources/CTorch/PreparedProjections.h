#pragma once

#include "Training.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <memory>
#include <vector>

namespace training {

// A projection in the form that the products take: the base as it is stored, the adapter in the type of the products,
// the scale contained in `up`.
struct Prepared {
    at::Tensor weight, bias, down, up;
    double scale, dropout;
    uint64_t seed;

    bool has_adapter() const { return down.defined(); }
    int64_t outputs() const { return weight.size(0); }
    int64_t rank() const { return down.size(0); }
};

using Projections = std::shared_ptr<std::vector<Prepared>>;

// Keeps the projections for the backward pass.
struct ProjectionHolder : torch::CustomClassHolder {
    Projections projections;

    static void keep(torch::autograd::AutogradContext *context, const Projections &projections) {
        auto holder = c10::make_intrusive<ProjectionHolder>();
        holder->projections = projections;
        context->saved_data["projections"] = c10::IValue::make_capsule(holder);
    }

    static Projections kept(torch::autograd::AutogradContext *context) {
        return c10::static_intrusive_pointer_cast<ProjectionHolder>(context->saved_data["projections"].toCapsule())->projections;
    }
};

// The same in block floating point (`BlockFloat.h`), for x in bfloat16; the adapters' parts are in float32.
// `learning` contains down and up of each projection that has an adapter, in this order.
torch::autograd::variable_list block_projections(const at::Tensor &x, at::TensorList learning, const Projections &projections);

}
