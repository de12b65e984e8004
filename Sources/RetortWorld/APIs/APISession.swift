import RetortCore
import Synchronization

/// A session with the world's APIs: the calls made so far, and the orders cancelled. A fork copies both and continues
/// independently.
///
/// Answers are JSON objects; a failed call's object holds only `error`. A call's result depends only on the session's
/// own earlier calls, so a run can be repeated.
package final class APISession: Environment {
    private struct State {
        var calls: [String: Int] = [:]
        var cancelled: Set<Int> = []
    }

    private let backend: APIBackend
    private let offered: Set<String>
    private let state: Mutex<State>

    /// - Parameter offered: the names that may be called, usually those of a task's tools.
    package init(_ backend: APIBackend, offered: some Sequence<String>) {
        self.backend = backend
        self.offered = Set(offered)
        state = Mutex(State())
    }

    private init(_ original: APISession) {
        backend = original.backend
        offered = original.offered
        state = Mutex(original.state.withLock { $0 })
    }

    /// A session with the same calls and cancelled orders.
    package func fork() async throws -> any Environment { APISession(self) }

    /// Does nothing: a session holds no resources.
    package func close() async {}

    /// Answers a tool call. A fault of the agent, or an API that is busy or out of service, becomes an observation with
    /// an error; nothing is thrown.
    package func perform(_ action: Action) async throws -> Observation {
        guard case .toolCall(let name, let arguments) = action else {
            return Self.failure("InvalidAction", "only APIs can be called here", calls: [])
        }
        var call = ToolCall(name: name, arguments: arguments.object ?? [:])
        func failure(_ type: String, _ message: String) -> Observation {
            call.error = message
            return Self.failure(type, message, calls: [call])
        }
        guard offered.contains(name), let api = WorldAPI(name: name) else {
            return failure("UnknownAPI", "there is no API named \(name)")
        }
        if let fault = backend.fault(api.capability, arguments) { return failure("InvalidInput", fault) }
        let count = count(call: "\(name) \(arguments.jsonText)")
        switch WorldAPI.reliability(of: api.provider) {
        case .dead: return failure("Unavailable", "out of service")
        case .flaky where count == 1: return failure("Busy", "busy, try again")
        case .flaky, .steady: break
        }
        let cancelled = state.withLock { $0.cancelled }
        guard let value = backend.value(api.capability, arguments, cancelled: cancelled) else {
            return failure("NotFound", "not found")
        }
        if api.capability == .cancelOrder, case .integer(let order) = arguments["order"] {
            _ = state.withLock { $0.cancelled.insert(order) }
        }
        let result = JSONValue.object([api.capability.resultKey: value])
        call.result = result
        return Observation(text: result.jsonText, outcome: .success, toolCalls: [call])
    }

    private func count(call: String) -> Int {
        state.withLock { state in
            state.calls[call, default: 0] += 1
            return state.calls[call, default: 0]
        }
    }

    private static func failure(_ type: String, _ message: String, calls: [ToolCall]) -> Observation {
        Observation(
            text: JSONValue.object(["error": .string(message)]).jsonText,
            outcome: .executionError(type: type, message: message), toolCalls: calls)
    }
}
