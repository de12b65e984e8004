import HTTPTypes
import Hummingbird
import NIOCore
import RetortAgents
import RetortCore

/// Refuses requests that were sent to a name other than the server's own.
///
/// A page of another site can make a browser resolve that site's name to this machine (DNS rebinding), and then send
/// requests to a server here as if they were its own. IP addresses cannot be taken over this way. Servers that
/// require a key are safe without this check, and so are servers that answer a network under their own names.
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

    /// Refuses what a page of another site sends. Browsers name a page's site in `Origin`; other clients send none.
    /// - Throws: `APIError` unless the page is on this machine, or of the very server that is asked.
    static func refuseForeignPage(_ request: Request) throws(APIError) {
        guard let origin = request.headers[.origin] else { return }
        let authority = origin.split(separator: "/", omittingEmptySubsequences: true).last.map(String.init) ?? ""
        guard isLoopback(host(of: authority)) || authority == request.head.authority else { throw .foreignPage(origin) }
    }

    /// The host without its port and brackets.
    static func host(of authority: String) -> String {
        let text = authority.lowercased()
        if text.hasPrefix("["), let end = text.firstIndex(of: "]") {
            return String(text[text.index(after: text.startIndex)..<end])
        }
        guard let colon = text.lastIndex(of: ":") else { return text }
        return String(text[..<colon])
    }

    /// Whether a name can only mean a server that listens on that interface.
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

/// Reports errors that occur before a call is read, in the protocol's form.
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
