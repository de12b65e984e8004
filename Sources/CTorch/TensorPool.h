#pragma once

#include <cstddef>

// Memory of large tensors that is kept between the steps of a piece of work. If it were given back to the system
// after each step, it would come back page by page, zeroed, which costs the kernel two fifths of a training step.
//
// The pool works only while somebody keeps it. It never holds more than the most that was in use at once since it was
// last emptied, plus 128 MiB: before a block of a new size is taken from the system, idle ones are given back. Blocks
// come in eight sizes per doubling, on large pages if the system provides them.
namespace tensor_pool {

// Keeps memory from now on, until `release` has been called as often.
void keep();

// The last call gives back everything that is not in use.
void release();

struct Report {
    // In bytes: used, idle, and the most that was in use at once since the pool was last emptied.
    size_t used, idle, most;
};
Report report();

}
