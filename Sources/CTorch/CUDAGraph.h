#pragma once

#include <ATen/Context.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>

// libtorch's CUDA library, which is looked for once and never closed, since it registers its kernels when loaded.
struct CUDALibrary {
    void *handle;
    // Empty if there is a usable GPU.
    std::string refusal;

    static const CUDALibrary &shared() {
        static const CUDALibrary library;
        return library;
    }

  private:
    CUDALibrary() : handle(dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL)) {
        if (!handle) {
            const char *message = dlerror();
            refusal = message ? message : "libtorch_cuda.so could not be loaded";
            return;
        }
        try {
            if (!at::globalContext().hasCUDA()) refusal = "libtorch_cuda.so finds no GPU";
        } catch (const std::exception &error) {
            refusal = error.what();
        }
    }
};

// The kernels of one pass, recorded once and launched together as often as needed.
//
// This is libtorch's own `at::cuda::CUDAGraph`, called by the names that its CUDA library exports, because that
// library is loaded at run time. at::accelerator::Graph would be the proper interface, but libtorch 2.13 registers no
// implementation for CUDA.
class CUDAGraph {
    using Pool = std::pair<unsigned long long, unsigned long long>;

    struct Functions {
        void (*make)(void *, bool);
        void (*destroy)(void *);
        void (*begin)(void *, Pool, int);
        void (*end)(void *);
        void (*replay)(void *);
        std::string refusal;

        static const Functions &shared() {
            static const Functions functions;
            return functions;
        }

      private:
        Functions() {
            refusal = CUDALibrary::shared().refusal;
            find(make, "_ZN2at4cuda9CUDAGraphC1Eb");
            find(destroy, "_ZN2at4cuda9CUDAGraphD1Ev");
            find(begin, "_ZN2at4cuda9CUDAGraph13capture_beginESt4pairIyyE21cudaStreamCaptureMode");
            find(end, "_ZN2at4cuda9CUDAGraph11capture_endEv");
            find(replay, "_ZN2at4cuda9CUDAGraph6replayEv");
        }

        template <typename Function>
        void find(Function &function, const char *name) {
            void *handle = CUDALibrary::shared().handle;
            function = handle ? reinterpret_cast<Function>(dlsym(handle, name)) : nullptr;
            if (!function && refusal.empty()) refusal = std::string("libtorch_cuda.so has no ") + name;
        }
    };

    // cudaStreamCaptureModeThreadLocal: other threads, with models of their own, may continue to allocate.
    static constexpr int thread_local_mode = 1;

    // The object takes 344 bytes in libtorch 2.13.
    alignas(std::max_align_t) std::byte object[4096];
    c10::impl::VirtualGuardImpl device = guard();
    c10::Stream before;
    bool capturing = false;

    static c10::impl::VirtualGuardImpl guard() {
        if (!refusal().empty()) throw std::runtime_error(refusal());
        return c10::impl::VirtualGuardImpl(c10::DeviceType::CUDA);
    }

    void leave() {
        capturing = false;
        device.exchangeStream(before);
        device.synchronizeDevice(before.device_index());
    }

  public:
    // Why graphs are not available; empty if they are.
    static const std::string &refusal() { return Functions::shared().refusal; }

    // Begins to record what this thread computes; until `end`, nothing runs.
    CUDAGraph() : before(device.getStream(device.getDevice())) {
        device.synchronizeDevice(before.device_index());
        // The default stream cannot be recorded.
        const auto stream = device.getStreamFromGlobalPool(before.device());
        Functions::shared().make(object, false);
        device.exchangeStream(stream);
        capturing = true;
        try {
            Functions::shared().begin(object, {0, 0}, thread_local_mode);
        } catch (...) {
            leave();
            Functions::shared().destroy(object);
            throw;
        }
    }

    CUDAGraph(const CUDAGraph &) = delete;
    CUDAGraph &operator=(const CUDAGraph &) = delete;

    ~CUDAGraph() {
        // A recording that was begun but not ended, because of an error, is ended and dropped.
        try {
            if (capturing) end();
        } catch (...) {
        }
        Functions::shared().destroy(object);
    }

    void end() {
        try {
            Functions::shared().end(object);
        } catch (...) {
            leave();
            throw;
        }
        leave();
    }

    // Launches the recording after everything that this thread's stream contains already.
    void replay() { Functions::shared().replay(object); }
};
