import RetortCore
import Synchronization

/// A request that waits for its answer.
final class PendingCall: Sendable {
    private struct State {
        var result: Result<JSONValue, any Error>?
        var waiting: CheckedContinuation<JSONValue, any Error>?
        var due: ContinuousClock.Instant
        let last: ContinuousClock.Instant
        let patience: Double
    }

    let method: String
    /// Called with the server's words of progress.
    let progress: (@Sendable (MCPProgress) -> Void)?
    private let state: Mutex<State>

    /// - Parameters:
    ///   - seconds: until the answer, or a word of progress.
    ///   - longest: until the answer, whatever happens.
    init(_ method: String, seconds: Double, longest: Double, progress: (@Sendable (MCPProgress) -> Void)?) {
        self.method = method
        self.progress = progress
        let now = ContinuousClock.now
        state = Mutex(
            State(
                due: now + .seconds(min(seconds, longest)), last: now + .seconds(max(seconds, longest)),
                patience: seconds))
    }

    /// The answer, once it is there.
    func value() async throws -> JSONValue {
        try await withCheckedThrowingContinuation { continuation in
            let result = state.withLock { state in
                if state.result == nil { state.waiting = continuation }
                return state.result
            }
            if let result { continuation.resume(with: result) }
        }
    }

    /// The first end counts.
    func end(_ result: Result<JSONValue, any Error>) {
        let waiting = state.withLock { state -> CheckedContinuation<JSONValue, any Error>? in
            guard state.result == nil else { return nil }
            state.result = result
            defer { state.waiting = nil }
            return state.waiting
        }
        waiting?.resume(with: result)
    }

    /// The server is still at it.
    func moved(_ word: MCPProgress) {
        state.withLock { $0.due = min(.now + .seconds($0.patience), $0.last) }
        progress?(word)
    }

    /// Seconds until the answer is due; progress may have moved it.
    var secondsLeft: Double { state.withLock { ContinuousClock.now.duration(to: $0.due) / .seconds(1) } }
}

/// A word on how far a call is.
public struct MCPProgress: Sendable, Hashable {
    /// Grows from word to word.
    public var progress: Double
    /// What it grows to, where that is known.
    public var total: Double?
    /// What is done now.
    public var message: String?

    /// - Parameter total: what `progress` comes to in the end; nil when nobody knows.
    public init(progress: Double, total: Double? = nil, message: String? = nil) {
        self.progress = progress
        self.total = total
        self.message = message
    }

    init?(_ params: [String: JSONValue]) {
        guard let progress = params["progress"]?.double else { return nil }
        self.init(progress: progress, total: params["total"]?.double, message: params["message"]?.string)
    }
}

extension JSONValue {
    fileprivate var double: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }
}
