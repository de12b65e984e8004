#pragma once

#include <ATen/Parallel.h>
#include <dlfcn.h>

#include <algorithm>

// The threads that libtorch computes with. Its own `parallel_for` is a template that needs the compiler's OpenMP, and
// clang's differs from libtorch's; so the entry point of the OpenMP that libtorch has loaded is called by name.
struct Threads {
    // Calls `share(number, count)` on `count` threads at once: on as many as wanted, if they are available.
    template <typename Share>
    static void run(int64_t wanted, const Share &share) {
        static const Threads threads;
        const int64_t count = std::min<int64_t>(at::get_num_threads(), wanted);
        if (count <= 1 || !threads.found()) return share(int64_t{0}, int64_t{1});
        auto call = [](void *context) {
            (*static_cast<const Share *>(context))(int64_t{threads.number()}, int64_t{threads.count()});
        };
        threads.parallel(call, const_cast<Share *>(&share), static_cast<unsigned>(count), 0);
    }

    // Ends the workers that wait for the calling thread (OpenMP 5.2, section 18.6.2, `omp_pause_soft`).
    static void release() {
        static const auto pause = reinterpret_cast<int (*)(int)>(dlsym(RTLD_DEFAULT, "omp_pause_resource_all"));
        if (pause) pause(1);
    }

private:
    void (*parallel)(void (*)(void *), void *, unsigned, unsigned);
    int (*number)();
    int (*count)();

    Threads() {
        parallel = reinterpret_cast<decltype(parallel)>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
        number = reinterpret_cast<decltype(number)>(dlsym(RTLD_DEFAULT, "omp_get_thread_num"));
        count = reinterpret_cast<decltype(count)>(dlsym(RTLD_DEFAULT, "omp_get_num_threads"));
    }

    bool found() const { return parallel && number && count; }
};
