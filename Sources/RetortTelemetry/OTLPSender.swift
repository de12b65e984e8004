import AsyncHTTPClient
import Foundation
import NIOCore
import RetortWeb

/// Posts documents to a collector, and tries again where the specification of OTLP over HTTP has it so.
struct OTLPSender: Sendable {
    private let settings: TelemetrySettings
    private let version: String
    private let clients: WebClients

    private static let attempts = 3

    /// - Throws: `ProxyError` for a proxy in the environment that cannot be used.
    init(_ settings: TelemetrySettings, version: String) throws {
        self.settings = settings
        self.version = version
        // A redirect would take keys in the headers to another host.
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.timeout = .init(connect: .seconds(10))
        // Requests with telemetry have no spans of their own.
        configuration.tracing.tracer = nil
        clients = try WebClients(configuration)
    }

    /// - Returns: why the collector did not take the document; nil when it did.
    func post(_ document: String) async -> String? {
        var request = HTTPClientRequest(url: settings.endpoint.absoluteString)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/json")
        request.headers.add(name: "User-Agent", value: "retort/\(version)")
        for (name, value) in settings.headers { request.headers.replaceOrAdd(name: name, value: value) }
        request.body = .bytes(ByteBuffer(string: document))
        var failure = ""
        for attempt in 0..<Self.attempts {
            if attempt > 0, (try? await Task.sleep(for: .seconds(Double(attempt)))) == nil { return failure }
            do {
                let response = try await clients.client(for: settings.endpoint)
                    .execute(request, timeout: .nanoseconds(Int64(settings.seconds * 1e9)))
                // The connection serves again only when the reply was read.
                _ = try? await response.body.collect(upTo: 1 << 20)
                let code = response.status.code
                if (200..<300).contains(code) { return nil }
                failure = "it answered with \(code)"
                // The codes after which the specification has a request tried again.
                guard [429, 502, 503, 504].contains(code) else { return failure }
            } catch {
                failure = "\(error)"
            }
        }
        return failure
    }

    func shutdown() async { await clients.shutdown() }
}
