#pragma once

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#include <cstdint>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

// Intel's AMX: eight registers of 16 rows of 64 bytes. An instruction multiplies two of them, 32 numbers for each of
// 16 · 16 sums.
namespace matrix {

#define AMX __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx512vnni,amx-tile,amx-bf16")))

// The rows of a register, and the 32-bit words in each.
constexpr int64_t side = 16;

constexpr int64_t filled(int64_t count) { return (count + side - 1) / side * side; }

// Whether this CPU has the registers, and the kernel lets this process use them, which Linux does on request
// (Documentation/arch/x86/xstate.rst).
inline bool fit() {
#if defined(__linux__)
    static const bool fits = [] {
        unsigned a = 0, b = 0, c = 0, d = 0;
        const bool has_them = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 22 & 1) && (d >> 24 & 1);
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

// A thread's registers, all of 16 rows of 64 bytes, for as long as this exists. Nothing else of this thread may use
// them meanwhile.
class Registers {
public:
    const bool is_open;

    explicit Registers(bool opens) : is_open(opens) {
        if (is_open) open();
    }
    ~Registers() {
        if (is_open) close();
    }
    Registers(const Registers &) = delete;

private:
    AMX static void open() {
        struct alignas(64) Shape {
            uint8_t palette = 1, start = 0, unused[14] = {};
            uint16_t bytes[16] = {};
            uint8_t rows[16] = {};
        } shape;
        static_assert(sizeof shape == 64);
        for (int tile = 0; tile < 8; ++tile) shape.bytes[tile] = 64, shape.rows[tile] = side;
        _tile_loadconfig(&shape);
    }

    AMX static void close() { _tile_release(); }
};

}

#endif
