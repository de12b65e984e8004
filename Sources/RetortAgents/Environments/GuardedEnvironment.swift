import RetortCore
import Tracing

/// Keeps from an environment what it need not see: answers, giving up, and text that held no action. The run loop puts
/// it around every session, so a parse error never reaches an interpreter, whatever the search.
package struct GuardedEnvironment: Environment {
    private let inner: any Environment

    package init(_ inner: any Environment) { self.inner = inner }

    package func perform(_ action: Action) async throws -> Observation {
        if let observation = action.immediateObservation { return observation }
        let tool = AgentSpan.tool(action)
        return try await withSpan("execute_tool \(tool)") { span in
            span.attributes.merge(AgentSpan.tool(named: tool))
            let observation = try await inner.perform(action)
            AgentSpan.end(observation, span)
            return observation
        }
    }

    package func attempt(_ action: Action) async throws -> any Attempt {
        if let observation = action.immediateObservation {
            return ImmediateAttempt(observation: observation, environment: self)
        }
        let tool = AgentSpan.tool(action)
        return try await withSpan("execute_tool \(tool)") { span in
            span.attributes.merge(AgentSpan.tool(named: tool))
            let attempt = try await inner.attempt(action)
            if case .finished(let observation) = attempt.progress { AgentSpan.end(observation, span) }
            return GuardedAttempt(inner: attempt)
        }
    }

    package func fork() async throws -> any Environment { GuardedEnvironment(try await inner.fork()) }

    package func state() async throws -> JSONValue? { try await inner.state() }

    package func close() async { await inner.close() }
}

/// An action that needs no environment: its outcome is known at once.
struct ImmediateAttempt: Attempt {
    let observation: Observation
    let environment: any Environment

    var progress: AttemptProgress { .finished(observation) }

    func commit() async -> (observation: Observation, environment: any Environment) { (observation, environment) }

    func discard() async {}
}

/// Keeps the guard around the environment that an attempt leads to.
private struct GuardedAttempt: Attempt {
    let inner: any Attempt

    var progress: AttemptProgress { inner.progress }

    func commit() async throws -> (observation: Observation, environment: any Environment) {
        let (observation, environment) = try await inner.commit()
        return (observation, GuardedEnvironment(environment))
    }

    func discard() async { await inner.discard() }
}

extension Action {
    /// What comes of an action that needs no environment; nil for those that do.
    public var immediateObservation: Observation? {
        switch self {
        case .answer(let value): Observation(text: "", outcome: .final(value))
        case .giveUp(let reason): Observation(text: reason, outcome: .success)
        case .unparsable(_, let reason): Observation(text: "Error: \(reason)", outcome: .parseError(reason))
        case .code, .toolCall: nil
        }
    }
}
