// A plain C view of FAISS (https://github.com/facebookresearch/faiss): opaque indices over inner products, and an exact search of
// our own over vectors as they lie in a file.
//
// Every function that can fail returns NULL or a non-zero status and leaves a message for the calling thread in cf_error().
#pragma once

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cf_index cf_index;

const char *_Nonnull cf_error(void);
// Why there is no FAISS in this build; empty where there is.
const char *_Nonnull cf_refusal(void);

// The best `k` of the vectors `first` to `last` for each of `count` queries by their inner products, best first and of equal ones
// the first: places and scores are `count · k`; a place is -1 where there are fewer vectors. Vectors are float32, aligned or not.
void cf_best(const void *_Nonnull vectors, int64_t first, int64_t last, int64_t width, const float *_Nonnull queries,
             int64_t count, int64_t k, int64_t *_Nonnull places, float *_Nonnull scores);

// An index by FAISS's own description of it, such as "HNSW32" or "IVF4096,PQ48".
cf_index *_Nullable cf_make(const char *_Nonnull description, int64_t width);
cf_index *_Nullable cf_open(const char *_Nonnull path, bool mapped);
int cf_train(cf_index *_Nonnull index, int64_t count, const float *_Nonnull vectors);
int cf_add(cf_index *_Nonnull index, int64_t count, const float *_Nonnull vectors);
int cf_write(const cf_index *_Nonnull index, const char *_Nonnull path);
// A parameter of the search, such as "efSearch" or "nprobe".
int cf_set(cf_index *_Nonnull index, const char *_Nonnull name, double value);
int cf_search(const cf_index *_Nonnull index, int64_t count, const float *_Nonnull queries, int64_t k,
              int64_t *_Nonnull places, float *_Nonnull scores);
int64_t cf_count(const cf_index *_Nonnull index);
int64_t cf_width(const cf_index *_Nonnull index);
void cf_free(cf_index *_Nullable index);

#ifdef __cplusplus
}
#endif
