/// What the environment answered to an action.
public struct Observation: Codable, Sendable, Hashable {
    /// How the action ended. An error is an outcome of its own, never an empty success.
    public enum Outcome: Codable, Sendable, Hashable {
        /// The action ran to its end.
        case success
        /// The run's final answer was given.
        case final(JSONValue)
        /// The model's text held no action.
        case parseError(String)
        /// The action failed: the error's type (`NameError`) and message.
        case executionError(type: String, message: String)
        /// The action was stopped at its time limit.
        case timeout(seconds: Double)

        /// Whether the action failed, for whatever cause.
        public var isFailure: Bool {
            switch self {
            case .success, .final: false
            case .parseError, .executionError, .timeout: true
            }
        }
    }

    /// What the model is shown: printed output, the value of the last expression, the error.
    public var text: String
    /// How the action ended.
    public var outcome: Outcome
    /// The tools the action called, in order.
    public var toolCalls: [ToolCall]
    /// Wall-clock time, in seconds.
    public var seconds: Double

    /// - Parameter seconds: wall-clock time that the action took.
    public init(text: String, outcome: Outcome, toolCalls: [ToolCall] = [], seconds: Double = 0) {
        self.text = text
        self.outcome = outcome
        self.toolCalls = toolCalls
        self.seconds = seconds
    }
}

/// One call of a tool and what came back.
public struct ToolCall: Codable, Sendable, Hashable {
    /// The tool's name.
    public var name: String
    /// The arguments, by parameter name.
    public var arguments: [String: JSONValue]
    /// The value returned, or nil after an error.
    public var result: JSONValue?
    /// The error's text, or nil after success.
    public var error: String?

    /// - Parameters:
    ///   - result: what it gave; nil when it failed or was not made.
    ///   - error: what it failed with; nil when it did not.
    public init(name: String, arguments: [String: JSONValue], result: JSONValue? = nil, error: String? = nil) {
        self.name = name
        self.arguments = arguments
        self.result = result
        self.error = error
    }
}
