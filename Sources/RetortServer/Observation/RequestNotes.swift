import RetortCore
import Synchronization

/// The facts noted about a request while it is worked on. Prompts, answers and keys are never among them.
final class RequestNotes: Sendable {
    struct Facts: Sendable {
        var model: String?
        /// The replica that the request was passed on to.
        var replica: String?
        var promptTokens = 0
        var completionTokens = 0
        /// The time from the request's arrival to the first piece of the answer.
        var firstToken: Duration?
        /// The error that ended the answer; nil while it is being sent and when it went well.
        var failure: APIError?
    }

    /// The request's id in the answer's `x-request-id` and in the log.
    let id = "req-" + String(UInt64.random(in: .min ... .max), radix: 36)
    let start = ContinuousClock.now
    private let state = Mutex(Facts())

    var facts: Facts { state.withLock { $0 } }

    /// The time since the request's arrival.
    var elapsed: Duration { start.duration(to: .now) }

    func model(_ name: String) { state.withLock { $0.model = name } }

    func replica(_ name: String) { state.withLock { $0.replica = name } }

    func fail(_ error: APIError) { state.withLock { $0.failure = error } }

    /// Notes that the first piece of the answer is there.
    func began() {
        let elapsed = elapsed
        state.withLock { if $0.firstToken == nil { $0.firstToken = elapsed } }
    }

    func spend(_ usage: Usage) {
        state.withLock { facts in
            facts.promptTokens += usage.promptTokens
            facts.completionTokens += usage.completionTokens
        }
    }
}
