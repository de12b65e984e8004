#pragma once

#include "Lanes.h"

#include <cstdint>
#include <vector>

// Matrix products in block floating point (Drumond et al., arXiv 1804.01526): 64 consecutive numbers along the axis
// that is summed over share a scale, and each is rounded to a whole number of magnitude at most 5792. Products of two
// blocks are exact in 32-bit integers, since 64 · 5792² < 2³¹; blocks are added up in float32. An instruction
// processes two numbers in each of 16 places, twice as many as float32's and at least as many as bfloat16's; and 12
// and a half bits are more than the eight of bfloat16.
namespace block_float {

// How many numbers share a scale.
constexpr int64_t block = 64;
// The columns of a panel.
constexpr int64_t panel = 64;

inline int64_t blocks(int64_t numbers) { return (numbers + block - 1) / block; }

// The left side of a product: rows `[rows, blocks · 64]`, padded with zeros, and a scale for each block of each row.
struct Left {
    const int16_t *numbers;
    const float *scales;
    int64_t rows, inputs;
};

// The right side: panels of 64 columns, `[panel][block][32 pairs][64 columns][2]`, and a scale for each block of each
// column, `[panel][block][64]`. Columns beyond the last are zero.
struct Right {
    const int16_t *numbers;
    const float *scales;
    int64_t inputs, columns;
};

inline int64_t left_count(int64_t rows, int64_t inputs) { return rows * blocks(inputs) * block; }
inline int64_t right_count(int64_t inputs, int64_t columns) { return blocks(columns) * blocks(inputs) * block * panel; }
inline int64_t left_scales(int64_t rows, int64_t inputs) { return rows * blocks(inputs); }
inline int64_t right_scales(int64_t inputs, int64_t columns) { return blocks(columns) * blocks(inputs) * panel; }

// How many rows' sums stay in a close cache while the blocks of a panel are processed; a share of rows
// is best a multiple of it.
constexpr int64_t together = 48;

// Whether this CPU has the instructions.
bool fits();

#if defined(__x86_64__)

// Packs `x [rows, inputs]`, whose rows stand `stride` apart, as a left side.
template <typename T>
void pack_left(const T *x, int64_t stride, int64_t rows, int64_t inputs, int16_t *numbers, float *scales);

// Packs `x [columns, inputs]`, whose rows become columns, as a right side: the panels from `first` to `last`.
template <typename T>
void pack_rows(const T *x, int64_t stride, int64_t inputs, int64_t columns, int64_t first, int64_t last, int16_t *numbers,
               float *scales);

// Packs `x [inputs, columns]` as a right side: the panels from `first` to `last`.
template <typename T>
void pack_columns(const T *x, int64_t stride, int64_t inputs, int64_t columns, int64_t first, int64_t last, int16_t *numbers,
                  float *scales);

struct Term {
    Left left;
    Right right;
};

// `y [rows, columns]` = the sum of the terms' products, plus a bias (which may be null), or plus what y contains
// already if `adds`: rows from `first` to `last` of the panels from `first_panel` to `last_panel`.
template <typename T>
void product(const std::vector<Term> &terms, const T *bias, T *y, int64_t stride, int64_t first, int64_t last, int64_t first_panel,
             int64_t last_panel, bool adds);

// `y [rows, columns]` in float32 = left · x, where `x [inputs, columns]` is packed block by block meanwhile; for few
// rows and many inputs. Computes the panels from `first` to `last`; the rows of `y` are `columns` apart.
template <typename T>
void product_on_the_way(const Left &left, const T *x, int64_t stride, int64_t columns, int64_t first, int64_t last, float *y);

#endif

}
