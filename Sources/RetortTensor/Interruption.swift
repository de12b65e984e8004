import CTorch

/// Runs `body`; within it, a way back (`Tensor.backward`) ends with `CancellationError` soon after the current task is cancelled.
///
/// What gradients there are by then are a part of the whole, to be cleared. `body` cannot suspend: the task is looked up on this
/// thread, where libtorch computes gradients on the CPU.
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
