import HTTPTypes
import Hummingbird
import NIOCore
import RetortAgents
import RetortCore

/// Refuses requests that were sent to another name than the server's own.
///
/// A page of another site can make a browser take that site's name for this machine (DNS rebinding), and then ask a server
/// here in its name. Addresses cannot be taken over so. Who must show a key is safe without, and so is whoever serves a
/// network under names of his own.
struct HostMiddleware: RouterMiddleware {
    typealias Context = ServerContext

    let options: ServerOptions

    func handle(
        _ request: Request, context: ServerContext, next: (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        if !options.keys.isRequired, Self.isLoopback(options.host), let authority = request.head.authority {
            let host = Self.host(of: authority)
            guard Self.isOwn(host, options.host) else {
                throw APIError.misdirected(host)
            }
        }
        return try await next(request, context)
    }

    /// A host without its port and brackets.
    static func host(of authority: String) -> String {
        let text = authority.lowercased()
        if text.hasPrefix("["), let end = text.firstIndex(of: "]") {
            return String(text[text.index(after: text.startIndex)..<end])
        }
        guard let colon = text.lastIndex(of: ":") else { return text }
        return String(text[..<colon])
    }

    /// Whether a name is one that nobody else can take for a server that listens there.
    static func isOwn(_ host: String, _ listening: String) -> Bool {
        isAddress(host) || isLoopback(host) || host == listening.lowercased()
    }

    private static func isAddress(_ host: String) -> Bool { (try? SocketAddress(ipAddress: host, port: 0)) != nil }

    private static func isLoopback(_ host: String) -> Bool {
        let name = host.lowercased()
        return name == "localhost" || name.hasSuffix(".localhost") || name == "::1"
            || (name.hasPrefix("127.") && isAddress(name))
    }
}

/// Errors before a call is read, in the protocol's form.
struct VirtualErrorMiddleware: RouterMiddleware {
    typealias Context = ServerContext

    func handle(
        _ request: Request, context: ServerContext, next: (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let error as APIError {
            var response = error.response
            let told = Response.json(VirtualReply(error: error.message).json, status: error.status)
            response.body = told.body
            response.headers[.contentLength] = told.headers[.contentLength]
            return response
        }
    }
}
