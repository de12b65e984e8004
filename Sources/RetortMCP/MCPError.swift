import RetortCore

/// What can go wrong between a client and a server; the server is named as its user named it.
public enum MCPError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The command is not there, or does not start.
    case cannotStart(server: String, reason: String)
    /// The server's process ended, or closed its output. `errors` is the end of what it wrote on its standard error.
    case ended(server: String, how: String, errors: String)
    /// No answer came in time.
    case late(server: String, what: String, seconds: Double, remarks: String)
    /// A message is longer than allowed.
    case tooLong(server: String, limit: Int)
    /// The server writes what is no message.
    case garbage(server: String, lines: Int, first: String)
    /// The server's answer is not what the protocol says.
    case protocolBroken(server: String, reason: String)
    /// The server speaks no version that is known here.
    case unknownVersion(server: String, offered: String)
    /// The server offers no tools at all.
    case noTools(server: String)
    /// There is no tool of that name.
    case unknownTool(server: String, tool: String, known: [String])
    /// The tool cannot be used, and why.
    case unusableTool(server: String, tool: String, reason: String)
    /// The server answered with an error.
    case refused(server: String, method: String, error: JSONRPCError)
    /// The server's address cannot be used.
    case badAddress(server: String, address: String, reason: String)
    /// The server cannot be reached.
    case unreachable(server: String, reason: String)
    /// The server answered with a status that says no.
    case http(server: String, status: Int, message: String)
    /// The server has forgotten the session.
    case sessionLost(server: String)
    /// Too much is asked of the server at once.
    case busy(server: String, limit: Int)
    /// The server ended time and again.
    case tooManyStarts(server: String, starts: Int, last: String)
    /// The client was closed.
    case closed(server: String)

    /// What went wrong, and what to do.
    public var description: String {
        switch self {
        case .cannotStart(let server, let reason): "the MCP server '\(server)' cannot be started: \(reason)"
        case .ended(let server, let how, let errors):
            "the MCP server '\(server)' ended (\(how))"
                + (errors.isEmpty ? ", without a word on its standard error" : "; it wrote: \(errors)")
        case .late(let server, let what, let seconds, let remarks):
            "the MCP server '\(server)' did not answer \(what) within \(seconds.plain) seconds"
                + (remarks.isEmpty ? "" : "; \(remarks)")
        case .tooLong(let server, let limit):
            "the MCP server '\(server)' sent a message of more than \(limit) bytes; the connection was ended"
        case .garbage(let server, let lines, let first):
            "the MCP server '\(server)' writes what is no message of the protocol (\(lines) \(lines == 1 ? "line" : "lines")"
                + ", the first: \(first)); its standard output must carry nothing else: have it log to standard error"
        case .protocolBroken(let server, let reason): "the MCP server '\(server)' breaks the protocol: \(reason)"
        case .unknownVersion(let server, let offered):
            "the MCP server '\(server)' speaks version \(offered) of the protocol; known here: "
                + MCPVersion.known.joined(separator: ", ")
        case .noTools(let server): "the MCP server '\(server)' offers no tools"
        case .unknownTool(let server, let tool, let known):
            "the MCP server '\(server)' has no tool '\(tool)'; it has \(known.sorted().joined(separator: ", "))"
        case .unusableTool(let server, let tool, let reason):
            "the tool '\(tool)' of the MCP server '\(server)' cannot be used: \(reason)"
        case .refused(let server, let method, let error):
            "the MCP server '\(server)' refused \(method): \(error)"
        case .badAddress(let server, let address, let reason):
            "the address '\(address)' of the MCP server '\(server)' cannot be used: \(reason)"
        case .unreachable(let server, let reason): "the MCP server '\(server)' cannot be reached: \(reason)"
        case .http(let server, let status, let message):
            "the MCP server '\(server)' answered with status \(status)\(message.isEmpty ? "" : ": \(message)")"
        case .sessionLost(let server): "the MCP server '\(server)' has ended the session"
        case .busy(let server, let limit):
            "more than \(limit) requests wait for the MCP server '\(server)'; ask less at once"
        case .tooManyStarts(let server, let starts, let last):
            "the MCP server '\(server)' was started \(starts) times in a row and is not started again; the last time: "
                + last
        case .closed(let server): "the connection to the MCP server '\(server)' was closed"
        }
    }
}

/// A tool that failed by its own account: the server's text, which the agent observes.
public struct MCPToolFailure: Error, Sendable, Hashable, CustomStringConvertible {
    /// The tool's name as the agent knows it.
    public var tool: String
    /// What the server says.
    public var message: String

    /// - Parameter message: what the tool said.
    public init(tool: String, message: String) {
        self.tool = tool
        self.message = message
    }

    /// What went wrong, and what to do.
    public var description: String { message.isEmpty ? "\(tool)() failed and does not say why" : message }
}

extension Double {
    /// Without a fraction where there is none.
    var plain: String { Int(exactly: self).map { String($0) } ?? String(self) }
}
