import Foundation
import HTTPTypes
import Hummingbird
import Logging
import RetortCore

/// Admits requests that come from the studio's own pages and carry its token, and sends browsers strict security
/// headers.
///
/// A page of another site can send requests here under a name that it has made resolve to this machine (DNS
/// rebinding). Therefore the host must be the studio's own, every request that changes something must come from its
/// pages (`Origin`), and the token's cookie is not sent with requests that another site began (`SameSite=Strict`).
struct StudioGate: RouterMiddleware {
    typealias Context = ServerContext

    let core: StudioCore
    let logger: Logger

    private static let styleSheet = "/studio.css"

    func handle(
        _ request: Request, context: ServerContext, next: (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        var response: Response
        do {
            if let entry = try enter(request) {
                response = entry
            } else {
                response = try await next(request, context)
            }
        } catch {
            response = told(error, request)
        }
        for (name, value) in Self.headers { response.headers[name] = value }
        if response.headers[.cacheControl] == nil { response.headers[.cacheControl] = "no-store" }
        return response
    }

    /// - Returns: the answer to a request that presents the token for the first time; nil for a request that may
    ///   pass.
    private func enter(_ request: Request) throws(APIError) -> Response? {
        let authority = request.head.authority ?? ""
        let host = HostMiddleware.host(of: authority)
        guard HostMiddleware.isOwn(host, core.options.host) else { throw .misdirected(host) }
        let isReading = request.method == .get || request.method == .head
        if !isReading {
            guard request.headers[.origin] == "http://\(authority)" else { throw Self.stranger }
        }
        if let site = request.headers[.secFetchSite], site != "same-origin", site != "none" {
            // Somebody may follow a link to here; the browser then sends no cookie, and sees only the page that
            // explains so.
            guard isReading, request.headers[.secFetchMode] == "navigate" else { throw Self.stranger }
        }
        let keys = APIKeys([core.options.token])
        if isReading, let shown = request.uri.queryParameters["token"], keys.accept(String(shown)) {
            var response = Response.see(request.uri.path.hasPrefix("//") ? "/" : request.uri.path)
            response.headers[.setCookie] =
                "\(core.cookie)=\(core.options.token); Path=/; HttpOnly; SameSite=Strict"
            return response
        }
        guard request.uri.path != Self.styleSheet else { return nil }
        let cookies = (request.headers[.cookie] ?? "").split(separator: ";").map {
            $0.trimmingCharacters(in: .whitespaces)
        }
        let shown = cookies.first { $0.hasPrefix("\(core.cookie)=") }.map {
            String($0.dropFirst(core.cookie.count + 1))
        }
        let bearer = request.headers[.authorization].flatMap { $0.hasPrefix("Bearer ") ? String($0.dropFirst(7)) : nil }
        guard let key = shown ?? bearer, keys.accept(key) else { throw Self.noToken }
        return nil
    }

    private static let stranger = APIError(
        status: .forbidden, code: "wrong_origin", message: "this was not asked for by a page of the studio")
    private static let noToken = APIError(
        status: .unauthorized, code: "no_token",
        message: "open the address that 'retort studio' printed: it holds the token that lets you in")

    /// An error as a page, or as text for scripts.
    private func told(_ error: any Error, _ request: Request) -> Response {
        var told = APIError(error)
        if let error = error as? HTTPError {
            told = APIError(
                status: error.status, code: "not_found",
                message: error.body ?? "there is nothing at \(request.method) \(request.uri.path)")
        }
        if told.status == .internalServerError { logger.error("request failed", metadata: ["error": "\(error)"]) }
        let body = ErrorPage(status: told.status.code, message: told.message)
        guard var page = try? core.page(body, "error", title: "\(told.status.code)", here: "", status: told.status)
        else {
            return told.response
        }
        // Makes browsers reload by themselves after that time.
        if let seconds = told.retryAfter { page.headers[.refresh] = String(seconds) }
        return page
    }

    /// With a stricter referrer policy, browsers would not say that a form is the studio's own.
    private static let headers: [(HTTPField.Name, String)] = [
        (
            .contentSecurityPolicy,
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
                + "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        ), (.contentTypeOptions, "nosniff"), (.referrerPolicy, "same-origin"), (.frameOptions, "DENY"),
        (.openerPolicy, "same-origin"), (.resourcePolicy, "same-origin"),
    ]
}

struct ErrorPage: Sendable {
    let status: Int
    let message: String
}

extension HTTPField.Name {
    private static func named(_ name: String) -> HTTPField.Name { HTTPField.Name(name) ?? .eTag }
    fileprivate static let refresh = named("Refresh")
    fileprivate static let secFetchSite = named("Sec-Fetch-Site")
    fileprivate static let secFetchMode = named("Sec-Fetch-Mode")
    fileprivate static let contentTypeOptions = named("X-Content-Type-Options")
    fileprivate static let referrerPolicy = named("Referrer-Policy")
    fileprivate static let frameOptions = named("X-Frame-Options")
    fileprivate static let openerPolicy = named("Cross-Origin-Opener-Policy")
    fileprivate static let resourcePolicy = named("Cross-Origin-Resource-Policy")
}
