#include "TrainingLoopTable.h"

#include <c10/util/BFloat16.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>

#define LOOPS portable_loops
#include "TrainingLoops.h"
#undef LOOPS

#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))), apply_to = function)
#define LOOPS wide_loops
#include "TrainingLoops.h"
#undef LOOPS
#pragma clang attribute pop
#endif

namespace {

std::atomic<bool> portable{false};

bool cpu_is_wide() {
#if defined(__x86_64__)
    static const bool fits = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return fits;
#else
    return false;
#endif
}

}

void training::set_portable(bool value) { portable = value; }

bool training::is_wide() { return cpu_is_wide() && !portable; }

template <typename T>
const training::Loops<T> &training::loops() {
    static const Loops<T> plain = portable_loops::loops<T>();
#if defined(__x86_64__)
    if (is_wide()) {
        static const Loops<T> wide = wide_loops::loops<T>();
        return wide;
    }
#endif
    return plain;
}

template const training::Loops<float> &training::loops<float>();
template const training::Loops<c10::BFloat16> &training::loops<c10::BFloat16>();
