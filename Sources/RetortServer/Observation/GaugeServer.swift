import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore

/// A server that reports figures in Prometheus' text format at `/metrics`, measured whenever it is asked, and `ok` at
/// `/healthz`.
public struct GaugeServer: Sendable {
    private let host: String
    private let port: Int
    private let gauges: @Sendable () async throws -> [Gauge]

    /// - Parameters:
    ///   - port: 0 takes any free port.
    ///   - gauges: measures the figures; gauges of one name must follow each other. An error that it throws is
    ///     answered with status 503.
    public init(host: String, port: Int, gauges: @escaping @Sendable () async throws -> [Gauge]) {
        (self.host, self.port, self.gauges) = (host, port, gauges)
    }

    /// Serves until it is cancelled.
    /// - Parameter ready: called with the port once connections are accepted.
    /// - Throws: `ServerError` when it cannot listen.
    public func run(ready: @escaping @Sendable (Int) async -> Void = { _ in }) async throws {
        let gauges = gauges
        let router = Router()
        router.get("/metrics") { _, _ in
            do {
                let text = Metrics().text(gauges: try await gauges())
                return Self.response(.ok, text)
            } catch {
                return Self.response(.serviceUnavailable, "# \(error)\n")
            }
        }
        router.get("/healthz") { _, _ in Self.response(.ok, "ok\n") }
        var logger = Logger(label: "retort")
        logger.logLevel = .error
        let server = Application(
            router: router, configuration: .init(address: .hostname(host, port: port)),
            onServerRunning: { channel in await ready(channel.localAddress?.port ?? 0) }, logger: logger)
        do {
            try await server.run()
        } catch let error as IOError {
            throw ServerError.cannotListen(host: host, port: port, String(cString: strerror(error.errnoCode)))
        }
    }

    private static func response(_ status: HTTPResponse.Status, _ text: String) -> Response {
        Response(
            status: status, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }
}
