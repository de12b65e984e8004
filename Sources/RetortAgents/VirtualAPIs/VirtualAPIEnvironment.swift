import RetortCore

/// The virtual APIs of a task as an environment: each call of one of its tools is a virtual call.
///
/// It has no state of its own, so a fork is the environment itself. A call fails with one of ToolBench's kinds: unknown API,
/// bad input, timeout, not found, not subscribed, unauthorised, too many requests, an error of the API, or a request that
/// broke.
public struct VirtualAPIEnvironment: Environment {
    private let apis: any VirtualAPIs
    private let names: [String: VirtualAPIReference]
    private let seconds: Double

    /// - Parameters:
    ///   - task: its `virtualAPIs` say which function a tool's name stands for.
    ///   - seconds: the longest a call may take.
    public init(_ apis: any VirtualAPIs, task: AgentTask, seconds: Double = 120) {
        self.apis = apis
        names = task.virtualAPIs
        self.seconds = seconds
    }

    /// Itself: nothing here changes.
    public func fork() async throws -> any Environment { self }
    /// Nothing is held open.
    public func close() async {}

    /// Performs a tool call; whatever goes wrong with it is in the observation.
    /// - Throws: what halts the run, `CancellationError`.
    public func perform(_ action: Action) async throws -> Observation {
        guard case .toolCall(let name, let arguments) = action else {
            return Self.failure("InvalidAction", "only APIs can be called here", calls: [])
        }
        var call = ToolCall(name: name, arguments: arguments.object ?? [:])
        let start = ContinuousClock.now
        var observation: Observation
        if let reference = names[name] {
            observation = try await reply(reference, &call)
        } else {
            call.error = "there is no API named \(name)"
            observation = Self.failure("UnknownAPI", call.error ?? "", calls: [call])
        }
        observation.seconds = start.duration(to: .now) / .seconds(1)
        return observation
    }

    private func reply(_ reference: VirtualAPIReference, _ call: inout ToolCall) async throws -> Observation {
        let request = VirtualCall(
            category: reference.category, tool: reference.tool, api: reference.api, input: .object(call.arguments))
        do {
            guard let reply = try await withDeadline(seconds: seconds, { [apis] in try await apis.reply(to: request) })
            else {
                call.error = "no reply within \(seconds) s"
                return Observation(
                    text: "Error: \(call.error ?? "")", outcome: .timeout(seconds: seconds), toolCalls: [call])
            }
            guard reply.error.isEmpty else {
                call.error = reply.error
                return Self.failure(Self.kind(of: reply.error), reply.error, calls: [call])
            }
            call.result = reply.response
            let text = reply.response.string ?? reply.response.jsonText
            return Observation(text: text, outcome: .success, toolCalls: [call])
        } catch {
            // A budget that is spent or a hole in a tape says nothing about the call.
            if error.endsRun { throw error }
            call.error = "\(error)"
            return Self.failure("RequestFailed", "\(error)", calls: [call])
        }
    }

    /// ToolBench's status by the words of an error.
    static func kind(of error: String) -> String {
        let words = error.lowercased()
        let kinds: [(String, [String])] = [
            ("NotSubscribed", ["not subscribed", "unsubscribed"]), ("Unauthorized", ["unauthorized", "unauthorised"]),
            ("TooManyRequests", ["too many requests"]), ("RateLimited", ["rate limit"]),
            ("Timeout", ["timed out", "time out", "timeout"]), ("NotFound", ["not found", "does not exist"]),
            ("InvalidInput", ["input is not", "parse error", "missing"]),
        ]
        return kinds.first { $0.1.contains(where: words.contains) }?.0 ?? "APIError"
    }

    private static func failure(_ type: String, _ message: String, calls: [ToolCall]) -> Observation {
        Observation(
            text: "Error: \(message)", outcome: .executionError(type: type, message: message), toolCalls: calls)
    }
}

/// The function that a tool's name stands for, as its own server knows it.
public struct VirtualAPIReference: Codable, Sendable, Hashable {
    /// The category it is in, as ToolBench has it.
    public var category: String
    /// The tool that it belongs to.
    public var tool: String
    /// Its own name.
    public var api: String

    /// - Parameters: as the server spells them.
    public init(category: String, tool: String, api: String) {
        self.category = category
        self.tool = tool
        self.api = api
    }
}

extension AgentTask {
    private static let virtualKey = "virtualAPIs"

    /// Which functions the task's tools stand for, by the tool's name; kept in `metadata["virtualAPIs"]`.
    public var virtualAPIs: [String: VirtualAPIReference] {
        get {
            (metadata[Self.virtualKey]?.object ?? [:])
                .compactMapValues { try? ExactJSON.decode(VirtualAPIReference.self, from: $0) }
        }
        set { metadata[Self.virtualKey] = .object(newValue.compactMapValues { try? ExactJSON.tree($0) }) }
    }
}
