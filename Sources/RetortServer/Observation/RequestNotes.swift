import RetortCore
import Synchronization

/// What is noted of a request while it is worked on. Prompts, answers and keys are never among it.
final class RequestNotes: Sendable {
    struct Facts: Sendable {
        var model: String?
        var promptTokens = 0
        var completionTokens = 0
        /// Until the first piece of the answer, from the request's arrival.
        var firstToken: Duration?
        /// Of the whole answer; nil while it is sent.
        var failure: APIError?
    }

    /// What the answer's `x-request-id` and the log call it.
    let id = "req-" + String(UInt64.random(in: .min ... .max), radix: 36)
    let start = ContinuousClock.now
    private let state = Mutex(Facts())

    var facts: Facts { state.withLock { $0 } }

    /// Since the request's arrival.
    var elapsed: Duration { start.duration(to: .now) }

    func model(_ name: String) { state.withLock { $0.model = name } }

    func fail(_ error: APIError) { state.withLock { $0.failure = error } }

    /// A piece of the answer is there.
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
