import Synchronization

extension Task where Failure == any Error {
    /// The task's value, for the one who waits for it: when the waiting is cancelled, so is the task.
    public func ownedValue() async throws -> Success {
        try await withTaskCancellationHandler {
            try await value
        } onCancel: {
            cancel()
        }
    }
}

/// Does work until it is done or its time is up; it is cancelled then, and its end awaited.
/// - Returns: nil when the time was up first.
/// - Throws: what the work throws.
public func withTimeLimit<Value: Sendable>(
    seconds: Double, _ work: @escaping @Sendable () async throws -> Value
) async throws -> Value? {
    let isLate = Lateness()
    let task = Task { try await work() }
    let alarm = Alarm(seconds: seconds) {
        isLate.value.store(true, ordering: .relaxed)
        task.cancel()
    }
    defer { alarm.cancel() }
    do {
        return try await task.ownedValue()
    } catch {
        guard isLate.value.load(ordering: .relaxed) else { throw error }
        return nil
    }
}

private final class Lateness: Sendable { let value = Atomic(false) }
