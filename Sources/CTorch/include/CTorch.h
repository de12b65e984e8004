// A plain C view of libtorch: opaque tensors and typed at:: calls.
//
// Every function that can fail returns NULL (or a non-zero status) and leaves libtorch's own message for the calling
// thread in ct_error(). No C++ exception ever leaves this library.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ct_tensor ct_tensor;
typedef struct ct_graph ct_graph;

// The numbers are our own, not libtorch's, so that they do not change with its version.
typedef enum { CT_F32 = 0, CT_BF16 = 1, CT_F16 = 2, CT_I64 = 3, CT_I32 = 4, CT_BOOL = 5, CT_U8 = 6, CT_F64 = 7, CT_I8 = 8 } ct_dtype;
typedef enum { CT_CPU = 0, CT_CUDA = 1 } ct_device;

// Errors and the process.
const char *_Nonnull ct_error(void);
const char *_Nonnull ct_version(void);
void ct_set_threads(int threads);
// Ends the workers that wait for the calling thread; they are started again with its next work.
void ct_release_workers(void);
int ct_threads(void);
bool ct_gradients_enabled(void);
void ct_set_gradients_enabled(bool enabled);
// Why CUDA is not available; empty if it is. The first call loads libtorch_cuda.
const char *_Nonnull ct_cuda_refusal(void);

// Making, reading and freeing tensors.
ct_tensor *_Nullable ct_from_bytes(const void *_Nonnull bytes, const int64_t *_Nonnull shape, int rank, ct_dtype dtype);
ct_tensor *_Nullable ct_full(const int64_t *_Nonnull shape, int rank, double value, ct_dtype dtype, ct_device device);
ct_tensor *_Nullable ct_normal(const int64_t *_Nonnull shape, int rank, double deviation, uint64_t seed);
ct_tensor *_Nullable ct_uniform(const int64_t *_Nonnull shape, int rank, double low, double high, uint64_t seed);
ct_tensor *_Nullable ct_arange(int64_t from, int64_t to, ct_device device);
int ct_copy_bytes(const ct_tensor *_Nonnull tensor, void *_Nonnull bytes, size_t capacity);
void ct_free(ct_tensor *_Nullable tensor);
ct_tensor *_Nullable ct_to(const ct_tensor *_Nonnull x, ct_dtype dtype, ct_device device);
ct_tensor *_Nullable ct_alias(const ct_tensor *_Nonnull x);

int ct_rank(const ct_tensor *_Nonnull x);
int64_t ct_extent(const ct_tensor *_Nonnull x, int axis);
int64_t ct_count(const ct_tensor *_Nonnull x);
ct_dtype ct_dtype_of(const ct_tensor *_Nonnull x);
ct_device ct_device_of(const ct_tensor *_Nonnull x);

// Arithmetic with broadcasting.
ct_tensor *_Nullable ct_add(const ct_tensor *_Nonnull a, const ct_tensor *_Nonnull b);
ct_tensor *_Nullable ct_subtract(const ct_tensor *_Nonnull a, const ct_tensor *_Nonnull b);
ct_tensor *_Nullable ct_multiply(const ct_tensor *_Nonnull a, const ct_tensor *_Nonnull b);
ct_tensor *_Nullable ct_divide(const ct_tensor *_Nonnull a, const ct_tensor *_Nonnull b);
ct_tensor *_Nullable ct_matmul(const ct_tensor *_Nonnull a, const ct_tensor *_Nonnull b);
ct_tensor *_Nullable ct_less(const ct_tensor *_Nonnull a, const ct_tensor *_Nonnull b);
ct_tensor *_Nullable ct_less_equal(const ct_tensor *_Nonnull a, const ct_tensor *_Nonnull b);
ct_tensor *_Nullable ct_add_scalar(const ct_tensor *_Nonnull x, double value);
ct_tensor *_Nullable ct_multiply_scalar(const ct_tensor *_Nonnull x, double value);
ct_tensor *_Nullable ct_power(const ct_tensor *_Nonnull x, double exponent);
ct_tensor *_Nullable ct_negate(const ct_tensor *_Nonnull x);
ct_tensor *_Nullable ct_exp(const ct_tensor *_Nonnull x);
ct_tensor *_Nullable ct_log(const ct_tensor *_Nonnull x);
ct_tensor *_Nullable ct_rsqrt(const ct_tensor *_Nonnull x);
ct_tensor *_Nullable ct_cos(const ct_tensor *_Nonnull x);
ct_tensor *_Nullable ct_sin(const ct_tensor *_Nonnull x);
ct_tensor *_Nullable ct_tanh(const ct_tensor *_Nonnull x);
ct_tensor *_Nullable ct_sigmoid(const ct_tensor *_Nonnull x);
// silu(x) · other, or gelu(x) · other in its tanh approximation.
ct_tensor *_Nullable ct_gated(const ct_tensor *_Nonnull x, const ct_tensor *_Nonnull other, bool gelu);

// Reductions along an axis, which is kept with extent 1 if `keep`.
ct_tensor *_Nullable ct_sum_all(const ct_tensor *_Nonnull x);
ct_tensor *_Nullable ct_sum(const ct_tensor *_Nonnull x, int64_t axis, bool keep);
ct_tensor *_Nullable ct_mean(const ct_tensor *_Nonnull x, int64_t axis, bool keep);
ct_tensor *_Nullable ct_maximum(const ct_tensor *_Nonnull x, int64_t axis, bool keep);
ct_tensor *_Nullable ct_argmax(const ct_tensor *_Nonnull x, int64_t axis);
ct_tensor *_Nullable ct_softmax(const ct_tensor *_Nonnull x, int64_t axis);
ct_tensor *_Nullable ct_log_softmax(const ct_tensor *_Nonnull x, int64_t axis);
ct_tensor *_Nullable ct_cumulative_sum(const ct_tensor *_Nonnull x, int64_t axis);
int ct_top(const ct_tensor *_Nonnull x, int64_t count, ct_tensor *_Nullable *_Nonnull values,
           ct_tensor *_Nullable *_Nonnull indices);
// The first columns and rows of two factors whose full product is the matrix: by singular values, and by QR.
int ct_largest_components(const ct_tensor *_Nonnull x, int64_t count, ct_tensor *_Nullable *_Nonnull left,
                          ct_tensor *_Nullable *_Nonnull right);
int ct_orthogonal_components(const ct_tensor *_Nonnull x, int64_t count, ct_tensor *_Nullable *_Nonnull left,
                             ct_tensor *_Nullable *_Nonnull right);

// Shape and selection.
ct_tensor *_Nullable ct_reshape(const ct_tensor *_Nonnull x, const int64_t *_Nonnull shape, int rank);
ct_tensor *_Nullable ct_expand(const ct_tensor *_Nonnull x, const int64_t *_Nonnull shape, int rank);
ct_tensor *_Nullable ct_transpose(const ct_tensor *_Nonnull x, int64_t a, int64_t b);
ct_tensor *_Nullable ct_contiguous(const ct_tensor *_Nonnull x);
// The elements of x from `start` on, in one row, in x's own memory and without the record of operations; an error where x's elements do
// not lie one behind the other.
ct_tensor *_Nullable ct_flat_view(const ct_tensor *_Nonnull x, int64_t start, int64_t length);
ct_tensor *_Nullable ct_narrow(const ct_tensor *_Nonnull x, int64_t axis, int64_t start, int64_t length);
ct_tensor *_Nullable ct_select_rows(const ct_tensor *_Nonnull x, int64_t axis, const ct_tensor *_Nonnull indices);
ct_tensor *_Nullable ct_gather(const ct_tensor *_Nonnull x, int64_t axis, const ct_tensor *_Nonnull indices);
ct_tensor *_Nullable ct_add_rows(const ct_tensor *_Nonnull x, const ct_tensor *_Nonnull indices,
                                 const ct_tensor *_Nonnull rows);
ct_tensor *_Nullable ct_where(const ct_tensor *_Nonnull condition, const ct_tensor *_Nonnull a,
                              const ct_tensor *_Nonnull b);
ct_tensor *_Nullable ct_concatenate(const ct_tensor *_Nonnull const *_Nonnull xs, int count, int64_t axis);
int ct_split(const ct_tensor *_Nonnull x, const int64_t *_Nonnull sizes, int count, int64_t axis,
             ct_tensor *_Nullable *_Nonnull parts);

// Layers.
ct_tensor *_Nullable ct_linear(const ct_tensor *_Nonnull x, const ct_tensor *_Nonnull weight,
                               const ct_tensor *_Nullable scales, const ct_tensor *_Nullable bias);
// Several products of the same x, which are faster together if their weights are in blocks.
int ct_linears(const ct_tensor *_Nonnull x, const ct_tensor *_Nonnull const *_Nonnull weights,
               const ct_tensor *_Nullable const *_Nonnull scales, const ct_tensor *_Nullable const *_Nonnull biases,
               int count, ct_tensor *_Nullable *_Nonnull products);
ct_tensor *_Nullable ct_embedding(const ct_tensor *_Nonnull weight, const ct_tensor *_Nonnull indices);
ct_tensor *_Nullable ct_rms_norm(const ct_tensor *_Nonnull x, const ct_tensor *_Nonnull weight, double epsilon);
// The sum of x and `added`, and its norm, in one pass.
int ct_add_rms_norm(const ct_tensor *_Nonnull x, const ct_tensor *_Nonnull added, const ct_tensor *_Nonnull weight,
                    double epsilon, ct_tensor *_Nullable *_Nonnull sum, ct_tensor *_Nullable *_Nonnull norm);
// Layer norm over the last axis, of the sum of both if `added` is given; `bias` may be NULL.
ct_tensor *_Nullable ct_layer_norm(const ct_tensor *_Nonnull x, const ct_tensor *_Nullable added, const ct_tensor *_Nonnull weight,
                                   const ct_tensor *_Nullable bias, double epsilon);
// The Gaussian error linear unit: exact, or in its tanh approximation.
ct_tensor *_Nullable ct_gelu(const ct_tensor *_Nonnull x, bool approximate);
ct_tensor *_Nullable ct_relu(const ct_tensor *_Nonnull x);
// The gated delta rule over `mixed` `[1, tokens, 2 · key heads · key width + value heads · value width]`, float32 memory
// `[value heads, key width, value width]` (NULL is zero); see GatedDelta.h.
int ct_gated_delta(const ct_tensor *_Nonnull mixed, const ct_tensor *_Nonnull learning, const ct_tensor *_Nonnull forgetting,
                   const ct_tensor *_Nonnull rate, const ct_tensor *_Nonnull bias, int64_t key_heads, int64_t key_width,
                   int64_t value_heads, int64_t value_width, const ct_tensor *_Nullable memory,
                   ct_tensor *_Nullable *_Nonnull output, ct_tensor *_Nullable *_Nonnull after);
// A projection with a low-rank adapter: x · weightᵀ + bias + scale · dropout(x) · downᵀ · upᵀ; without an adapter
// `down` and `up` are NULL.
typedef struct {
    const ct_tensor *_Nonnull weight;
    const ct_tensor *_Nullable bias;
    const ct_tensor *_Nullable down;
    const ct_tensor *_Nullable up;
    double scale, dropout;
    uint64_t seed;
} ct_adapted;
// Several projections of the same x, forward and backward, with no more passes over memory than the products need.
int ct_adapted_linears(const ct_tensor *_Nonnull x, const ct_adapted *_Nonnull projections, int count,
                       ct_tensor *_Nullable *_Nonnull products);
ct_tensor *_Nullable ct_rotate(const ct_tensor *_Nonnull x, const ct_tensor *_Nonnull cosine,
                               const ct_tensor *_Nonnull sine);
ct_tensor *_Nullable ct_attention(const ct_tensor *_Nonnull q, const ct_tensor *_Nonnull k,
                                  const ct_tensor *_Nonnull v, const ct_tensor *_Nullable mask, bool causal);
ct_tensor *_Nullable ct_attention_in_blocks(const ct_tensor *_Nonnull q, const ct_tensor *_Nonnull k,
                                            const ct_tensor *_Nonnull v, int64_t block);
// Attention over a row of samples that share beginnings, [1, heads, tokens, dim]: segments are given by their
// lengths, and by the number of the earlier segment that each continues (-1 for none); a window of 0 is none. On CPUs
// with AVX512-BF16, in bfloat16.
bool ct_tree_attention_fits(const ct_tensor *_Nonnull q, const ct_tensor *_Nonnull k, const ct_tensor *_Nonnull v);
ct_tensor *_Nullable ct_tree_attention(const ct_tensor *_Nonnull q, const ct_tensor *_Nonnull k,
                                       const ct_tensor *_Nonnull v, const int64_t *_Nonnull lengths,
                                       const int64_t *_Nonnull parents, int count, int64_t window);
// Attention over concatenated sequences, [tokens, heads, dim], that start at the int32 places `q_starts` and
// `k_starts`, each list ending with the number of tokens; a window of 0 is none. Only on CUDA, in bfloat16 and
// float16.
ct_tensor *_Nullable ct_flash_attention(const ct_tensor *_Nonnull q, const ct_tensor *_Nonnull k,
                                        const ct_tensor *_Nonnull v, const ct_tensor *_Nonnull q_starts,
                                        const ct_tensor *_Nonnull k_starts, int64_t longest_q, int64_t longest_k,
                                        int64_t window);
// Rows of the first axis, with repetitions; the gradients of a row's copies are summed in float32.
ct_tensor *_Nullable ct_repeat_rows(const ct_tensor *_Nonnull x, const ct_tensor *_Nonnull indices);
ct_tensor *_Nullable ct_dropout(const ct_tensor *_Nonnull x, double probability, uint64_t seed);
ct_tensor *_Nullable ct_cross_entropy_sum(const ct_tensor *_Nonnull logits, const ct_tensor *_Nonnull targets);
// The log-probabilities, in float32, of the elements [rows[i], columns[i]] of logits [n, vocabulary].
ct_tensor *_Nullable ct_log_probabilities(const ct_tensor *_Nonnull logits, const ct_tensor *_Nonnull rows,
                                          const ct_tensor *_Nonnull columns);

// A weight [out, in] packed for inference on the CPU, which `ct_linear` takes with inputs in bfloat16. In blocks, for
// this library's own kernels: in bfloat16 (16 bits, no scales; `ct_embedding` looks up rows in it), in signed bytes
// with a scale per row, or in four bits with a scale and a lowest value for every 32 inputs. Both results are NULL
// when this CPU or the extents do not fit.
int ct_pack_blocks(const ct_tensor *_Nonnull weight, int bits, ct_tensor *_Nullable *_Nonnull values,
                   ct_tensor *_Nullable *_Nonnull scales);
// The same in eight or four bits for libtorch's kernels, on any CPU.
int ct_pack(const ct_tensor *_Nonnull weight, int bits, ct_tensor *_Nullable *_Nonnull values,
            ct_tensor *_Nullable *_Nonnull scales);
// Whether this CPU has this library's kernels for bfloat16 (AVX512-BF16).
bool ct_has_blocks(void);
// Whether they compute products of bfloat16 in float32, which is faster on some CPUs.
bool ct_blocks_multiply_in_floats(void);
// Whether they compute them in AMX's registers.
bool ct_blocks_multiply_in_registers(void);
// Whether products and attention over a row that this thread begins use AMX's registers on CPUs that have them; for
// tests.
void ct_use_matrix_registers(bool are_used);

// Attention over keys and values in pages (PagedAttention.h). q [tokens, heads · dim], k and v [tokens, key heads ·
// dim]; angles [tokens, rotated]; pages [pages, key heads, 2, 16 · dim], which are written, or without k and v only
// read; tables [sequences, pages], starts [sequences + 1] and firsts [sequences] are int32.
ct_tensor *_Nullable ct_paged_attention(const ct_tensor *_Nonnull q, const ct_tensor *_Nullable k, const ct_tensor *_Nullable v,
                                        const ct_tensor *_Nonnull cosine, const ct_tensor *_Nonnull sine,
                                        const ct_tensor *_Nullable q_norm, const ct_tensor *_Nullable k_norm,
                                        ct_tensor *_Nonnull pages, const ct_tensor *_Nonnull tables,
                                        const ct_tensor *_Nonnull starts, const ct_tensor *_Nonnull firsts, double scale,
                                        int64_t window, double cap, double norm_epsilon);
// Zeroed memory that takes space only once it is written.
ct_tensor *_Nullable ct_zero_pages(const int64_t *_Nonnull shape, int rank, ct_dtype dtype);
ct_tensor *_Nullable ct_from_int32(const int32_t *_Nonnull elements, const int64_t *_Nonnull shape, int rank);

// In place; no other calls change a tensor.
int ct_copy_into(ct_tensor *_Nonnull x, const ct_tensor *_Nonnull source);
int ct_put(ct_tensor *_Nonnull x, const ct_tensor *_Nonnull rows, const ct_tensor *_Nonnull columns,
           const ct_tensor *_Nonnull values);
int ct_scale(ct_tensor *_Nonnull x, double factor);

// Automatic differentiation.
int ct_set_requires_gradient(ct_tensor *_Nonnull x, bool required);
bool ct_requires_gradient(const ct_tensor *_Nonnull x);
int ct_backward(const ct_tensor *_Nonnull loss);
// The same from a tensor of any shape, given its gradient.
int ct_backward_from(const ct_tensor *_Nonnull x, const ct_tensor *_Nonnull gradient);
// Called from time to time during backward passes of this thread, which end with an error once it returns true; NULL
// calls nothing.
typedef bool (*ct_interruption)(void);
// Returns the one before.
ct_interruption _Nullable ct_set_interruption(ct_interruption _Nullable interruption);
// Whether training's kernels use the path that every CPU has; for tests.
void ct_use_portable_training(bool portable);
// The number format of training's products of bfloat16: 0 bfloat16, 1 float32, 2 block floating point, -1 the fastest
// on this CPU. For tests.
void ct_choose_training_products(int products);
// Between these two calls, which may be nested, memory of large tensors is kept for the next ones; see TensorPool.h.
void ct_keep_memory(void);
void ct_release_memory(void);
void ct_memory(size_t *_Nonnull used, size_t *_Nonnull idle, size_t *_Nonnull most);
// The gradient, or NULL with an empty ct_error() when there is none.
ct_tensor *_Nullable ct_gradient(const ct_tensor *_Nonnull x);
void ct_clear_gradient(ct_tensor *_Nonnull x);
ct_tensor *_Nullable ct_detach(const ct_tensor *_Nonnull x);

// One AdamW step over many tensors (Loshchilov and Hutter, arXiv 1711.05101). `step` counts from 1.
int ct_adamw(ct_tensor *_Nonnull const *_Nonnull parameters, ct_tensor *_Nonnull const *_Nonnull gradients,
             ct_tensor *_Nonnull const *_Nonnull means, ct_tensor *_Nonnull const *_Nonnull variances, int count,
             int64_t step, double rate, double beta1, double beta2, double epsilon, double decay);
// The Euclidean norm over all tensors; negative after an error.
double ct_norm(ct_tensor *_Nonnull const *_Nonnull xs, int count);

// The kernels of one pass, recorded once and launched together: CUDA graphs. Between begin and end, nothing that this
// thread submits to the device runs; a graph that cannot be ended must be freed at once, by the thread that began it.
const char *_Nonnull ct_graph_refusal(void);  // why there are none here; empty where there are
ct_graph *_Nullable ct_graph_begin(void);
int ct_graph_end(ct_graph *_Nonnull graph);
int ct_graph_replay(ct_graph *_Nonnull graph);
void ct_graph_free(ct_graph *_Nullable graph);

// Processes that compute together (Team.cpp). They meet in a store, which one of them serves under a TCP port.
typedef struct ct_store ct_store;
typedef struct ct_team ct_team;
// Connects within so many seconds, which are also the time limit of what is asked of it.
ct_store *_Nullable ct_store_open(const char *_Nonnull host, int port, bool serves, double seconds);
void ct_store_limit(ct_store *_Nonnull store, double seconds);
void ct_store_close(ct_store *_Nullable store);
int ct_store_port(const ct_store *_Nonnull store);
int ct_store_set(ct_store *_Nonnull store, const char *_Nonnull key, const void *_Nonnull bytes, size_t count);
// The number under a key after adding to it; -1 after an error.
int64_t ct_store_add(ct_store *_Nonnull store, const char *_Nonnull key, int64_t amount);
// 1 where the key is there, 0 where not, -1 after an error.
int ct_store_has(ct_store *_Nonnull store, const char *_Nonnull key);
// How many bytes are under a key, of which at most `capacity` are copied; -1 after an error. Waits for the key.
int64_t ct_store_get(ct_store *_Nonnull store, const char *_Nonnull key, void *_Nonnull bytes, size_t capacity);
// Connects all to all within `seconds`. `address` is this process's own towards the others, unless a network interface is named. An
// operation that takes longer than `limit`, and one whose peer has gone, is an error, after which the team must be left.
ct_team *_Nullable ct_team_form(ct_store *_Nonnull store, int rank, int size, const char *_Nonnull address,
                                const char *_Nullable interface, double seconds, double limit);
void ct_team_leave(ct_team *_Nonnull team);
// All make the same calls in the same order. Overwrites x by what `root` has.
int ct_team_broadcast(ct_team *_Nonnull team, ct_tensor *_Nonnull x, int root);
// x is flat, and has a part of equal length for each process, in the order of ranks. Overwrites each part by what its process has.
int ct_team_gather(ct_team *_Nonnull team, ct_tensor *_Nonnull x);
int ct_team_sum(ct_team *_Nonnull team, double *_Nonnull values, int count);
// Sums the gradients of float32 parameters, laid out one behind the other in at most `most` elements at once (one parameter at
// least); a missing one is zero.
int ct_team_sum_gradients(ct_team *_Nonnull team, ct_tensor *_Nonnull const *_Nonnull parameters, int count, int64_t most);
// Rows that stand before those of the next calls of this thread in what dropout counts from: a part of a batch then drops what it does
// in the whole one.
void ct_skip_dropped_rows(int64_t rows);

#ifdef __cplusplus
}
#endif
