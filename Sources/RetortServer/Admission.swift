import RetortCore
import Synchronization

/// Lets requests run whose samples together are no more than a bound, a bounded number of requests wait their turn, and refuses
/// the rest at once.
///
/// Who waits for many samples is passed by those who need few while there is room for them, but not for ever.
final class Admission: Sendable {
    /// The right to run, given back when nobody holds it any more.
    final class Slot: Sendable {
        private let admission: Admission
        private let samples: Int

        fileprivate init(_ admission: Admission, _ samples: Int) {
            self.admission = admission
            self.samples = samples
        }

        deinit { admission.leave(samples) }
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
        let samples: Int
        /// How many who came later were let in before.
        var passed = 0
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var running = 0
        var waiters: [Waiter] = []
        var nextNumber = 0
        /// Those that were told off before they had begun to wait, or after they were let in.
        var dismissed: [Int: any Error] = [:]
        var isClosed = false

        /// Takes those who may run out of the line.
        mutating func admit(upTo limit: Int) -> [Waiter] {
            var admitted: [Waiter] = []
            var place = 0
            while place < waiters.count, running < limit {
                let waiter = waiters[place]
                if running + waiter.samples <= limit {
                    running += waiter.samples
                    admitted.append(waiters.remove(at: place))
                    for earlier in 0..<place { waiters[earlier].passed += 1 }
                } else if waiter.passed >= Admission.mostPassed {
                    break
                } else {
                    place += 1
                }
            }
            return admitted
        }
    }

    /// So many may pass one who waits.
    private static let mostPassed = 64

    private let limits: (running: Int, waiting: Int)
    private let patience: Duration
    private let state = Mutex(State())

    /// - Parameters:
    ///   - running: the most samples of all that run. A request for more runs alone.
    ///   - waiting: the most that wait.
    ///   - patience: the longest wait.
    init(running: Int, waiting: Int, patience: Duration) {
        limits = (max(running, 1), max(waiting, 0))
        self.patience = patience
    }

    /// How many samples run, and how many requests wait now.
    var load: (running: Int, waiting: Int) { state.withLock { ($0.running, $0.waiters.count) } }

    /// Waits for a place, first come, first served among those for whom there is room.
    /// - Throws: `Refusal`, or `CancellationError`.
    func enter(samples wanted: Int = 1) async throws -> Slot {
        let samples = min(max(wanted, 1), limits.running)
        let number = try state.withLock { state throws(Refusal) -> Int? in
            guard !state.isClosed else { throw .closed }
            if state.running + samples <= limits.running, state.waiters.isEmpty {
                state.running += samples
                return nil
            }
            guard state.waiters.count < limits.waiting else { throw .full }
            state.nextNumber += 1
            return state.nextNumber
        }
        guard let number else { return Slot(self, samples) }
        let alarm = Alarm(seconds: patience / .seconds(1)) { [weak self] in self?.dismiss(number, Refusal.tooSlow) }
        defer {
            alarm.cancel()
            state.withLock { _ = $0.dismissed.removeValue(forKey: number) }
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let waiter = Waiter(number: number, samples: samples, continuation: continuation)
                let (error, admitted): ((any Error)?, [Waiter]) = state.withLock { state in
                    if let error = state.dismissed[number] { return (error, []) }
                    if state.isClosed { return (Refusal.closed, []) }
                    state.waiters.append(waiter)
                    // There may be room by now, or for one who needs so little.
                    return (nil, state.admit(upTo: limits.running))
                }
                if let error { continuation.resume(throwing: error) }
                for waiter in admitted { waiter.continuation.resume() }
            }
        } onCancel: {
            dismiss(number, CancellationError())
        }
        return Slot(self, samples)
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
        let (waiter, admitted): (Waiter?, [Waiter]) = state.withLock { state in
            guard let place = state.waiters.firstIndex(where: { $0.number == number }) else {
                state.dismissed[number] = error
                return (nil, [])
            }
            let waiter = state.waiters.remove(at: place)
            // Others may have waited for this one.
            return (waiter, state.admit(upTo: limits.running))
        }
        waiter?.continuation.resume(throwing: error)
        for waiter in admitted { waiter.continuation.resume() }
    }

    private func leave(_ samples: Int) {
        let admitted = state.withLock { state in
            state.running -= samples
            return state.admit(upTo: limits.running)
        }
        for waiter in admitted { waiter.continuation.resume() }
    }
}
