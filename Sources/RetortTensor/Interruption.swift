import CTorch

/// Runs `body`; within it, a backward pass (`Tensor.backward`) throws `CancellationError` soon after the current task
/// is cancelled.
///
/// The gradients are then incomplete, and must be cleared. `body` cannot suspend, since the task is determined on
/// this thread, on which libtorch computes gradients on the CPU.
package func interruptible<Result>(_ body: () throws -> Result) throws -> Result {
    let previous = ct_set_interruption { Task.isCancelled }
    defer { _ = ct_set_interruption(previous) }
    do {
        return try body()
    } catch {
        if Task.isCancelled { throw CancellationError() }
        throw error
    }
}

/// Runs `body`, which is not interrupted even within `interruptible`. It cannot suspend.
package func uninterrupted<Result>(_ body: () throws -> Result) rethrows -> Result {
    let previous = ct_set_interruption(nil)
    defer { _ = ct_set_interruption(previous) }
    return try body()
}
