import RetortCore

/// An environment that calls tools and does nothing else: what a policy without an interpreter needs. It has no state,
/// so a fork is the environment itself.
public struct ToolEnvironment: Environment {
    private let tools: [String: any Tool]

    public init(_ tools: [any Tool]) {
        self.tools = Dictionary(tools.map { ($0.specification.name, $0) }, uniquingKeysWith: { first, _ in first })
    }

    public func perform(_ action: Action) async throws -> Observation {
        guard case .toolCall(let name, let arguments) = action else {
            return Self.failed("only tools can be called here", calls: [])
        }
        var call = ToolCall(name: name, arguments: arguments.object ?? [:])
        let start = ContinuousClock.now
        var observation: Observation
        do {
            guard let tool = tools[name] else { throw ToolError.unknownTool(name, known: Array(tools.keys)) }
            let result = try await tool.call(tool.specification.validated(call.arguments))
            call.result = result
            observation = Observation(text: result.text, outcome: .success, toolCalls: [call])
        } catch let error as CancellationError {
            throw error
        } catch {
            call.error = "\(error)"
            observation = Self.failed("\(error)", calls: [call])
        }
        observation.seconds = start.duration(to: .now) / .seconds(1)
        return observation
    }

    public func fork() async throws -> any Environment { self }

    public func close() async {}

    private static func failed(_ message: String, calls: [ToolCall]) -> Observation {
        Observation(
            text: "Error: \(message)", outcome: .executionError(type: "ToolError", message: message), toolCalls: calls)
    }
}
