#include "Training.h"

#include "TrainingRows.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <utility>

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using namespace training;

namespace {

thread_local Interruption interruption = nullptr;

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
        // Each thread has a share, and shares are added up in the order of their rows, so that the sum is always the
        // same.
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
        // In the memory order of projections' outputs, so that no copy is needed.
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

}

// Rows that stand before those at hand in what dropout counts from.
static thread_local int64_t skipped_rows = 0;

void training::skip_dropped_rows(int64_t rows) { skipped_rows = rows; }

void training::check_interruption() {
    if (interruption && interruption()) throw std::runtime_error("interrupted");
}

at::Tensor training::drop(const at::Tensor &x, double probability, uint64_t seed, at::Tensor y) {
    const auto from = x.contiguous();
    const bool adds = y.defined();
    if (!adds) y = at::empty_like(from);
    const int64_t skipped = skipped_rows * x.size(-1);
    typed(x, [&]<typename T>(T) {
        const auto &loops = training::loops<T>();
        over_rows(x.numel(), 8, [&](int64_t first, int64_t last) {
            (adds ? loops.add_dropped : loops.drop)(
                in<T>(from) + first, out<T>(y) + first, skipped + first, last - first, probability, seed);
        });
    });
    return y;
}

training::Interruption training::set_interruption(Interruption value) { return std::exchange(interruption, value); }

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
