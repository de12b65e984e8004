import AsyncHTTPClient
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import NIOHTTP1

/// The server behind a recorder.
struct RecorderUpstream: Sendable {
    private let base: String
    private let endsWithVersion: Bool
    private let key: String?
    private let seconds: Double

    init(_ options: RecorderOptions) throws {
        guard let url = URL(string: options.upstream), let scheme = url.scheme, ["http", "https"].contains(scheme),
            url.host != nil, url.query == nil
        else { throw RecorderError.address(options.upstream) }
        base = options.upstream.hasSuffix("/") ? String(options.upstream.dropLast()) : options.upstream
        endsWithVersion = base.hasSuffix("/v1")
        key = options.key
        seconds = options.seconds
    }

    /// Headers that belong to a single connection (RFC 9110, section 7.6.1), and those that the client library writes
    /// itself.
    static func isHop(_ name: String) -> Bool {
        [
            "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te",
            "trailer",
            "transfer-encoding", "upgrade",
        ].contains(name.lowercased())
    }

    /// - Throws: `HTTPClientError` when the server cannot be reached.
    func send(_ request: Request, _ body: ByteBuffer) async throws -> HTTPClientResponse {
        let path = request.uri.description
        // OpenAI's clients expect the version in a server's address; Anthropic's add it themselves.
        let rest = endsWithVersion && path.hasPrefix("/v1/") ? String(path.dropFirst("/v1".count)) : path
        var sent = HTTPClientRequest(url: base + rest)
        sent.method = HTTPMethod(rawValue: request.method.rawValue)
        for field in request.headers where !Self.isHop(field.name.rawName) {
            if [.contentLength, .acceptEncoding].contains(field.name) { continue }
            sent.headers.add(name: field.name.rawName, value: field.value)
        }
        sent.headers.replaceOrAdd(name: "Accept-Encoding", value: "identity")
        if let key, request.headers[.authorization] == nil, !sent.headers.contains(name: "x-api-key") {
            sent.headers.add(name: "Authorization", value: "Bearer \(key)")
            if path.hasSuffix("/messages") { sent.headers.add(name: "x-api-key", value: key) }
        }
        if body.readableBytes > 0 || request.method == .post { sent.body = .bytes(body) }
        return try await HTTPClient.withoutRedirects.execute(sent, timeout: .nanoseconds(Int64(seconds * 1e9)))
    }
}
