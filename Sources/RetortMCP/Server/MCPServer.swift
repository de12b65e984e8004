import RetortCore

/// A tool that is offered to clients.
public struct MCPServerTool: Sendable {
    /// The tool's name: 1 to 128 letters, digits, `_`, `-` and `.`.
    public var name: String
    /// What the tool does, for a model.
    public var summary: String
    /// The JSON schema of the arguments, which must be an object's.
    public var inputSchema: JSONValue
    /// The JSON schema of the structured result; nil if there is none.
    public var outputSchema: JSONValue?
    /// Does the work. An error that it throws becomes a failed result, which the caller's model reads.
    public var call: @Sendable (_ arguments: [String: JSONValue], _ reporter: MCPReporter) async throws -> MCPResult

    /// - Parameters:
    ///   - name: 1 to 128 letters, digits, `_`, `-` and `.`.
    ///   - summary: what the tool does, for a model.
    ///   - inputSchema: an object's JSON schema, against which arguments are checked before `call` gets them.
    ///   - outputSchema: the schema of structured results; nil for a tool without them.
    ///   - call: does the work.
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

/// Reports to a caller how far its call is, if the caller wants to know.
public struct MCPReporter: Sendable {
    let send: (@Sendable (MCPProgress) async -> Void)?

    /// - Parameter word: its `progress` must grow from report to report.
    public func report(_ word: MCPProgress) async { await send?(word) }
}

/// Offers tools to clients of the Model Context Protocol (2025-11-25 and the three versions before it).
///
/// It has no state of its own: `MCPStdioServer` and `MCPHTTPHandler` create a session for each client.
public struct MCPServer: Sendable {
    /// The limits of a server.
    public struct Limits: Sendable, Hashable {
        /// The most calls of a session that run at once; further ones are refused.
        public var maximumCalls = 8
        /// The longest a call may take, in seconds.
        public var callSeconds = 600.0
        /// The longest message, in bytes.
        public var maximumMessageBytes = 4 << 20
        /// The most progress reports of a call; further ones are dropped.
        public var maximumWords = 1000
        /// The most sessions over HTTP.
        public var maximumSessions = 64
        /// After this many seconds without a request, a session over HTTP is dropped.
        public var idleSeconds = 1800.0
        /// How long calls may go on after the input over stdio has ended, in seconds.
        public var drainSeconds = 10.0

        /// The default limits.
        public init() {}
    }

    /// The server's name in its introduction.
    public let name: String
    /// Instructions for use, which clients pass on to their models; nil for none.
    public let instructions: String?
    /// The tools by name.
    let tools: [String: Entry]
    let list: JSONValue
    /// The limits of each session, and of the sessions together.
    public let limits: Limits

    struct Entry: Sendable {
        let tool: MCPServerTool
        let check: JSONSchema
    }

    /// - Throws: `MCPServerError` for two tools of one name, an invalid name, or a schema that cannot be used.
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

/// Why tools cannot be offered, or a client can no longer be served.
public enum MCPServerError: Error, CustomStringConvertible, Equatable {
    /// The name is not valid for a tool.
    case badName(String)
    /// The input schema of this tool cannot be used, with the reason.
    case badSchema(String, String)
    /// Two tools have this name.
    case twice(String)
    /// A client's message has more than this many bytes.
    case tooLong(limit: Int)
    /// A client does not read what it is sent.
    case slowClient

    /// The fault, and its remedy if there is one, for people.
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
    /// A result that consists of one text.
    public static func text(_ text: String, structured: JSONValue? = nil) -> MCPResult {
        MCPResult(content: [.text(text)], structured: structured)
    }

    /// A failed result with the reason.
    public static func failure(_ reason: String) -> MCPResult {
        MCPResult(content: [.text(reason)], isError: true)
    }

    /// The result as it is sent: each part as its text.
    var json: JSONValue {
        var members: [String: JSONValue] = [
            "content": .array(content.map { ["type": "text", "text": .string($0.text)] }), "isError": .bool(isError),
        ]
        members["structuredContent"] = structured
        return .object(members)
    }
}
