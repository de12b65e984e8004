/// A function the agent may call, answered by the host.
public protocol Tool: Sendable {
    /// What the model is told about it.
    var specification: ToolSpecification { get }

    /// Performs the call.
    /// - Parameter arguments: by parameter name, already checked against the specification.
    /// - Throws: any error; its text becomes the observation the model sees.
    func call(_ arguments: [String: JSONValue]) async throws -> JSONValue
}

/// The name, purpose and parameters of a tool.
public struct ToolSpecification: Codable, Sendable, Hashable {
    /// What repeating a call does.
    public enum Effect: String, Codable, Sendable {
        /// The same arguments give the same result and change nothing: results may be cached and shared.
        case pure
        /// The call changes the outside world: it must happen once, for the chosen candidate only.
        case external
    }

    /// One parameter.
    public struct Parameter: Codable, Sendable, Hashable {
        /// The Python and JSON name.
        public var name: String
        /// The JSON schema type: `string`, `integer`, `number`, `boolean`, `array`, `object`.
        public var type: String
        /// What to pass.
        public var summary: String
        /// Whether it may be left out.
        public var isRequired: Bool

        public init(_ name: String, type: String, summary: String, isRequired: Bool = true) {
            self.name = name
            self.type = type
            self.summary = summary
            self.isRequired = isRequired
        }
    }

    /// The Python name.
    public var name: String
    /// One sentence for the model.
    public var summary: String
    /// In positional order.
    public var parameters: [Parameter]
    /// The JSON schema type of the result.
    public var returns: String
    /// What repeating a call does.
    public var effect: Effect

    public init(name: String, summary: String, parameters: [Parameter], returns: String, effect: Effect = .pure) {
        self.name = name
        self.summary = summary
        self.parameters = parameters
        self.returns = returns
        self.effect = effect
    }
}

/// A call that does not fit the tool's specification.
public enum ToolError: Error, CustomStringConvertible {
    case unknownTool(String, known: [String])
    case missingArgument(tool: String, name: String)
    case unexpectedArgument(tool: String, name: String)
    case wrongType(tool: String, name: String, expected: String)

    public var description: String {
        switch self {
        case .unknownTool(let name, let known):
            "there is no tool named \(name); the tools are \(known.sorted().joined(separator: ", "))"
        case .missingArgument(let tool, let name): "\(tool)() needs the argument '\(name)'"
        case .unexpectedArgument(let tool, let name): "\(tool)() has no parameter '\(name)'"
        case .wrongType(let tool, let name, let expected): "\(tool)(): '\(name)' must be of type \(expected)"
        }
    }
}
