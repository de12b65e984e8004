#include "Training.h"

#include "Threads.h"
#include "TrainingLoopTable.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <atomic>
#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <memory>
#include <stdexcept>

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

namespace {

thread_local training::Interruption interruption = nullptr;

void check_interruption() {
    if (interruption && interruption()) throw std::runtime_error("interrupted");
}

bool fits(const at::Tensor &x) {
    return x.is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16) && x.numel() > 0 && x.dim() > 0;
}

bool fits(const at::Tensor &x, const at::Tensor &other) { return fits(x) && fits(other) && x.scalar_type() == other.scalar_type(); }

// Shares rows of `width` elements among the threads: `body(number, from, to)`.
template <typename Body>
void over_numbered_rows(int64_t rows, int64_t width, const Body &body) {
    const int64_t worth = std::max<int64_t>(rows * width / (1 << 14), 1);
    Threads::run(std::min(rows, worth), [&](int64_t number, int64_t count) {
        const int64_t from = rows * number / count, to = rows * (number + 1) / count;
        if (from < to) body(number, from, to);
    });
}

// The same: `body(from, to)`.
template <typename Body>
void over_rows(int64_t rows, int64_t width, const Body &body) {
    over_numbered_rows(rows, width, [&](int64_t, int64_t from, int64_t to) { body(from, to); });
}

// Calls `body` with a number of the element type's C++ type.
template <typename Body>
auto typed(const at::Tensor &x, const Body &body) {
    return x.scalar_type() == at::kFloat ? body(float{}) : body(c10::BFloat16{});
}

template <typename T>
const T *in(const at::Tensor &x) {
    return x.defined() ? x.const_data_ptr<T>() : nullptr;
}

template <typename T>
T *out(const at::Tensor &x) {
    return x.defined() ? x.mutable_data_ptr<T>() : nullptr;
}

template <typename T>
T *moved(T *pointer, int64_t places) {
    return pointer ? pointer + places : nullptr;
}

struct RootMeanSquareNorm : torch::autograd::Function<RootMeanSquareNorm> {
    static variable_list forward(AutogradContext *context, const at::Tensor &x, const std::optional<at::Tensor> &added,
                                 const at::Tensor &weight, double epsilon) {
        const int64_t width = x.size(-1), rows = x.numel() / width;
        const auto from = x.contiguous(), beside = added ? added->contiguous() : at::Tensor(), scale = weight.contiguous();
        const auto sum = added ? at::empty_like(from) : at::Tensor(), norm = at::empty_like(from);
        const auto inverse = at::empty({rows}, x.options().dtype(at::kFloat));
        typed(x, [&]<typename T>(T) {
            over_rows(rows, width, [&](int64_t first, int64_t last) {
                const int64_t place = first * width;
                training::loops<T>().norm_forward(
                    in<T>(from) + place, moved(in<T>(beside), place), in<T>(scale), moved(out<T>(sum), place),
                    out<T>(norm) + place, out<float>(inverse) + first, last - first, width, epsilon);
            });
        });
        context->save_for_backward({added ? sum : from, scale, inverse});
        context->saved_data["added"] = added.has_value();
        context->set_materialize_grads(false);
        if (added) return {norm, sum};
        return {norm};
    }

    static variable_list backward(AutogradContext *context, variable_list above) {
        check_interruption();
        const bool added = context->saved_data["added"].toBool();
        const auto beside = added && above[1].defined() ? above[1].contiguous() : at::Tensor();
        if (!above[0].defined()) return {beside, added ? beside : at::Tensor(), {}, {}};
        const auto saved = context->get_saved_variables();
        const auto &x = saved[0], &weight = saved[1], &inverse = saved[2];
        const int64_t width = x.size(-1), rows = x.numel() / width;
        const auto gradient = above[0].contiguous(), of_x = at::empty_like(x);
        const bool weight_learns = context->needs_input_grad(added ? 2 : 1);
        // A share for each thread, added up in the order of their rows, so that the sum is the same each time.
        const auto shares = weight_learns ? at::zeros({at::get_num_threads(), width}, inverse.options()) : at::Tensor();
        typed(x, [&]<typename T>(T) {
            over_numbered_rows(rows, width, [&](int64_t number, int64_t first, int64_t last) {
                const int64_t place = first * width;
                float *share = weight_learns ? out<float>(shares) + number * width : nullptr;
                training::loops<T>().norm_backward(
                    in<T>(x) + place, in<T>(weight), in<float>(inverse) + first, in<T>(gradient) + place,
                    moved(in<T>(beside), place), out<T>(of_x) + place, share, last - first, width);
            });
        });
        return {of_x, added ? of_x : at::Tensor(), weight_learns ? shares.sum(0).to(weight.scalar_type()) : at::Tensor(), {}};
    }
};

struct Rotation : torch::autograd::Function<Rotation> {
    static at::Tensor forward(AutogradContext *context, const at::Tensor &x, const at::Tensor &cosine, const at::Tensor &sine) {
        context->save_for_backward({cosine, sine});
        return turned(x, cosine, sine, false, at::empty(x.sizes(), x.options()));
    }

    static variable_list backward(AutogradContext *context, variable_list above) {
        const auto saved = context->get_saved_variables();
        const auto &x = above[0].stride(3) == 1 ? above[0] : above[0].contiguous();
        // In the order of what projections make, so that no copy follows.
        auto of_x = at::empty({x.size(0), x.size(2), x.size(1), x.size(3)}, x.options()).transpose(1, 2);
        return {turned(x, saved[0], saved[1], true, of_x), {}, {}};
    }

    static at::Tensor turned(const at::Tensor &x, const at::Tensor &cosine, const at::Tensor &sine, bool back, at::Tensor y) {
        const int64_t heads = x.size(1), length = x.size(2), width = x.size(3), turned = cosine.size(-1);
        typed(x, [&]<typename T>(T) {
            const auto &loops = training::loops<T>();
            over_rows(x.size(0) * length, heads * width, [&](int64_t first, int64_t last) {
                for (int64_t place = first; place < last; ++place) {
                    const int64_t row = place / length, token = place % length;
                    const T *c = in<T>(cosine) + place * turned, *s = in<T>(sine) + place * turned;
                    const T *from = in<T>(x) + row * x.stride(0) + token * x.stride(2);
                    T *to = out<T>(y) + row * y.stride(0) + token * y.stride(2);
                    for (int64_t head = 0; head < heads; ++head)
                        loops.rotate(from + head * x.stride(1), c, s, to + head * y.stride(1), turned, width, back);
                }
            });
        });
        return y;
    }
};

struct Gated : torch::autograd::Function<Gated> {
    static at::Tensor forward(AutogradContext *context, const at::Tensor &x, const at::Tensor &other, bool gelu) {
        const auto from = x.contiguous(), factor = other.contiguous(), y = at::empty_like(from);
        context->save_for_backward({from, factor});
        context->saved_data["gelu"] = gelu;
        typed(x, [&]<typename T>(T) {
            const auto &loops = training::loops<T>();
            over_rows(x.numel(), 8, [&](int64_t first, int64_t last) {
                (gelu ? loops.gelu : loops.silu)(in<T>(from) + first, in<T>(factor) + first, out<T>(y) + first, last - first);
            });
        });
        return y;
    }

    static variable_list backward(AutogradContext *context, variable_list above) {
        check_interruption();
        const auto saved = context->get_saved_variables();
        const bool gelu = context->saved_data["gelu"].toBool();
        const auto &x = saved[0], &other = saved[1];
        const auto gradient = above[0].contiguous(), of_x = at::empty_like(x), of_other = at::empty_like(x);
        typed(x, [&]<typename T>(T) {
            const auto &loops = training::loops<T>();
            over_rows(x.numel(), 8, [&](int64_t first, int64_t last) {
                (gelu ? loops.gelu_backward : loops.silu_backward)(
                    in<T>(x) + first, in<T>(other) + first, in<T>(gradient) + first, out<T>(of_x) + first,
                    out<T>(of_other) + first, last - first);
            });
        });
        return {of_x, of_other, {}};
    }
};

// What is kept of x, alone or added to y, which is contiguous.
at::Tensor drop(const at::Tensor &x, double probability, uint64_t seed, at::Tensor y = {}) {
    const auto from = x.contiguous();
    const bool adds = y.defined();
    if (!adds) y = at::empty_like(from);
    typed(x, [&]<typename T>(T) {
        const auto &loops = training::loops<T>();
        over_rows(x.numel(), 8, [&](int64_t first, int64_t last) {
            (adds ? loops.add_dropped : loops.drop)(
                in<T>(from) + first, out<T>(y) + first, first, last - first, probability, seed);
        });
    });
    return y;
}

struct Dropout : torch::autograd::Function<Dropout> {
    static at::Tensor forward(AutogradContext *context, const at::Tensor &x, double probability, uint64_t seed) {
        context->saved_data["probability"] = probability;
        context->saved_data["seed"] = static_cast<int64_t>(seed);
        return drop(x, probability, seed);
    }

    static variable_list backward(AutogradContext *context, variable_list above) {
        const auto seed = static_cast<uint64_t>(context->saved_data["seed"].toInt());
        return {drop(above[0], context->saved_data["probability"].toDouble(), seed), {}, {}};
    }
};

struct CrossEntropy : torch::autograd::Function<CrossEntropy> {
    static at::Tensor forward(AutogradContext *context, const at::Tensor &logits, const at::Tensor &targets) {
        const int64_t rows = logits.size(0), width = logits.size(1);
        const auto scores = logits.contiguous(), places = targets.contiguous();
        const auto sums = at::empty({rows}, logits.options().dtype(at::kFloat)), losses = at::empty_like(sums);
        const auto *target = in<int64_t>(places);
        for (int64_t row = 0; row < rows; ++row)
            if (target[row] < 0 || target[row] >= width)
                throw std::out_of_range("target " + std::to_string(target[row]) + " is not in a vocabulary of " + std::to_string(width));
        typed(logits, [&]<typename T>(T) {
            over_rows(rows, width, [&](int64_t first, int64_t last) {
                for (int64_t row = first; row < last; ++row) {
                    const T *from = in<T>(scores) + row * width;
                    const float sum = training::loops<T>().log_sum(from, width);
                    out<float>(sums)[row] = sum;
                    out<float>(losses)[row] = sum - static_cast<float>(from[target[row]]);
                }
            });
        });
        context->save_for_backward({scores, places, sums});
        return losses.sum();
    }

    static variable_list backward(AutogradContext *context, variable_list above) {
        const auto saved = context->get_saved_variables();
        const auto &scores = saved[0], &places = saved[1], &sums = saved[2];
        const int64_t rows = scores.size(0), width = scores.size(1);
        const float scale = above[0].item<float>();
        const auto gradient = at::empty_like(scores);
        typed(scores, [&]<typename T>(T) {
            over_rows(rows, width, [&](int64_t first, int64_t last) {
                for (int64_t row = first; row < last; ++row)
                    training::loops<T>().entropy_backward(
                        in<T>(scores) + row * width, out<T>(gradient) + row * width, width, in<int64_t>(places)[row],
                        in<float>(sums)[row], scale);
            });
        });
        return {gradient, {}};
    }
};

// A projection as the products take it: the base as it is held, the adapter in the type of products, the scale in `up`.
struct Prepared {
    at::Tensor weight, bias, down, up;
    double scale, dropout;
    uint64_t seed;

    bool has_adapter() const { return down.defined(); }
};

// Outputs whose weights are made float32 at once, where products are in float32: so that a head of a large vocabulary need not be
// held twice.
constexpr int64_t block = 2048;

struct AdaptedProjections : torch::autograd::Function<AdaptedProjections> {
    // `learning` holds down and up of each projection that has an adapter, in turn.
    static variable_list forward(AutogradContext *context, const at::Tensor &x, at::TensorList learning,
                                 const std::shared_ptr<std::vector<Prepared>> &projections, at::ScalarType type) {
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
        keep(context, projections);
        return products;
    }

    static variable_list backward(AutogradContext *context, variable_list above) {
        check_interruption();
        const auto projections = kept(context);
        const auto saved = context->get_saved_variables();
        const auto &x = saved[0];
        const auto type = static_cast<at::ScalarType>(context->saved_data["type"].toInt());
        const bool x_learns = context->needs_input_grad(0);
        // The gradient of x, where nothing is dropped; what adapters add to it where something is.
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

private:
    struct Holder : torch::CustomClassHolder {
        std::shared_ptr<std::vector<Prepared>> projections;
    };

    static void keep(AutogradContext *context, const std::shared_ptr<std::vector<Prepared>> &projections) {
        auto holder = c10::make_intrusive<Holder>();
        holder->projections = projections;
        context->saved_data["projections"] = c10::IValue::make_capsule(holder);
    }

    static std::shared_ptr<std::vector<Prepared>> kept(AutogradContext *context) {
        return c10::static_intrusive_pointer_cast<Holder>(context->saved_data["projections"].toCapsule())->projections;
    }
};

}

// Whether this CPU multiplies float32 faster than bfloat16. Intel's AVX512-BF16 does half as many products a cycle as float32's
// (measured on Sapphire Rapids with its AMX hidden: 165 against 310 GFLOP/s), and without such instructions bfloat16 is made float32
// on the way; AMX and AMD's AVX512-BF16 are faster. The kind of the CPU decides and no clock, so that a run that is resumed computes
// the same.
static bool multiplies_floats_faster() {
#if defined(__x86_64__)
    static const bool faster = [] {
        unsigned a = 0, b = 0, c = 0, d = 0;
        const bool has_amx = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 22 & 1) && (d >> 24 & 1);
        return !has_amx && (__builtin_cpu_is("intel") || !__builtin_cpu_supports("avx512bf16"));
    }();
    return faster;
#else
    return false;
#endif
}

static std::atomic<int> chosen_products{-1};

void training::choose_products(int floats) { chosen_products = floats; }

static at::ScalarType product_type(at::ScalarType type) {
    const int chosen = chosen_products;
    return (chosen < 0 ? multiplies_floats_faster() : chosen == 1) ? at::kFloat : type;
}

void training::set_interruption(Interruption value) { interruption = value; }

std::optional<training::Normed> training::rms_norm(const at::Tensor &x, const std::optional<at::Tensor> &added,
                                                   const at::Tensor &weight, double epsilon) {
    if (!fits(x, weight) || weight.numel() != x.size(-1)) return std::nullopt;
    if (added && (!fits(x, *added) || added->sizes() != x.sizes())) return std::nullopt;
    const auto results = RootMeanSquareNorm::apply(x, added, weight, epsilon);
    return Normed{added ? results[1] : x, results[0]};
}

std::optional<at::Tensor> training::rotate(const at::Tensor &x, const at::Tensor &cosine, const at::Tensor &sine) {
    if (!fits(x, cosine) || x.dim() != 4 || x.stride(3) != 1 || cosine.dim() != 4 || cosine.sizes() != sine.sizes()) return std::nullopt;
    if (sine.scalar_type() != x.scalar_type() || cosine.requires_grad() || sine.requires_grad()) return std::nullopt;
    const int64_t turned = cosine.size(3);
    if (cosine.numel() != x.size(0) * x.size(2) * turned || cosine.size(1) != 1 || turned % 2 || turned > x.size(3)) return std::nullopt;
    return Rotation::apply(x, cosine.contiguous(), sine.contiguous());
}

std::optional<at::Tensor> training::gated(const at::Tensor &x, const at::Tensor &other, bool gelu) {
    if (!fits(x, other) || x.sizes() != other.sizes()) return std::nullopt;
    return Gated::apply(x, other, gelu);
}

std::optional<at::Tensor> training::dropout(const at::Tensor &x, double probability, uint64_t seed) {
    if (!fits(x)) return std::nullopt;
    return Dropout::apply(x, probability, seed);
}

std::optional<at::Tensor> training::cross_entropy_sum(const at::Tensor &logits, const at::Tensor &targets) {
    if (!fits(logits) || logits.dim() != 2 || targets.scalar_type() != at::kLong || targets.numel() != logits.size(0)) return std::nullopt;
    return CrossEntropy::apply(logits, targets);
}

std::optional<std::vector<at::Tensor>> training::adapted(const at::Tensor &x, const std::vector<Adapted> &projections) {
    if (!fits(x)) return std::nullopt;
    const auto type = product_type(x.scalar_type());
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
    return AdaptedProjections::apply(x, at::TensorList(learning), prepared, type);
}
