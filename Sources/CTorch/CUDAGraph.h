#pragma once

#include <ATen/Context.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>

// libtorch's CUDA library, looked for once and kept open for good: it registers its kernels while it loads.
struct CUDALibrary {
    void *handle;
    // Empty where there is a GPU to compute on.
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

// The kernels of one pass, recorded once and launched together as often as wanted.
//
// libtorch's own `at::cuda::CUDAGraph`, reached by the names that its CUDA library exports, as that library is loaded at run
// time. at::accelerator::Graph would be the way in, but for CUDA libtorch 2.13 registers nothing behind it.
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

    // cudaStreamCaptureModeThreadLocal: other threads, with models of their own, may go on allocating.
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
    // Why there are no graphs here; empty where there are.
    static const std::string &refusal() { return Functions::shared().refusal; }

    // Begins to record what this thread computes: until `end`, nothing runs.
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
        // What was begun and not ended, because of an error between, is ended and dropped.
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

    // Launches what was recorded, behind what this thread's stream holds already.
    void replay() { Functions::shared().replay(object); }
};
