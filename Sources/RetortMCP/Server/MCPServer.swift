import RetortCore

/// A tool that is offered to clients.
public struct MCPServerTool: Sendable {
    /// Its name: letters, digits, `_`, `-` and `.`.
    public var name: String
    /// What it does, for a model.
    public var summary: String
    /// The arguments' JSON schema, of an object.
    public var inputSchema: JSONValue
    /// The JSON schema of the structured result, where it has one.
    public var outputSchema: JSONValue?
    /// Does the work. What it throws is a failed result that the caller's model reads.
    public var call: @Sendable (_ arguments: [String: JSONValue], _ reporter: MCPReporter) async throws -> MCPResult

    /// A tool of a server.
    /// - Parameter inputSchema: JSON schema of its arguments.
    public init(
        name: String, summary: String, inputSchema: JSONValue, outputSchema: JSONValue? = nil,
        call: @escaping @Sendable (_ arguments: [String: JSONValue], _ reporter: MCPReporter) async throws -> MCPResult
    ) {
        self.name = name
        self.summary = summary
        self.inputSchema = inputSchema
        self.outputSchema = outputSchema
        self.call = call
    }

    var json: JSONValue {
        var members: [String: JSONValue] = [
            "name": .string(name), "description": .string(summary), "inputSchema": inputSchema,
        ]
        members["outputSchema"] = outputSchema
        return .object(members)
    }
}

/// Tells a caller how far its call is, where it wants to know.
public struct MCPReporter: Sendable {
    let send: (@Sendable (MCPProgress) async -> Void)?

    /// - Parameter word: its `progress` must grow from word to word.
    public func report(_ word: MCPProgress) async { await send?(word) }
}

/// Tools for clients of the Model Context Protocol (2025-11-25 and the three versions before it).
///
/// It has no state of its own: `MCPStdioServer` and `MCPHTTPHandler` make a session for each client.
public struct MCPServer: Sendable {
    /// The limits of a server.
    public struct Limits: Sendable, Hashable {
        /// The most calls of a session at once; further ones are refused.
        public var maximumCalls = 8
        /// The longest a call may take, in seconds.
        public var callSeconds = 600.0
        /// The longest message, in bytes.
        public var maximumMessageBytes = 4 << 20
        /// The most words of progress of a call.
        public var maximumWords = 1000
        /// The most sessions over HTTP.
        public var maximumSessions = 64
        /// After which a session over HTTP that asks nothing is dropped, in seconds.
        public var idleSeconds = 1800.0
        /// How long calls go on when the input over stdio has ended, in seconds.
        public var drainSeconds = 10.0

        /// The usual limits.
        public init() {}
    }

    /// What the server calls itself.
    public let name: String
    /// What clients tell their models about its use.
    public let instructions: String?
    /// By name.
    let tools: [String: Entry]
    let list: JSONValue
    /// What clients may ask of it.
    public let limits: Limits

    struct Entry: Sendable {
        let tool: MCPServerTool
        let check: JSONSchema
    }

    /// - Throws: `MCPServerError` for two tools of one name, a name that clients do not take, and a schema that cannot be used.
    public init(
        name: String, instructions: String? = nil, tools: [MCPServerTool], limits: Limits = Limits()
    ) throws {
        var entries: [String: Entry] = [:]
        for tool in tools {
            guard (1...128).contains(tool.name.utf8.count), tool.name.unicodeScalars.allSatisfy(Self.isAllowed) else {
                throw MCPServerError.badName(tool.name)
            }
            let check: JSONSchema
            do { check = try JSONSchema(tool.inputSchema) } catch {
                throw MCPServerError.badSchema(tool.name, "\(error)")
            }
            guard entries.updateValue(Entry(tool: tool, check: check), forKey: tool.name) == nil else {
                throw MCPServerError.twice(tool.name)
            }
        }
        self.name = name
        self.instructions = instructions
        self.limits = limits
        self.tools = entries
        list = .array(tools.map(\.json))
    }

    private static func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
        scalar.isASCII && (scalar.properties.isAlphabetic || "0123456789_-.".unicodeScalars.contains(scalar))
    }
}

/// Tools that cannot be offered.
public enum MCPServerError: Error, CustomStringConvertible, Equatable {
    case badName(String)
    case badSchema(String, String)
    case twice(String)
    case tooLong(limit: Int)
    case slowClient

    /// What went wrong, and what to do.
    public var description: String {
        switch self {
        case .badName(let name):
            "'\(name)' is no name of a tool: 1 to 128 letters, digits, '_', '-' and '.' without accents"
        case .badSchema(let name, let reason): "the tool '\(name)' cannot be offered: \(reason)"
        case .twice(let name): "two tools are called '\(name)'; give one another name"
        case .tooLong(let limit): "the client sent a message of more than \(limit) bytes; the connection was ended"
        case .slowClient: "the client does not read what it is sent; the connection was ended"
        }
    }
}

extension MCPResult {
    /// A text.
    public static func text(_ text: String, structured: JSONValue? = nil) -> MCPResult {
        MCPResult(content: [.text(text)], structured: structured)
    }

    /// A failure, and why.
    public static func failure(_ reason: String) -> MCPResult {
        MCPResult(content: [.text(reason)], isError: true)
    }

    /// As it is sent: everything as its text.
    var json: JSONValue {
        var members: [String: JSONValue] = [
            "content": .array(content.map { ["type": "text", "text": .string($0.text)] }), "isError": .bool(isError),
        ]
        members["structuredContent"] = structured
        return .object(members)
    }
}
