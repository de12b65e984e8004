#include "CFaiss.h"

#include <exception>
#include <memory>
#include <string>

// FAISS is linked where it was installed when this was built (libfaiss-dev on Debian, which holds a static library alone); elsewhere
// each call says so.

static thread_local std::string last_error;
const char *cf_error(void) { return last_error.c_str(); }

#if RETORT_FAISS

#include <faiss/AutoTune.h>
#include <faiss/Index.h>
#include <faiss/index_factory.h>
#include <faiss/index_io.h>

struct cf_index {
    std::unique_ptr<faiss::Index> value;
};

template <typename Result, typename Body>
static Result guarded(Result failure, Body body) {
    try {
        last_error.clear();
        return body();
    } catch (const std::exception &error) {
        last_error = error.what();
    } catch (...) {
        last_error = "an unknown C++ exception";
    }
    if (last_error.empty()) last_error = "FAISS gave no message";
    return failure;
}

extern "C" {
int omp_get_max_threads(void);
void omp_set_num_threads(int count);
}

namespace {
// Work that is soon done stays on the thread that asked for it: on a busy machine waking others, and waiting for them, takes longer.
struct Threads {
    const int before = omp_get_max_threads();
    explicit Threads(double elements) {
        if (elements < (1 << 22)) omp_set_num_threads(1);
    }
    ~Threads() { omp_set_num_threads(before); }
};
}

const char *cf_refusal(void) { return ""; }
cf_index *cf_make(const char *description, int64_t width) {
    return guarded<cf_index *>(nullptr, [&] {
        return new cf_index{std::unique_ptr<faiss::Index>(
            faiss::index_factory(static_cast<int>(width), description, faiss::METRIC_INNER_PRODUCT))};
    });
}
cf_index *cf_open(const char *path, bool mapped) {
    return guarded<cf_index *>(nullptr, [&]() -> cf_index * {
        auto index = std::unique_ptr<faiss::Index>(faiss::read_index(path, mapped ? faiss::IO_FLAG_MMAP | faiss::IO_FLAG_READ_ONLY : 0));
        if (index->metric_type != faiss::METRIC_INNER_PRODUCT) {
            last_error = "it compares by another measure than the inner product";
            return nullptr;
        }
        return new cf_index{std::move(index)};
    });
}
int cf_train(cf_index *index, int64_t count, const float *vectors) {
    const Threads threads(static_cast<double>(count) * index->value->d);
    return guarded<int>(1, [&] { return index->value->train(count, vectors), 0; });
}
int cf_add(cf_index *index, int64_t count, const float *vectors) {
    const Threads threads(static_cast<double>(count) * index->value->d);
    return guarded<int>(1, [&] { return index->value->add(count, vectors), 0; });
}
int cf_write(const cf_index *index, const char *path) {
    return guarded<int>(1, [&] { return faiss::write_index(index->value.get(), path), 0; });
}
int cf_set(cf_index *index, const char *name, double value) {
    return guarded<int>(1, [&] { return faiss::ParameterSpace().set_index_parameter(index->value.get(), name, value), 0; });
}
int cf_search(const cf_index *index, int64_t count, const float *queries, int64_t k, int64_t *places, float *scores) {
    // A query looks at some thousands of vectors.
    const Threads threads(count < 2 ? 0 : 4096.0 * count * index->value->d);
    return guarded<int>(1, [&] {
        static_assert(sizeof(faiss::Index::idx_t) == sizeof(int64_t));
        return index->value->search(count, queries, k, scores, reinterpret_cast<faiss::Index::idx_t *>(places)), 0;
    });
}
int64_t cf_count(const cf_index *index) { return index->value->ntotal; }
int64_t cf_width(const cf_index *index) { return index->value->d; }
void cf_free(cf_index *index) { delete index; }

#else

struct cf_index {};

static const char *const refusal = "this build of Retort is without FAISS; install it (libfaiss-dev on Debian) and build again";

template <typename Result>
static Result refused(Result failure) {
    last_error = refusal;
    return failure;
}

const char *cf_refusal(void) { return refusal; }
cf_index *cf_make(const char *, int64_t) { return refused<cf_index *>(nullptr); }
cf_index *cf_open(const char *, bool) { return refused<cf_index *>(nullptr); }
int cf_train(cf_index *, int64_t, const float *) { return refused(1); }
int cf_add(cf_index *, int64_t, const float *) { return refused(1); }
int cf_write(const cf_index *, const char *) { return refused(1); }
int cf_set(cf_index *, const char *, double) { return refused(1); }
int cf_search(const cf_index *, int64_t, const float *, int64_t, int64_t *, float *) { return refused(1); }
int64_t cf_count(const cf_index *) { return 0; }
int64_t cf_width(const cf_index *) { return 0; }
void cf_free(cf_index *) {}

#endif
