#pragma once

// libtorch's wheel has Gloo in it, and not its headers. `ProcessGroupGloo.hpp` needs no more than these names: it holds every object of
// Gloo's by pointer, and the code that looks into one is in the library. Where Gloo's own headers are installed they come first.

#include <chrono>
#include <memory>

namespace gloo {

class Context {
public:
    void setTimeout(std::chrono::milliseconds timeout);
};

namespace transport {
class Device;
class UnboundBuffer;
}

}
