// The loops of training's kernels, over float32 and bfloat16 alike; sums and functions are in float32, and results
// are rounded once. There is no `#pragma once`: `TrainingLoops.cpp` includes this file once for each instruction set,
// under the name LOOPS, and the compiler vectorises its plain loops.

namespace LOOPS {

inline float read(float x) { return x; }
inline float read(c10::BFloat16 x) { return __builtin_bit_cast(float, static_cast<uint32_t>(x.x) << 16); }

inline void write(float &to, float value) { to = value; }
inline void write(c10::BFloat16 &to, float value) {
    const uint32_t bits = __builtin_bit_cast(uint32_t, value);
    const uint32_t nearest = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    // Rounding could turn a NaN into an infinity.
    to.x = static_cast<uint16_t>((bits & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : nearest);
}

// The exponential, with a relative error of at most 2^-21.
inline float exponential(float x) {
    x = x < -87 ? -87.0f : x;
    x = x > 88 ? 88.0f : x;
    // Adding 1.5 · 2^23 rounds to a whole number, which is then in the lowest bits.
    const float shifted = x * 1.44269504f + 12582912.0f, power = shifted - 12582912.0f;
    // x less power · ln 2, in two parts, as ln 2 has more digits than a number.
    const float rest = (x - power * 0.693359375f) + power * 2.12194440e-4f;
    float sum = 1 / 720.0f;
    sum = sum * rest + 1 / 120.0f;
    sum = sum * rest + 1 / 24.0f;
    sum = sum * rest + 1 / 6.0f;
    sum = sum * rest + 0.5f;
    sum = sum * rest + 1;
    sum = sum * rest + 1;
    const uint32_t scale = (__builtin_bit_cast(uint32_t, shifted) - 0x4b400000u + 127u) << 23;
    return sum * __builtin_bit_cast(float, scale);
}

// Far below zero the exponential stops growing, and the remainder would not vanish next to a huge factor.
inline float sigmoid(float x) { return x < -87 ? 0 : 1 / (1 + exponential(-x)); }

// Both gates are x · σ(k): the sigmoid linear unit with k = x, the Gaussian one, in its approximation with tanh, with
// k = 2 √(2/π) (x + 0.044715 x³).
template <bool gelu>
inline float inner(float x) {
    return gelu ? x * (1.5957691216f + 0.0713548162726f * x * x) : x;
}
template <bool gelu>
inline float inner_slope(float x) {
    return gelu ? 1.5957691216f + 3 * 0.0713548162726f * x * x : 1;
}

template <typename T>
void norm_forward(const T *__restrict x, const T *__restrict added, const T *__restrict weight, T *__restrict sum, T *__restrict y, float *__restrict inverse, int64_t rows, int64_t width,
                  float epsilon) {
    for (int64_t row = 0; row < rows; ++row, x += width, y += width) {
        float squares = 0;
        {
#pragma clang fp reassociate(on)
            if (added)
                for (int64_t i = 0; i < width; ++i) {
                    write(sum[i], read(x[i]) + read(added[i]));
                    squares += read(sum[i]) * read(sum[i]);
                }
            else
                for (int64_t i = 0; i < width; ++i) squares += read(x[i]) * read(x[i]);
        }
        const float factor = 1 / std::sqrt(squares / width + epsilon);
        const T *from = added ? sum : x;
        for (int64_t i = 0; i < width; ++i) write(y[i], read(from[i]) * factor * read(weight[i]));
        inverse[row] = factor;
        if (added) added += width, sum += width;
    }
}

// `above` are the gradients of the results, `beside` those of the sum; `of_weight` accumulates, and may be null.
template <typename T>
void norm_backward(const T *__restrict x, const T *__restrict weight, const float *__restrict inverse, const T *__restrict above, const T *__restrict beside, T *__restrict of_x,
                   float *__restrict of_weight, int64_t rows, int64_t width) {
    for (int64_t row = 0; row < rows; ++row, x += width, above += width, of_x += width) {
        const float factor = inverse[row];
        float along = 0;
        {
#pragma clang fp reassociate(on)
            for (int64_t i = 0; i < width; ++i) along += read(above[i]) * read(weight[i]) * read(x[i]);
        }
        along *= factor * factor / width;
        if (of_weight)
            for (int64_t i = 0; i < width; ++i) of_weight[i] += read(above[i]) * read(x[i]) * factor;
        if (beside) {
            for (int64_t i = 0; i < width; ++i)
                write(of_x[i], factor * (read(above[i]) * read(weight[i]) - read(x[i]) * along) + read(beside[i]));
            beside += width;
        } else {
            for (int64_t i = 0; i < width; ++i)
                write(of_x[i], factor * (read(above[i]) * read(weight[i]) - read(x[i]) * along));
        }
    }
}

// One head at one place, rotated by the angles, or back by them.
template <typename T>
void rotate(const T *__restrict x, const T *__restrict cosine, const T *__restrict sine, T *__restrict y, int64_t turned, int64_t width, bool back) {
    const int64_t half = turned / 2;
    if (back)
        for (int64_t i = 0; i < half; ++i) {
            const float a = read(x[i]), b = read(x[half + i]);
            write(y[i], a * read(cosine[i]) + b * read(sine[half + i]));
            write(y[half + i], b * read(cosine[half + i]) - a * read(sine[i]));
        }
    else
        for (int64_t i = 0; i < half; ++i) {
            const float a = read(x[i]), b = read(x[half + i]);
            write(y[i], a * read(cosine[i]) - b * read(sine[i]));
            write(y[half + i], b * read(cosine[half + i]) + a * read(sine[half + i]));
        }
    for (int64_t i = turned; i < width; ++i) y[i] = x[i];
}

template <typename T, bool gelu>
void gate_forward(const T *__restrict x, const T *__restrict other, T *__restrict y, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
        const float value = read(x[i]);
        write(y[i], value * sigmoid(inner<gelu>(value)) * read(other[i]));
    }
}

template <typename T, bool gelu>
void gate_backward(const T *__restrict x, const T *__restrict other, const T *__restrict above, T *__restrict of_x, T *__restrict of_other, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
        const float value = read(x[i]), gradient = read(above[i]), share = sigmoid(inner<gelu>(value));
        const float slope = share + value * share * (1 - share) * inner_slope<gelu>(value);
        write(of_x[i], gradient * read(other[i]) * slope);
        write(of_other[i], gradient * value * share);
    }
}

// A pseudorandom number for each place and seed: two rounds of MurmurHash3's finalizer.
inline uint32_t drawn(uint32_t place, uint32_t low, uint32_t high) {
    uint32_t bits = place * 0x9e3779b1u + low;
    bits = (bits ^ (bits >> 16)) * 0x85ebca6bu;
    bits = (bits ^ (bits >> 13)) * 0xc2b2ae35u;
    bits = (bits ^ (bits >> 16)) + high;
    bits = (bits ^ (bits >> 16)) * 0x7feb352du;
    bits = (bits ^ (bits >> 15)) * 0x846ca68bu;
    return bits ^ (bits >> 16);
}

// The elements from `first` on that are kept, scaled; added to y or stored there.
template <typename T, bool adds>
void drop(const T *__restrict x, T *__restrict y, int64_t first, int64_t count, double probability, uint64_t seed) {
    const auto threshold = static_cast<uint32_t>(std::min(probability * 4294967296.0, 4294967295.0));
    const float scale = static_cast<float>(1 / (1 - probability));
    // Beyond 2^32 elements the places start again, with another seed.
    const uint64_t round = static_cast<uint64_t>(first) >> 32;
    const auto low = static_cast<uint32_t>(seed), high = static_cast<uint32_t>(seed >> 32) + static_cast<uint32_t>(round);
    const auto start = static_cast<uint32_t>(first);
    for (int64_t i = 0; i < count; ++i) {
        const float kept = drawn(start + static_cast<uint32_t>(i), low, high) >= threshold ? scale : 0;
        write(y[i], adds ? read(y[i]) + read(x[i]) * kept : read(x[i]) * kept);
    }
}

// The logarithm of the summed exponentials of a row.
template <typename T>
float log_sum(const T *row, int64_t width) {
    constexpr int64_t lanes = 16;
    float most[lanes];
    for (int64_t lane = 0; lane < lanes; ++lane) most[lane] = -INFINITY;
    int64_t i = 0;
    for (; i + lanes <= width; i += lanes)
        for (int64_t lane = 0; lane < lanes; ++lane) {
            const float value = read(row[i + lane]);
            most[lane] = value > most[lane] ? value : most[lane];
        }
    float largest = -INFINITY;
    for (; i < width; ++i) largest = std::max(largest, read(row[i]));
    for (const float each : most) largest = std::max(largest, each);
    float sum = 0;
    {
#pragma clang fp reassociate(on)
        for (int64_t place = 0; place < width; ++place) sum += exponential(read(row[place]) - largest);
    }
    return largest + std::log(sum);
}

template <typename T>
void entropy_backward(const T *__restrict row, T *__restrict gradient, int64_t width, int64_t target, float log_sum, float above) {
    for (int64_t i = 0; i < width; ++i) write(gradient[i], above * exponential(read(row[i]) - log_sum));
    write(gradient[target], above * (exponential(read(row[target]) - log_sum) - 1));
}

template <typename T>
training::Loops<T> loops() {
    return {norm_forward<T>,        norm_backward<T>,        rotate<T>,       gate_forward<T, false>, gate_forward<T, true>,
            gate_backward<T, false>, gate_backward<T, true>, drop<T, false>, drop<T, true>,          log_sum<T>,
            entropy_backward<T>};
}

}
