import RetortCore
import Synchronization

/// Bounds the samples that run at the same time. A bounded number of requests wait their turn; the rest are refused
/// at once.
///
/// A request that needs many samples may be overtaken by smaller ones while they fit, but only a limited number of
/// times.
final class Admission: Sendable {
    /// The right to run, given back when the last reference to it goes.
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
        /// The queue is full.
        case full
        /// The request's turn did not come in time.
        case tooSlow
        /// The server is about to stop.
        case closed
    }

    private struct Waiter {
        let number: Int
        let samples: Int
        /// How many later requests were let in before this one.
        var passed = 0
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var running = 0
        var waiters: [Waiter] = []
        var nextNumber = 0
        /// Waiters that were turned away before they began to wait, or after they were let in, by number.
        var dismissed: [Int: any Error] = [:]
        var isClosed = false

        /// Takes the waiters that may run now out of the queue.
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

    /// The most later requests that may overtake a waiting one.
    private static let mostPassed = 64

    private let limits: (running: Int, waiting: Int)
    private let patience: Duration
    private let state = Mutex(State())

    /// - Parameters:
    ///   - running: the most samples that run at once, of all requests together. A request for more runs alone.
    ///   - waiting: the most requests that wait.
    ///   - patience: the longest wait.
    init(running: Int, waiting: Int, patience: Duration) {
        limits = (max(running, 1), max(waiting, 0))
        self.patience = patience
    }

    /// The samples that run and the requests that wait now.
    var load: (running: Int, waiting: Int) { state.withLock { ($0.running, $0.waiters.count) } }

    /// Waits for a place: first come, first served, among the requests that there is room for.
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
                    // There may be room by now, or room for a request as small as this one.
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

    /// Refuses all further requests; running ones go on.
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
            // Others may have been waiting behind this one.
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
