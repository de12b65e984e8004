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

/// Does someone else's work until it is done or its time is up; it is cancelled then, and when the caller is.
///
/// Work that does not heed its cancellation is left to itself: a tool that hangs must not hang the run.
/// - Parameter grace: seconds in which cancelled work may still end by itself.
/// - Returns: nil when the time was up first.
/// - Throws: what the work throws; `CancellationError` when the caller was cancelled.
public func withDeadline<Value: Sendable>(
    seconds: Double, grace: Double = 1, _ work: @escaping @Sendable () async throws -> Value
) async throws -> Value? {
    let race = DeadlineRace<Value>()
    let task = Task {
        let result: Result<Value?, any Error>
        do { result = .success(try await work()) } catch { result = .failure(error) }
        race.end(result)
    }
    let leave = { @Sendable (result: Result<Value?, any Error>) in
        race.leave(result, after: grace)
        task.cancel()
    }
    let alarm = Alarm(seconds: seconds) { leave(.success(nil)) }
    defer { alarm.cancel() }
    return try await withTaskCancellationHandler {
        try await withCheckedThrowingContinuation { race.wait($0) }
    } onCancel: {
        leave(.failure(CancellationError()))
    }
}

/// Who comes first: the work, or the end of its time.
private final class DeadlineRace<Value: Sendable>: Sendable {
    typealias Ending = Result<Value?, any Error>

    private struct State {
        var waiting: CheckedContinuation<Value?, any Error>?
        var ending: Ending?
        /// Why the work was cancelled, which then stands for whatever it still ends with.
        var reason: Ending?
        var alarm: Alarm?
    }

    private let state = Mutex(State())

    func wait(_ continuation: CheckedContinuation<Value?, any Error>) {
        let ending = state.withLock { state in
            if state.ending == nil { state.waiting = continuation }
            return state.ending
        }
        if let ending { continuation.resume(with: ending) }
    }

    /// The work's own end.
    func end(_ ending: Ending) {
        finish { $0.reason ?? ending }
    }

    /// Ends the wait with `reason` when the work does not end by itself before.
    func leave(_ reason: Ending, after seconds: Double) {
        state.withLock { state in
            guard state.reason == nil, state.ending == nil else { return }
            state.reason = reason
            state.alarm = Alarm(seconds: seconds) { self.finish { _ in reason } }
        }
    }

    private func finish(_ ending: (State) -> Ending) {
        let (waiting, ending) = state.withLock { state -> (CheckedContinuation<Value?, any Error>?, Ending?) in
            guard state.ending == nil else { return (nil, nil) }
            state.ending = ending(state)
            state.alarm?.cancel()
            state.alarm = nil
            defer { state.waiting = nil }
            return (state.waiting, state.ending)
        }
        if let waiting, let ending { waiting.resume(with: ending) }
    }
}

private final class Lateness: Sendable { let value = Atomic(false) }
