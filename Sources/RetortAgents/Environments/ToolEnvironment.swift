import RetortCore

/// An environment that calls tools and does nothing else: what a policy without an interpreter needs. It has no state,
/// so a fork is the environment itself.
public struct ToolEnvironment: Environment {
    private let tools: [String: any Tool]
    private let seconds: Double

    /// - Parameter seconds: the longest a call may take.
    public init(_ tools: [any Tool], seconds: Double = 120) {
        self.tools = Dictionary(tools.map { ($0.specification.name, $0) }, uniquingKeysWith: { first, _ in first })
        self.seconds = seconds
    }

    /// Calls a tool; what it refuses or fails to do is in the observation.
    /// - Throws: what halts the run, such as a hole in a tape or a spent budget; `CancellationError`.
    public func perform(_ action: Action) async throws -> Observation {
        guard case .toolCall(let name, let arguments) = action else {
            return Self.failed("only tools can be called here", calls: [])
        }
        var call = ToolCall(name: name, arguments: arguments.object ?? [:])
        let start = ContinuousClock.now
        var observation: Observation
        do {
            guard let tool = tools[name] else { throw ToolError.unknownTool(name, known: Array(tools.keys)) }
            let result = try await tool.call(tool.specification.validated(call.arguments), seconds: seconds)
            call.result = result
            observation = Observation(text: result.text, outcome: .success, toolCalls: [call])
        } catch {
            if error.endsRun { throw error }
            call.error = "\(error)"
            observation = Self.failed("\(error)", calls: [call])
            if case ToolError.late = error { observation.outcome = .timeout(seconds: seconds) }
        }
        observation.seconds = start.duration(to: .now) / .seconds(1)
        return observation
    }

    /// Tries a call: one of a tool with effects outside waits until it is chosen.
    public func attempt(_ action: Action) async throws -> any Attempt {
        if case .toolCall(let name, let arguments) = action, let tool = tools[name],
            tool.specification.effect == .external,
            (try? tool.specification.validated(arguments.object ?? [:])) != nil
        {
            let effect = ToolCall(name: name, arguments: arguments.object ?? [:])
            return ToolAttempt(progress: .held(output: "", effect: effect), action: action, environment: self)
        }
        return ToolAttempt(progress: .finished(try await perform(action)), action: action, environment: self)
    }

    /// Itself: nothing here changes.
    public func fork() async throws -> any Environment { self }

    /// Nothing is held open.
    public func close() async {}

    private static func failed(_ message: String, calls: [ToolCall]) -> Observation {
        Observation(
            text: "Error: \(message)", outcome: .executionError(type: "ToolError", message: message), toolCalls: calls)
    }
}

/// A call that was made, or that waits for its choice.
private struct ToolAttempt: Attempt {
    let progress: AttemptProgress
    let action: Action
    let environment: ToolEnvironment

    func commit() async throws -> (observation: Observation, environment: any Environment) {
        if case .finished(let observation) = progress { return (observation, environment) }
        return (try await environment.perform(action), environment)
    }

    func discard() async {}
}
