import RetortCore
import Synchronization

/// Ends work that has made no progress for too long.
final class Watchdog: Sendable {
    private struct Due {
        var name: String
        var seconds: Double
        /// Nil is never.
        var at: ContinuousClock.Instant?

        init(_ name: String, _ seconds: Double) {
            self.name = name
            self.seconds = seconds
            at = seconds > 0 ? .now + .seconds(seconds) : nil
        }
    }

    private struct State {
        var next: Due
        let total: Due
        /// The limit that was reached.
        var reached: Due?

        /// The limit that is reached first, unless progress moves it.
        var first: Due? {
            [next, total].filter { $0.at != nil }.min { ($0.at ?? .now) < ($1.at ?? .now) }
        }
    }

    private let state: Mutex<State>
    /// Without limits, a new one is looked for now and then.
    private static let glance = 1.0

    /// - Parameters:
    ///   - total: for all of the work, in seconds; 0 is none.
    ///   - first: until the first progress.
    init(total: Double, first: (name: String, seconds: Double)) {
        state = Mutex(State(next: Due(first.name, first.seconds), total: Due("total", total)))
    }

    /// There was progress; the next is due within so many seconds.
    func expect(_ name: String, within seconds: Double) {
        state.withLock { $0.next = Due(name, seconds) }
    }

    /// Does the work, unless a limit is reached first.
    /// - Throws: `RemoteError.timeLimit`, and what the work throws.
    func guarding<Value: Sendable>(
        endpoint: String, _ work: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        let task = Task { try await work() }
        let alarm = Alarm(
            first: secondsLeft,
            again: { [self] in
                if !isExpired() { return secondsLeft }
                task.cancel()
                return nil
            })
        defer { alarm.cancel() }
        do {
            return try await task.ownedValue()
        } catch {
            guard let limit = state.withLock({ $0.reached }) else { throw error }
            throw RemoteError.timeLimit(endpoint: endpoint, limit: limit.name, seconds: limit.seconds)
        }
    }

    /// Until the next limit, which progress may have moved by then.
    private var secondsLeft: Double {
        state.withLock { state in
            state.first?.at.map { ContinuousClock.now.duration(to: $0) / .seconds(1) } ?? Self.glance
        }
    }

    /// Whether a limit is reached, which is then the one that is told.
    private func isExpired() -> Bool {
        state.withLock { state in
            guard let first = state.first, let at = first.at, at <= .now else { return false }
            state.reached = first
            return true
        }
    }
}
