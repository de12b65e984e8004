import RetortCore
import Synchronization

/// An event that waits in memory until a client reads it.
protocol BufferedEvent: Sendable {
    /// About how much memory the event takes, in bytes.
    var bytes: Int { get }
}

/// Counts the bytes that wait for a reader.
final class Backlog: Sendable {
    private let limit: Int
    private let waiting = Mutex(0)

    init(limit: Int) { self.limit = limit }

    /// - Throws: `APIError` when too much is waiting already.
    func add(_ bytes: Int) throws(APIError) {
        let isFull = waiting.withLock { waiting in
            waiting += bytes
            return waiting > limit
        }
        if isFull { throw .slowReader(bytes: limit) }
    }

    func remove(_ bytes: Int) { waiting.withLock { $0 -= bytes } }
}

extension GenerationEvent: BufferedEvent {
    private static let overhead = 64

    var bytes: Int {
        switch self {
        case .text(_, let text): text.utf8.count + Self.overhead
        // The alternatives make up most of a token's size.
        case .token(_, let token): (token.alternatives.count + 1) * 2 * Self.overhead
        case .finished(_, let completion): completion.text.utf8.count + Self.overhead
        case .lost: Self.overhead
        }
    }
}

extension AgentAnswer.Event: BufferedEvent {
    private static let overhead = 1024

    var bytes: Int {
        switch event {
        case .text(let text): text.utf8.count + 64
        case .stepFinished(let step): step.thought.utf8.count + step.observation.text.utf8.count + Self.overhead
        case .stepStarted, .finished: Self.overhead
        }
    }
}
