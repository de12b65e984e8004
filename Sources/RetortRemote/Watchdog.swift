import RetortCore
import Synchronization

/// Ends work that has made no progress for too long.
final class Watchdog: Sendable {
    private struct Due {
        var name: String
        var seconds: Double
        var at: ContinuousClock.Instant?
    }

    private let due: Mutex<Due>
    private let total: Due

    /// - Parameters:
    ///   - total: for all of the work, in seconds; 0 is none.
    ///   - first: until the first progress.
    init(total: Double, first: (name: String, seconds: Double)) {
        self.total = Self.due("total", total)
        due = Mutex(Self.due(first.name, first.seconds))
    }

    private static func due(_ name: String, _ seconds: Double) -> Due {
        Due(name: name, seconds: seconds, at: seconds > 0 ? .now + .seconds(seconds) : nil)
    }

    /// There was progress; the next is due within so many seconds.
    func expect(_ name: String, within seconds: Double) {
        let next = Self.due(name, seconds)
        due.withLock { $0 = next }
    }

    /// Does the work, unless a limit is reached first.
    /// - Throws: `RemoteError.timeLimit`, and what the work throws.
    func guarding<Value: Sendable>(
        endpoint: String, _ work: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask { try await work() }
            group.addTask { [self] in
                try await expire(endpoint)
                return nil
            }
            defer { group.cancelAll() }
            while let finished = try await group.next() {
                if let finished { return finished }
            }
            throw CancellationError()
        }
    }

    /// Waits until a limit is reached; one that was moved meanwhile is waited for again.
    private func expire(_ endpoint: String) async throws {
        while true {
            let next = due.withLock { $0 }
            let first = [next, total].compactMap { due in due.at.map { (due, $0) } }.min { $0.1 < $1.1 }
            // Without limits, a new one is looked for now and then.
            try await Task.sleep(until: first?.1 ?? .now + .seconds(1), clock: .continuous)
            guard let (limit, at) = first, at <= .now else { continue }
            let current = due.withLock { $0.at }
            guard limit.name == total.name || current == at else { continue }
            throw RemoteError.timeLimit(endpoint: endpoint, limit: limit.name, seconds: limit.seconds)
        }
    }
}
