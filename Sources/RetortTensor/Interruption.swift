import CTorch

/// Runs `body`; within it, a backward pass (`Tensor.backward`) throws `CancellationError` soon after the current task
/// is cancelled.
///
/// The gradients are then incomplete, and must be cleared. `body` cannot suspend, since the task is determined on
/// this thread, on which libtorch computes gradients on the CPU.
public func interruptible<Result>(_ body: () throws -> Result) throws -> Result {
    ct_set_interruption { Task.isCancelled }
    defer { ct_set_interruption(nil) }
    do {
        return try body()
    } catch {
        if Task.isCancelled { throw CancellationError() }
        throw error
    }
}
