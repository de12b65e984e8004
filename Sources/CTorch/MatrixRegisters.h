#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

// Intel's AMX: eight registers of 16 rows of 64 bytes. An instruction multiplies two of them: 32 bfloat16 numbers, or 64
// bytes, for each of 16 · 16 sums.
namespace matrix {

// The rows of a register, and the 32-bit words in each.
constexpr int64_t side = 16;

constexpr int64_t filled(int64_t count) { return (count + side - 1) / side * side; }

// Whether this CPU has the registers, and the kernel lets this process use them, which Linux does on request
// (Documentation/arch/x86/xstate.rst).
inline bool fit() {
#if defined(__x86_64__) && defined(__linux__)
    static const bool fits = [] {
        unsigned a = 0, b = 0, c = 0, d = 0;
        // AMX-BF16, AMX-TILE, AMX-INT8
        const bool has_them = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 22 & 1) && (d >> 24 & 1) && (d >> 25 & 1);
        constexpr long request = 0x1023, data = 18;    // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
        return has_them && syscall(SYS_arch_prctl, request, data) == 0;
    }();
    return fits;
#else
    return false;
#endif
}

// Whether products that this thread begins use them. Tests compare with those that have no need of them.
inline thread_local bool are_wanted = true;

inline bool are_used() { return are_wanted && fit(); }

#if defined(__x86_64__)

#define AMX __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx512vnni,amx-tile,amx-bf16,amx-int8")))

// A thread's registers for as long as this exists: sums in 0 to 3, left sides in 4 and 5, right sides in 6 and 7.
// Nothing else of this thread may use them meanwhile.
class Registers {
public:
    const bool is_open;

    // A left side has up to 16 rows of some pairs of bfloat16 numbers, a right side as many rows as there are pairs, of 16 of
    // them. Four bytes stand in the place of a pair. A product takes as many steps as the left side has rows.
    explicit Registers(bool opens, int64_t pairs = side, int64_t rows = side) : is_open(opens) {
        if (is_open) open(pairs, rows);
    }
    ~Registers() {
        if (is_open) close();
    }
    Registers(const Registers &) = delete;

private:
    AMX static void open(int64_t pairs, int64_t rows) {
        struct alignas(64) Shape {
            uint8_t palette = 1, start = 0, unused[14] = {};
            uint16_t bytes[16] = {};
            uint8_t rows[16] = {};
        } shape;
        static_assert(sizeof shape == 64);
        for (int tile = 0; tile < 8; ++tile) shape.bytes[tile] = 64, shape.rows[tile] = static_cast<uint8_t>(rows);
        for (int tile : {4, 5}) shape.bytes[tile] = static_cast<uint16_t>(4 * pairs);
        for (int tile : {6, 7}) shape.rows[tile] = static_cast<uint8_t>(pairs);
        _tile_loadconfig(&shape);
    }

    AMX static void close() { _tile_release(); }
};

// bfloat16 numbers, summed in float32.
struct Halves {
    using Sum = float;
    template <int sum, int left, int right>
    AMX static inline void multiply() { _tile_dpbf16ps(sum, left, right); }
    template <int sum, int left, int right>
    AMX static inline void multiply_below() { _tile_dpbf16ps(sum, left, right); }
};

// Signed bytes, and below them unsigned ones, with signed bytes, summed in 32-bit integers.
struct HighAndLow {
    using Sum = int32_t;
    template <int sum, int left, int right>
    AMX static inline void multiply() { _tile_dpbssd(sum, left, right); }
    template <int sum, int left, int right>
    AMX static inline void multiply_below() { _tile_dpbusd(sum, left, right); }
};

// Sums in registers: `broad` of 16 columns side by side, for 16 rows and, if `tall` is 2, for the 16 rows below them.
// Steps between rows are in bytes; sums side by side are `apart` numbers from each other in memory, those below each
// other `under`.
template <int tall, int broad, typename Kind = Halves>
struct Sums {
    static_assert(tall * broad <= 4 && (tall == 1 || (tall == 2 && broad <= 2)));

    AMX static inline void clear() {
        _tile_zero(0);
        if constexpr (tall * broad > 1) _tile_zero(1);
        if constexpr (tall * broad > 2) _tile_zero(2);
        if constexpr (tall * broad > 3) _tile_zero(3);
    }

    AMX static inline void load(const auto *from, int64_t apart, int64_t under, size_t step) {
        _tile_loadd(0, from, step);
        if constexpr (broad > 1) _tile_loadd(1, from + apart, step);
        if constexpr (broad > 2) _tile_loadd(2, from + 2 * apart, step);
        if constexpr (broad > 3) _tile_loadd(3, from + 3 * apart, step);
        if constexpr (tall > 1) _tile_loadd(broad, from + under, step);
        if constexpr (tall > 1 && broad > 1) _tile_loadd(3, from + under + apart, step);
    }

    AMX static inline void store(auto *to, int64_t apart, int64_t under, size_t step) {
        _tile_stored(0, to, step);
        if constexpr (broad > 1) _tile_stored(1, to + apart, step);
        if constexpr (broad > 2) _tile_stored(2, to + 2 * apart, step);
        if constexpr (broad > 3) _tile_stored(3, to + 3 * apart, step);
        if constexpr (tall > 1) _tile_stored(broad, to + under, step);
        if constexpr (tall > 1 && broad > 1) _tile_stored(3, to + under + apart, step);
    }

    // Adds the products of the left side's rows with `right(0)`, `right(1)` and so on.
    template <typename Right>
    AMX static inline void add(const void *left, size_t left_step, const Right &right, size_t right_step) {
        _tile_loadd(4, left, left_step);
        _tile_loadd(6, right(0), right_step);
        Kind::template multiply<0, 4, 6>();
        if constexpr (broad > 1) {
            _tile_loadd(7, right(1), right_step);
            Kind::template multiply<1, 4, 7>();
        }
        if constexpr (broad > 2) {
            _tile_loadd(6, right(2), right_step);
            Kind::template multiply<2, 4, 6>();
        }
        if constexpr (broad > 3) {
            _tile_loadd(7, right(3), right_step);
            Kind::template multiply<3, 4, 7>();
        }
        // The right sides are still in their registers.
        if constexpr (tall > 1) {
            _tile_loadd(5, static_cast<const char *>(left) + side * left_step, left_step);
            Kind::template multiply_below<broad, 5, 6>();
            if constexpr (broad > 1) Kind::template multiply_below<3, 5, 7>();
        }
    }
};

#endif

}
