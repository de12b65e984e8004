#pragma once

#include <cstddef>

// Memory of large tensors that is kept between the steps of a piece of work. Given back to the system after each step it would
// come back page by page, zeroed, which takes the kernel two fifths of a training step.
//
// The pool serves only while somebody keeps it. It never holds more than what was in use at once since it was last emptied and 128 MiB:
// before a block of a new size is taken from the system, others that lie idle go back. Blocks come in sizes of eight steps to a doubling,
// on large pages where the system gives them.
namespace tensor_pool {

// From now on memory is kept, until `release` was called as often.
void keep();

// The last one gives back what is not in use.
void release();

struct Report {
    // In bytes: in use, lying idle, and the most that was in use at once since the pool was last emptied.
    size_t used, idle, most;
};
Report report();

}
