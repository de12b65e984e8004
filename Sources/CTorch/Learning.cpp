#include "Calls.h"
#include "CUDAGraph.h"
#include "FewRows.h"
#include "TensorPool.h"
#include "Training.h"
#include "TrainingLoopTable.h"

#include <ATen/ops/_fused_adamw.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

// Changes of tensors in place, automatic differentiation, and recorded passes.

using namespace calls;

struct ct_graph {
    CUDAGraph value;
};

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
ct_interruption ct_set_interruption(ct_interruption interruption) { return training::set_interruption(interruption); }
void ct_skip_dropped_rows(int64_t rows) { training::skip_dropped_rows(rows); }
void ct_choose_training_products(int products) { training::choose_products(products); }
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
        // The fused kernel needs each tensor's step count in a tensor on the same device.
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
