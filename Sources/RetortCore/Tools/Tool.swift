/// A function the agent may call, answered by the host.
public protocol Tool: Sendable {
    /// What the model is told about it.
    var specification: ToolSpecification { get }

    /// Whether a call ends in time by itself: one that waits for its turn may take longer than its caller would allow.
    var keepsTime: Bool { get }

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
        /// Whether it must be given.
        public var isRequired: Bool
        /// All that is known of its values, as a JSON schema; nil where the type says it all.
        public var schema: JSONValue?

        /// - Parameters:
        ///   - type: a JSON schema type, or `any`.
        ///   - summary: what to pass.
        ///   - schema: all that is known of its values; nil where the type says it all.
        public init(
            _ name: String, type: String, summary: String, isRequired: Bool = true, schema: JSONValue? = nil
        ) {
            self.name = name
            self.type = type
            self.summary = summary
            self.isRequired = isRequired
            self.schema = schema
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

    /// - Parameter parameters: in positional order.
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
    case unfit(tool: String, reason: String)
    case late(tool: String, seconds: Double)

    /// What went wrong, and what to do.
    public var description: String {
        switch self {
        case .unknownTool(let name, let known):
            "there is no tool named \(name); the tools are \(known.sorted().joined(separator: ", "))"
        case .missingArgument(let tool, let name): "\(tool)() needs the argument '\(name)'"
        case .unexpectedArgument(let tool, let name): "\(tool)() has no parameter '\(name)'"
        case .wrongType(let tool, let name, let expected): "\(tool)(): '\(name)' must be of type \(expected)"
        case .unfit(let tool, let reason): "\(tool)(): \(reason)"
        case .late(let tool, let seconds): "\(tool)() gave no result within \(seconds) seconds"
        }
    }
}

extension Tool {
    /// No: whoever calls it sees to that.
    public var keepsTime: Bool { false }

    /// The tool's result, or its failure when it gives none in time.
    /// - Parameters:
    ///   - arguments: already checked.
    ///   - seconds: after which it is cancelled, unless it keeps its own time.
    /// - Throws: `ToolError.late`, and what the tool throws.
    public func call(_ arguments: [String: JSONValue], seconds: Double) async throws -> JSONValue {
        if keepsTime { return try await call(arguments) }
        guard let result = try await withDeadline(seconds: seconds, { try await self.call(arguments) }) else {
            throw ToolError.late(tool: specification.name, seconds: seconds)
        }
        return result
    }
}

extension ToolSpecification {
    /// Checks a call's arguments against the parameters.
    /// - Throws: `ToolError` that names the argument; its text is for the model.
    public func validated(_ arguments: [String: JSONValue]) throws -> [String: JSONValue] {
        for argument in arguments.keys.sorted() where !parameters.contains(where: { $0.name == argument }) {
            throw ToolError.unexpectedArgument(tool: name, name: argument)
        }
        for parameter in parameters {
            guard let value = arguments[parameter.name], value != .null || parameter.takesNull else {
                if parameter.isRequired { throw ToolError.missingArgument(tool: name, name: parameter.name) }
                continue
            }
            guard value == .null || value.matches(parameter.type) else {
                throw ToolError.wrongType(tool: name, name: parameter.name, expected: parameter.typeText)
            }
            // What a schema says that cannot be read is left to the tool.
            if let schema = parameter.schema.flatMap({ try? JSONSchema($0) }),
                let fault = schema.fault(in: value, at: parameter.name)
            {
                throw ToolError.unfit(tool: name, reason: fault)
            }
        }
        return arguments
    }
}

extension ToolSpecification.Parameter {
    /// Whether `null` is a value of its own, rather than none given.
    fileprivate var takesNull: Bool {
        schema?["type"]?.array?.contains("null") == true || schema?["enum"]?.array?.contains(.null) == true
    }
}

extension JSONValue {
    /// Whether the value is of a JSON schema type.
    fileprivate func matches(_ type: String) -> Bool {
        switch (type, self) {
        case ("string", .string), ("integer", .integer), ("number", .integer), ("number", .number),
            ("boolean", .bool), ("array", .array), ("object", .object):
            true
        case ("string", _), ("integer", _), ("number", _), ("boolean", _), ("array", _), ("object", _): false
        default: true
        }
    }
}
