#include "BlockFloat.h"
#include "PreparedProjections.h"
#include "TrainingRows.h"

#if defined(__x86_64__)

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using namespace training;
using block_float::Left, block_float::Right, block_float::Term;
using bf16 = c10::BFloat16;

namespace {

// How many outputs' weights are packed at once, so that the head of a large vocabulary need not be held twice.
constexpr int64_t most_outputs = 8192;

// Calls `body(first, last)` with shares of panels.
template <typename Body>
void over_panels(int64_t columns, const Body &body) {
    over_rows(block_float::blocks(columns), 1 << 14, body);
}

at::Tensor numbers(int64_t count) { return at::empty({count}, at::kShort); }
at::Tensor scales(int64_t count) { return at::empty({count}, at::kFloat); }

struct PackedLeft {
    at::Tensor numbers, scales;
    int64_t rows, inputs;

    // Packs x `[rows, inputs]`, whose rows must be dense.
    explicit PackedLeft(const at::Tensor &x)
        : numbers(::numbers(block_float::left_count(x.size(0), x.size(1)))),
          scales(::scales(block_float::left_scales(x.size(0), x.size(1)))), rows(x.size(0)), inputs(x.size(1)) {
        auto *to = out<int16_t>(numbers);
        auto *beside = out<float>(scales);
        const int64_t length = block_float::left_count(1, inputs), count = block_float::left_scales(1, inputs);
        typed(x, [&]<typename T>(T) {
            const T *from = in<T>(x);
            over_rows(rows, inputs, [&](int64_t first, int64_t last) {
                block_float::pack_left(from + first * x.stride(0), x.stride(0), last - first, inputs, to + first * length, beside + first * count);
            });
        });
    }

    // Some of the rows.
    Left part(int64_t first, int64_t count) const {
        return {in<int16_t>(numbers) + first * block_float::left_count(1, inputs),
                in<float>(scales) + first * block_float::left_scales(1, inputs), count, inputs};
    }
    Left whole() const { return part(0, rows); }
};

// The axis of x that is summed over.
enum class Summed { rows, columns };

struct PackedRight {
    at::Tensor numbers, scales;
    int64_t inputs, columns;

    PackedRight(const at::Tensor &x, Summed summed)
        : inputs(x.size(summed == Summed::rows ? 0 : 1)), columns(x.size(summed == Summed::rows ? 1 : 0)) {
        numbers = ::numbers(block_float::right_count(inputs, columns));
        scales = ::scales(block_float::right_scales(inputs, columns));
        auto *to = out<int16_t>(numbers);
        auto *beside = out<float>(scales);
        typed(x, [&]<typename T>(T) {
            const auto pack = summed == Summed::rows ? block_float::pack_columns<T> : block_float::pack_rows<T>;
            const T *from = in<T>(x);
            over_panels(columns, [&](int64_t first, int64_t last) { pack(from, x.stride(0), inputs, columns, first, last, to, beside); });
        });
    }

    Right whole() const { return {in<int16_t>(numbers), in<float>(scales), inputs, columns}; }
};

// Writes the sum of products to y `[rows, columns]`, whose rows must be dense; if `adds`, adds it in float32.
void multiply(const std::vector<Term> &terms, const at::Tensor &bias, const at::Tensor &y, bool adds = false) {
    const int64_t rows = terms.front().left.rows, columns = terms.front().right.columns;
    const int64_t groups = (rows + block_float::together - 1) / block_float::together, panels = block_float::blocks(columns);
    typed(y, [&]<typename T>(T) {
        const T *start = in<T>(bias);
        T *to = out<T>(y);
        auto share = [&](int64_t first, int64_t last, int64_t first_panel, int64_t last_panel) {
            block_float::product(terms, start, to, y.stride(0), first, last, first_panel, last_panel, adds);
        };
        // Shares of rows read all weights, shares of panels all rows; along the shorter axis the shares would be too
        // uneven.
        if (groups >= panels)
            over_rows(groups, 1 << 14, [&](int64_t first, int64_t last) {
                share(first * block_float::together, std::min(rows, last * block_float::together), 0, panels);
            });
        else over_rows(panels, 1 << 14, [&](int64_t first, int64_t last) { share(0, rows, first, last); });
    });
}

// left · x in float32, for x `[inputs, columns]` with many inputs and a left side with few rows.
at::Tensor multiply_on_the_way(const Left &left, const at::Tensor &x) {
    const auto y = at::empty({left.rows, x.size(1)}, at::kFloat);
    auto *to = out<float>(y);
    typed(x, [&]<typename T>(T) {
        const T *from = in<T>(x);
        over_panels(x.size(1), [&](int64_t first, int64_t last) {
            block_float::product_on_the_way(left, from, x.stride(0), x.size(1), first, last, to);
        });
    });
    return y;
}

// The base with its adapter added if nothing is dropped, otherwise the base alone.
at::Tensor merged(const Prepared &each) {
    if (!each.has_adapter() || each.dropout > 0) return each.weight;
    return at::addmm(each.weight.to(at::kFloat), each.up, each.down);
}

// Adapters over the same input: all those without dropout, or a single one with its own. Their inner sizes are side
// by side.
struct Adapters {
    std::vector<const Prepared *> members;
    std::vector<int64_t> places;
    at::Tensor x;
    int64_t rank = 0;

    void add(const Prepared &each) {
        members.push_back(&each);
        places.push_back(rank);
        rank += each.rank();
    }

    at::Tensor downs() const {
        std::vector<at::Tensor> all;
        for (const auto *each : members) all.push_back(each->down);
        return all.size() == 1 ? all.front() : at::cat(all);
    }
};

struct BlockProjections : torch::autograd::Function<BlockProjections> {
    static variable_list forward(AutogradContext *context, const at::Tensor &x, at::TensorList learning, const Projections &projections) {
        const auto rows = x.reshape({-1, x.size(-1)}).contiguous();
        const PackedLeft left(rows);
        variable_list products;
        for (const auto &each : *projections) {
            auto shape = x.sizes().vec();
            shape.back() = each.outputs();
            products.push_back(outputs(each, rows, left).view(shape));
        }
        context->save_for_backward({rows});
        context->saved_data["shape"] = x.sizes().vec();
        context->set_materialize_grads(false);
        ProjectionHolder::keep(context, projections);
        return products;
    }

    static variable_list backward(AutogradContext *context, variable_list above) {
        check_interruption();
        const auto projections = ProjectionHolder::kept(context);
        const auto x = context->get_saved_variables()[0];
        std::vector<std::optional<Learned>> learned(projections->size());
        std::vector<at::Tensor> gradients(projections->size());
        for (size_t index = 0; index < projections->size(); ++index)
            if (above[index].defined()) gradients[index] = above[index].reshape({x.size(0), (*projections)[index].outputs()}).contiguous();
        // The packed tensors that serve both x and an adapter.
        std::vector<std::optional<PackedLeft>> lefts(projections->size());
        for (size_t index = 0; index < projections->size(); ++index)
            if (gradients[index].defined() && (*projections)[index].has_adapter()) lefts[index].emplace(gradients[index]);
        at::Tensor of_x = context->needs_input_grad(0) ? of_input(x, *projections, gradients, lefts) : at::Tensor();
        for (const auto &adapters : grouped(x, *projections, gradients)) learn(adapters, *projections, gradients, lefts, of_x, learned);
        variable_list all{of_x.defined() ? of_x.view(context->saved_data["shape"].toIntVector()) : of_x};
        for (size_t index = 0; index < projections->size(); ++index) {
            if (!(*projections)[index].has_adapter()) continue;
            const auto found = learned[index].value_or(Learned{});
            all.insert(all.end(), {found.down, found.up});
        }
        all.resize(all.size() + 1);
        return all;
    }

private:
    struct Learned {
        at::Tensor down, up;
    };

    template <typename Body>
    static void over_blocks(int64_t outputs, const Body &body) {
        for (int64_t start = 0; start < outputs; start += most_outputs) body(start, std::min(most_outputs, outputs - start));
    }

    static at::Tensor outputs(const Prepared &each, const at::Tensor &rows, const PackedLeft &left) {
        const auto y = at::empty({rows.size(0), each.outputs()}, rows.options());
        // Inputs that are dropped only for the adapter keep it out of the base's product.
        std::optional<PackedLeft> low;
        if (each.has_adapter() && each.dropout > 0) {
            const auto product = at::empty({rows.size(0), each.rank()}, at::kFloat);
            const PackedLeft kept(drop(rows, each.dropout, each.seed));
            const PackedRight down(each.down, Summed::columns);
            multiply({{kept.whole(), down.whole()}}, {}, product);
            low.emplace(product);
        }
        const auto weight = merged(each);
        over_blocks(each.outputs(), [&](int64_t start, int64_t count) {
            const PackedRight part(weight.narrow(0, start, count), Summed::columns);
            std::vector<Term> terms{{left.whole(), part.whole()}};
            std::optional<PackedRight> up;
            if (low) terms.push_back({low->whole(), up.emplace(each.up.narrow(0, start, count), Summed::columns).whole()});
            multiply(terms, each.bias.defined() ? each.bias.narrow(0, start, count).contiguous() : at::Tensor(), y.narrow(1, start, count));
        });
        return y;
    }

    // The gradient of x, without what comes through adapters with dropout.
    static at::Tensor of_input(const at::Tensor &x, const std::vector<Prepared> &projections, const std::vector<at::Tensor> &gradients,
                               const std::vector<std::optional<PackedLeft>> &packed) {
        std::vector<PackedLeft> lefts;
        std::vector<PackedRight> rights;
        std::vector<Term> terms;
        at::Tensor sum;
        int64_t outputs = 0;
        auto multiply_all = [&](bool is_last) {
            for (size_t place = 0; place < lefts.size(); ++place) terms.push_back({lefts[place].whole(), rights[place].whole()});
            const bool adds = sum.defined();
            // Rounded only once, at the end.
            if (!adds) sum = at::empty(x.sizes(), is_last ? x.options() : x.options().dtype(at::kFloat));
            if (!terms.empty()) multiply(terms, {}, sum, adds);
            terms.clear(), lefts.clear(), rights.clear();
            outputs = 0;
        };
        for (size_t index = 0; index < projections.size(); ++index) {
            if (!gradients[index].defined()) continue;
            const auto weight = merged(projections[index]);
            over_blocks(weight.size(0), [&](int64_t start, int64_t count) {
                if (outputs > 0 && outputs + count > most_outputs) multiply_all(false);
                if (packed[index] && count == weight.size(0)) lefts.push_back(*packed[index]);
                else lefts.emplace_back(gradients[index].narrow(1, start, count));
                rights.emplace_back(weight.narrow(0, start, count), Summed::rows);
                outputs += count;
            });
        }
        if (outputs == 0) return {};
        multiply_all(true);
        return sum.to(x.scalar_type());
    }

    static std::vector<Adapters> grouped(const at::Tensor &x, const std::vector<Prepared> &projections, const std::vector<at::Tensor> &gradients) {
        Adapters together;
        together.x = x;
        std::vector<Adapters> groups;
        for (size_t index = 0; index < projections.size(); ++index) {
            const auto &each = projections[index];
            if (!each.has_adapter() || !gradients[index].defined()) continue;
            if (each.dropout == 0) {
                together.add(each);
                continue;
            }
            Adapters alone;
            alone.x = drop(x, each.dropout, each.seed);
            alone.add(each);
            groups.push_back(alone);
        }
        if (together.rank > 0) groups.push_back(together);
        return groups;
    }

    static void learn(const Adapters &adapters, const std::vector<Prepared> &projections, const std::vector<at::Tensor> &gradients,
                      const std::vector<std::optional<PackedLeft>> &lefts, at::Tensor &of_x, std::vector<std::optional<Learned>> &learned) {
        const int64_t rows = adapters.x.size(0);
        const auto low = at::empty({rows, adapters.rank}, at::kFloat), of_low = at::empty_like(low);
        const auto downs = adapters.downs();
        {
            const PackedLeft left(adapters.x);
            const PackedRight right(downs, Summed::columns);
            multiply({{left.whole(), right.whole()}}, {}, low);
        }
        // Here the axis of tokens is summed over.
        const PackedLeft low_by_tokens(low.t().contiguous());
        for (size_t member = 0; member < adapters.members.size(); ++member) {
            const auto &each = *adapters.members[member];
            const size_t index = &each - projections.data();
            const PackedRight up(each.up, Summed::rows);
            multiply({{lefts[index]->whole(), up.whole()}}, {}, of_low.narrow(1, adapters.places[member], each.rank()));
            const auto of_up = multiply_on_the_way(low_by_tokens.part(adapters.places[member], each.rank()), gradients[index]);
            learned[index] = Learned{{}, of_up.t().mul(each.scale).contiguous()};
        }
        const PackedLeft of_low_by_tokens(of_low.t().contiguous());
        const auto of_downs = multiply_on_the_way(of_low_by_tokens.whole(), adapters.x);
        for (size_t member = 0; member < adapters.members.size(); ++member) {
            const auto &each = *adapters.members[member];
            learned[&each - projections.data()]->down = of_downs.narrow(0, adapters.places[member], each.rank()).contiguous();
        }
        const auto &first = *adapters.members.front();
        if (!of_x.defined() || first.dropout == 0) return;
        const PackedLeft left(of_low);
        const PackedRight right(downs, Summed::rows);
        const auto part = at::empty_like(of_x);
        multiply({{left.whole(), right.whole()}}, {}, part);
        drop(part, first.dropout, first.seed, of_x);
    }
};

}

variable_list training::block_projections(const at::Tensor &x, at::TensorList learning, const Projections &projections) {
    return BlockProjections::apply(x, learning, projections);
}

#else

torch::autograd::variable_list training::block_projections(const at::Tensor &, at::TensorList, const Projections &) { return {}; }

#endif
