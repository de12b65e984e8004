import RetortCore
import Synchronization

/// The server's side of streamable HTTP (2025-11-25, Transports), for whatever serves HTTP.
///
/// Each client has a session, a bounded number of which are kept, and dropped when they ask nothing for long. A call is answered
/// with a stream of events where the client takes one, else with JSON. The server tells nothing by itself, so it offers no
/// stream for that. A client that goes away has not taken its call back (Transports, Sending Messages).
public final class MCPHTTPHandler: Sendable {
    /// An answer.
    public enum Reply: Sendable {
        /// With a body where there is one.
        case plain(status: Int, headers: [(name: String, value: String)], body: String?)
        /// Messages as they come, each to be sent as the `data` of an event.
        case events(AsyncStream<String>)
    }

    private let server: MCPServer
    private let sessions = Mutex<[String: MCPServerSession]>([:])

    /// Serves a server's tools over HTTP.
    public init(_ server: MCPServer) { self.server = server }

    /// Answers a request.
    /// - Parameters:
    ///   - method: of HTTP.
    ///   - header: the value of a header by its name in small letters.
    ///   - body: at most as long as the server's limits allow, which whoever reads it sees to.
    public func answer(
        method: String, header: (String) -> String?, body: [UInt8]
    ) async -> Reply {
        // A page in a browser says where it is from; only pages of this machine may ask (Transports, Security Warning).
        if let origin = header("origin"), !Self.isLocal(origin) {
            return refuse(403, "pages of '\(origin.prefix(100))' may not ask this server")
        }
        if let version = header("mcp-protocol-version"), !MCPVersion.known.contains(version) {
            let known = MCPVersion.known.joined(separator: ", ")
            return refuse(400, "the version '\(version.prefix(40))' of the protocol is not spoken; these are: \(known)")
        }
        switch method {
        case "POST": return await post(header, body)
        case "DELETE":
            guard let id = header("mcp-session-id") else { return refuse(400, "the header Mcp-Session-Id is missing") }
            guard let session = sessions.withLock({ $0.removeValue(forKey: id) }) else { return unknownSession }
            session.close()
            return .plain(status: 204, headers: [], body: nil)
        default:
            return .plain(status: 405, headers: [("allow", "POST, DELETE")], body: nil)
        }
    }

    private func post(_ header: (String) -> String?, _ body: [UInt8]) async -> Reply {
        // A page in a browser can send other types to any address without asking first.
        guard header("content-type")?.lowercased().hasPrefix("application/json") == true else {
            return refuse(415, "the body must be declared as application/json")
        }
        let message: JSONRPCMessage
        do throws(JSONRPCFault) {
            let messages = try JSONRPCMessage.messages(of: body)
            guard messages.count == 1, let only = messages.first else {
                throw JSONRPCFault(id: nil, reason: "send one message at a time")
            }
            message = try only.get()
        } catch {
            return .plain(status: 400, headers: [Self.json], body: error.answer.line)
        }
        if case .request(_, "initialize", _) = message { return await introduce(message) }
        guard let id = header("mcp-session-id") else { return refuse(400, "the header Mcp-Session-Id is missing") }
        guard let session = sessions.withLock({ $0[id] }) else { return unknownSession }
        guard let work = session.take(message) else { return .plain(status: 202, headers: [], body: nil) }
        let takesEvents = header("accept")?.lowercased().contains("text/event-stream") == true
        if case .request(_, "tools/call", _) = message, takesEvents {
            let (stream, continuation) = AsyncStream<String>.makeStream()
            Task {
                await work { continuation.yield($0.line) }
                continuation.finish()
            }
            return .events(stream)
        }
        return .plain(status: 200, headers: [Self.json], body: await Self.answer(of: work))
    }

    private func introduce(_ message: JSONRPCMessage) async -> Reply {
        let session = MCPServerSession(server)
        guard let work = session.take(message) else { return refuse(400, "an introduction must be a request") }
        let id =
            String(UInt128.random(in: .min ... .max), radix: 16) + String(UInt128.random(in: .min ... .max), radix: 16)
        let limits = server.limits
        let hasRoom = sessions.withLock { sessions in
            sessions = sessions.filter { !$0.value.isIdle(for: limits.idleSeconds) }
            guard sessions.count < limits.maximumSessions else { return false }
            sessions[id] = session
            return true
        }
        guard hasRoom else { return refuse(503, "\(limits.maximumSessions) clients are connected, which is the most") }
        return .plain(
            status: 200, headers: [Self.json, ("mcp-session-id", id)], body: await Self.answer(of: work))
    }

    /// The last message that a work sends.
    private static func answer(of work: @Sendable (@escaping MCPServerSession.Send) async -> Void) async -> String? {
        let last = Last()
        await work { message in last.message.withLock { $0 = message.line } }
        return last.message.withLock { $0 }
    }

    private final class Last: Sendable { let message = Mutex<String?>(nil) }

    private static let json = (name: "content-type", value: "application/json")

    private var unknownSession: Reply { refuse(404, "there is no such session; introduce yourself again") }

    private func refuse(_ status: Int, _ reason: String) -> Reply {
        let error = JSONRPCMessage.failure(nil, JSONRPCError(code: JSONRPCError.invalidRequest, message: reason))
        return .plain(status: status, headers: [Self.json], body: error.line)
    }

    /// Whether an origin is a page of this machine.
    static func isLocal(_ origin: String) -> Bool {
        guard let scheme = ["http://", "https://"].first(where: origin.lowercased().hasPrefix) else { return false }
        let authority = origin.lowercased().dropFirst(scheme.count)
        let host: Substring
        if authority.hasPrefix("[") {
            guard let end = authority.firstIndex(of: "]") else { return false }
            host = authority[...end]
            guard authority[authority.index(after: end)...].isEmpty || authority[authority.index(after: end)] == ":"
            else {
                return false
            }
        } else {
            host = authority.prefix { $0 != ":" }
        }
        return ["localhost", "127.0.0.1", "[::1]"].contains(host)
    }
}
