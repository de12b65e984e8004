#include "BlockFloat.h"
#include "MatrixRegisters.h"
#include "PreparedProjections.h"
#include "TrainingRows.h"

#include <atomic>

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using namespace training;

namespace {

// How many outputs' weights are converted to float32 at once, if products are in float32, so that the head of a large
// vocabulary need not be held twice.
constexpr int64_t block = 2048;

struct AdaptedProjections : torch::autograd::Function<AdaptedProjections> {
    // `learning` contains down and up of each projection that has an adapter, in this order.
    static variable_list forward(AutogradContext *context, const at::Tensor &x, at::TensorList learning,
                                 const Projections &projections, at::ScalarType type) {
        const auto rows = x.reshape({-1, x.size(-1)}).contiguous(), wide = rows.to(type);
        variable_list products, saved{rows};
        for (const auto &each : *projections) {
            at::Tensor low;
            if (each.has_adapter()) {
                low = at::mm(each.dropout > 0 ? drop(rows, each.dropout, each.seed).to(type) : wide, each.down.t());
                saved.push_back(low.to(x.scalar_type()));
            }
            auto shape = x.sizes().vec();
            shape.back() = each.weight.size(0);
            products.push_back(outputs(each, wide, low, x.scalar_type()).view(shape));
        }
        context->save_for_backward(saved);
        context->saved_data["shape"] = x.sizes().vec();
        context->saved_data["type"] = static_cast<int64_t>(type);
        context->set_materialize_grads(false);
        ProjectionHolder::keep(context, projections);
        return products;
    }

    static variable_list backward(AutogradContext *context, variable_list above) {
        check_interruption();
        const auto projections = ProjectionHolder::kept(context);
        const auto saved = context->get_saved_variables();
        const auto &x = saved[0];
        const auto type = static_cast<at::ScalarType>(context->saved_data["type"].toInt());
        const bool x_learns = context->needs_input_grad(0);
        // The gradient of x without dropout, and the adapters' contribution to it with dropout.
        at::Tensor of_x;
        variable_list gradients{at::Tensor()};
        size_t place = 0;
        for (size_t index = 0; index < projections->size(); ++index) {
            const auto &each = (*projections)[index];
            const auto low = each.has_adapter() ? saved[++place].to(type) : at::Tensor();
            if (!above[index].defined()) {
                if (each.has_adapter()) gradients.insert(gradients.end(), 2, at::Tensor());
                continue;
            }
            const auto gradient = above[index].reshape({-1, each.weight.size(0)}).contiguous();
            at::Tensor of_low;
            std::vector<at::Tensor> of_up;
            over_blocks(each, type, [&](int64_t start, int64_t count) {
                const auto part = gradient.narrow(1, start, count).to(type);
                if (x_learns) add(of_x, part, each.weight.narrow(0, start, count).to(type));
                if (!each.has_adapter()) return;
                add(of_low, part, each.up.narrow(0, start, count));
                of_up.push_back(at::mm(part.t(), low).to(at::kFloat));
            });
            if (!each.has_adapter()) continue;
            const auto kept = (each.dropout > 0 ? drop(x, each.dropout, each.seed) : x).to(type);
            gradients.push_back(at::mm(of_low.t(), kept).to(at::kFloat));
            gradients.push_back((of_up.size() == 1 ? of_up[0] : at::cat(of_up)).mul_(each.scale));
            if (!x_learns) continue;
            if (each.dropout > 0) drop(at::mm(of_low, each.down), each.dropout, each.seed, of_x);
            else add(of_x, of_low, each.down);
        }
        if (of_x.defined()) gradients[0] = of_x.to(x.scalar_type()).view(context->saved_data["shape"].toIntVector());
        gradients.resize(gradients.size() + 2);
        return gradients;
    }

private:
    template <typename Body>
    static void over_blocks(const Prepared &each, at::ScalarType type, const Body &body) {
        const int64_t all = each.weight.size(0), size = each.weight.scalar_type() == type ? all : block;
        for (int64_t start = 0; start < all; start += size) body(start, std::min(size, all - start));
    }

    static void add(at::Tensor &sum, const at::Tensor &a, const at::Tensor &b) {
        if (sum.defined()) sum.addmm_(a, b);
        else sum = at::mm(a, b);
    }

    static at::Tensor outputs(const Prepared &each, const at::Tensor &rows, const at::Tensor &low, at::ScalarType result) {
        at::Tensor y;
        over_blocks(each, rows.scalar_type(), [&](int64_t start, int64_t count) {
            const auto weight = each.weight.narrow(0, start, count).to(rows.scalar_type());
            const auto bias = each.bias.defined() ? std::optional(each.bias.narrow(0, start, count).to(rows.scalar_type())) : std::nullopt;
            auto part = at::linear(rows, weight, bias);
            if (low.defined()) part.addmm_(low, each.up.narrow(0, start, count).t());
            if (count == each.weight.size(0)) {
                y = part.to(result);
                return;
            }
            if (!y.defined()) y = at::empty({rows.size(0), each.weight.size(0)}, rows.options().dtype(result));
            y.narrow(1, start, count).copy_(part);
        });
        return y;
    }
};

}

// Whether this CPU multiplies float32 faster than bfloat16. Intel's AVX512-BF16 does half as many products per cycle
// as float32 (measured on Sapphire Rapids with its AMX hidden: 165 against 310 GFLOP/s), and without such
// instructions bfloat16 is converted to float32 first; AMX and AMD's AVX512-BF16 are faster. The kind of the CPU
// decides and not a timing, so that a resumed run computes the same.
static bool multiplies_floats_faster() {
#if defined(__x86_64__)
    static const bool faster = !matrix::fit() && (__builtin_cpu_is("intel") || !__builtin_cpu_supports("avx512bf16"));
    return faster;
#else
    return false;
#endif
}

// With fewer rows of x, packing the weights would cost more than the products gain.
static constexpr int64_t fewest_rows = 96;

static std::atomic<int> chosen_products{-1};

void training::choose_products(int products) { chosen_products = products; }

static training::Products products_of(const at::Tensor &x) {
    if (x.scalar_type() != at::kBFloat16) return training::own;
    const int chosen = chosen_products;
    const bool fit = block_float::fits() && training::is_wide();
    if (chosen == training::blocks && fit) return training::blocks;
    if (chosen >= 0 && chosen != training::blocks) return static_cast<training::Products>(chosen);
    if (!multiplies_floats_faster()) return training::own;
    return fit && x.numel() / x.size(-1) >= fewest_rows ? training::blocks : training::floats;
}

std::optional<std::vector<at::Tensor>> training::adapted(const at::Tensor &x, const std::vector<Adapted> &projections) {
    if (!fits(x)) return std::nullopt;
    const auto products = products_of(x);
    const auto type = products == own ? x.scalar_type() : at::kFloat;
    auto prepared = std::make_shared<std::vector<Prepared>>();
    std::vector<at::Tensor> learning;
    {
        at::NoGradGuard frozen;
        for (const auto &each : projections) {
            if (each.weight.scalar_type() != x.scalar_type() || each.weight.requires_grad()) return std::nullopt;
            if (each.bias.defined() && (each.bias.requires_grad() || each.bias.scalar_type() != x.scalar_type())) return std::nullopt;
            Prepared ready{each.weight, each.bias, {}, {}, each.scale, each.dropout, each.seed};
            if (each.down.defined()) {
                if (!each.up.defined() || each.down.size(1) != each.weight.size(1) || each.up.size(0) != each.weight.size(0))
                    return std::nullopt;
                ready.down = each.down.to(type);
                ready.up = (each.up * each.scale).to(type);
                learning.push_back(each.down);
                learning.push_back(each.up);
            }
            prepared->push_back(ready);
        }
    }
    if (products == blocks) return block_projections(x, at::TensorList(learning), prepared);
    return AdaptedProjections::apply(x, at::TensorList(learning), prepared, type);
}
