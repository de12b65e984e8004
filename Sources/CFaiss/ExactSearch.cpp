#include "CFaiss.h"

#include <algorithm>
#include <utility>
#include <vector>

// Exact search over vectors as they lie in a file, where they need not be aligned.

typedef float unaligned __attribute__((aligned(1)));

#if defined(__x86_64__) && defined(__linux__)
#define FOR_EACH_CPU __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_EACH_CPU
#endif

// One vector against up to four queries, so that it is read from memory once.
FOR_EACH_CPU static void products(const unaligned *vector, const float *queries, int64_t width, int count, float *out) {
#pragma clang fp reassociate(on) contract(fast)
    if (count == 4) {
        float a = 0, b = 0, c = 0, d = 0;
        for (int64_t i = 0; i < width; ++i) {
            const float x = vector[i];
            a += x * queries[i];
            b += x * queries[width + i];
            c += x * queries[2 * width + i];
            d += x * queries[3 * width + i];
        }
        out[0] = a, out[1] = b, out[2] = c, out[3] = d;
        return;
    }
    for (int q = 0; q < count; ++q) {
        float sum = 0;
        for (int64_t i = 0; i < width; ++i) sum += vector[i] * queries[q * width + i];
        out[q] = sum;
    }
}

namespace {
// The better one first: by score, then by place.
struct Found {
    float score;
    int64_t place;
    bool operator<(const Found &other) const { return score != other.score ? score > other.score : place < other.place; }
};
}

void cf_best(const void *vectors, int64_t first, int64_t last, int64_t width, const float *queries, int64_t count, int64_t k,
             int64_t *places, float *scores) {
    const auto *base = static_cast<const unaligned *>(vectors);
    for (int64_t q = 0; q < count; q += 4) {
        const int group = static_cast<int>(std::min<int64_t>(4, count - q));
        // Heaps with the worst one on top.
        std::vector<Found> best[4];
        for (auto &heap : best) heap.reserve(static_cast<size_t>(k) + 1);
        float out[4];
        for (int64_t row = first; row < last; ++row) {
            products(base + row * width, queries + q * width, width, group, out);
            for (int i = 0; i < group; ++i) {
                auto &heap = best[i];
                if (static_cast<int64_t>(heap.size()) == k && !(out[i] > heap.front().score)) continue;
                heap.push_back({out[i], row});
                std::push_heap(heap.begin(), heap.end());
                if (static_cast<int64_t>(heap.size()) > k) {
                    std::pop_heap(heap.begin(), heap.end());
                    heap.pop_back();
                }
            }
        }
        for (int i = 0; i < group; ++i) {
            std::sort(best[i].begin(), best[i].end());
            for (int64_t n = 0; n < k; ++n) {
                const bool is_there = n < static_cast<int64_t>(best[i].size());
                places[(q + i) * k + n] = is_there ? best[i][n].place : -1;
                scores[(q + i) * k + n] = is_there ? best[i][n].score : 0;
            }
        }
    }
}
