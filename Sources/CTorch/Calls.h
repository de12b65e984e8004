#pragma once

#include "CTorch.h"

#include <ATen/ATen.h>

#include <optional>
#include <string>
#include <vector>

// What the calls of `CTorch.h` share: the handle, and how errors are reported.

struct ct_tensor {
    at::Tensor value;
};

namespace calls {

inline thread_local std::string last_error;

// Runs `body` and turns any exception into a message and `failure`.
template <typename Result, typename Body>
Result guarded(Result failure, Body body) {
    try {
        last_error.clear();
        return body();
    } catch (const c10::Error &error) {
        last_error = error.what_without_backtrace();
    } catch (const std::exception &error) {
        last_error = error.what();
    } catch (...) {
        last_error = "an unknown C++ exception";
    }
    if (last_error.empty()) last_error = "libtorch gave no message";
    return failure;
}

template <typename Body>
ct_tensor *make(Body body) {
    return guarded<ct_tensor *>(nullptr, [&] { return new ct_tensor{body()}; });
}

template <typename Body>
int perform(Body body) {
    return guarded<int>(1, [&] {
        body();
        return 0;
    });
}

at::ScalarType scalar(ct_dtype dtype);

inline at::IntArrayRef extents(const int64_t *shape, int rank) { return at::IntArrayRef(shape, static_cast<size_t>(rank)); }

inline std::vector<at::Tensor> values(ct_tensor *const *xs, int count) {
    std::vector<at::Tensor> list;
    list.reserve(count);
    for (int i = 0; i < count; ++i) list.push_back(xs[i]->value);
    return list;
}

inline at::Tensor or_none(const ct_tensor *x) { return x ? x->value : at::Tensor(); }

}
