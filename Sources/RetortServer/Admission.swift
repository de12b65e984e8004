import RetortCore
import Synchronization

/// Lets a bounded number of requests run, a bounded number wait their turn, and refuses the rest at once.
final class Admission: Sendable {
    /// The right to run, given back when nobody holds it any more.
    final class Place: Sendable {
        private let admission: Admission

        fileprivate init(_ admission: Admission) { self.admission = admission }

        deinit { admission.leave() }
    }

    /// Why a request may not run.
    enum Refusal: Error {
        /// As many are waiting as may.
        case full
        /// The turn did not come in time.
        case tooSlow
        /// The server is about to stop.
        case closed
    }

    private struct Waiter {
        let number: Int
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var running = 0
        var waiters: [Waiter] = []
        var nextNumber = 0
        /// Those that were told off before they had begun to wait, or after they were let in.
        var dismissed: [Int: any Error] = [:]
        var isClosed = false
    }

    private let limits: (running: Int, waiting: Int)
    private let patience: Duration
    private let state = Mutex(State())

    /// - Parameters:
    ///   - running: the most that run.
    ///   - waiting: the most that wait.
    ///   - patience: the longest wait.
    init(running: Int, waiting: Int, patience: Duration) {
        limits = (max(running, 1), max(waiting, 0))
        self.patience = patience
    }

    /// How many run and wait now.
    var load: (running: Int, waiting: Int) { state.withLock { ($0.running, $0.waiters.count) } }

    /// Waits for a place, first come, first served.
    /// - Throws: `Refusal`, or `CancellationError`.
    func enter() async throws -> Place {
        let number = try state.withLock { state throws(Refusal) -> Int? in
            guard !state.isClosed else { throw .closed }
            if state.running < limits.running, state.waiters.isEmpty {
                state.running += 1
                return nil
            }
            guard state.waiters.count < limits.waiting else { throw .full }
            state.nextNumber += 1
            return state.nextNumber
        }
        guard let number else { return Place(self) }
        let alarm = Alarm(seconds: patience / .seconds(1)) { [weak self] in self?.dismiss(number, Refusal.tooSlow) }
        defer {
            alarm.cancel()
            state.withLock { _ = $0.dismissed.removeValue(forKey: number) }
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let error: (any Error)? = state.withLock { state in
                    if let error = state.dismissed[number] { return error }
                    if state.isClosed { return Refusal.closed }
                    // A place may have come free between asking and waiting.
                    if state.running < limits.running, state.waiters.isEmpty {
                        state.running += 1
                        continuation.resume()
                        return nil
                    }
                    state.waiters.append(Waiter(number: number, continuation: continuation))
                    return nil
                }
                if let error { continuation.resume(throwing: error) }
            }
        } onCancel: {
            dismiss(number, CancellationError())
        }
        return Place(self)
    }

    /// Refuses everybody from now on; those who run go on.
    func close() {
        let waiters = state.withLock { state in
            state.isClosed = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.continuation.resume(throwing: Refusal.closed) }
    }

    private func dismiss(_ number: Int, _ error: any Error) {
        let waiter = state.withLock { state in
            guard let place = state.waiters.firstIndex(where: { $0.number == number }) else {
                state.dismissed[number] = error
                return Waiter?.none
            }
            return state.waiters.remove(at: place)
        }
        waiter?.continuation.resume(throwing: error)
    }

    private func leave() {
        let next = state.withLock { state in
            guard !state.waiters.isEmpty else {
                state.running -= 1
                return Waiter?.none
            }
            return state.waiters.removeFirst()
        }
        next?.continuation.resume()
    }
}
