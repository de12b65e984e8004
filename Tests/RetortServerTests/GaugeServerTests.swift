import AsyncHTTPClient
import Foundation
import NIOCore
import RetortServer
import Testing

@Suite("A server of figures", .timeLimit(.minutes(30)))
struct GaugeServerTests {
    private struct Broken: Error, CustomStringConvertible { let description = "the store is away" }

    /// What a path answers while the server runs.
    private func answer(
        _ path: String, gauges: @escaping @Sendable () async throws -> [Gauge]
    ) async throws -> (status: UInt, text: String) {
        let (ports, port) = AsyncStream.makeStream(of: Int.self)
        let serving = Task {
            try await GaugeServer(host: "127.0.0.1", port: 0, gauges: gauges).run { port.yield($0) }
        }
        defer { serving.cancel() }
        var iterator = ports.makeAsyncIterator()
        let found = try #require(await iterator.next())
        let request = HTTPClientRequest(url: "http://127.0.0.1:\(found)\(path)")
        let reply = try await HTTPClient.shared.execute(request, timeout: .seconds(60))
        return (UInt(reply.status.code), String(buffer: try await reply.body.collect(upTo: 1 << 20)))
    }

    @Test("it tells figures in Prometheus' text format, and that it lives")
    func figures() async throws {
        let gauges: @Sendable () -> [Gauge] = {
            [
                Gauge("retort_fleet_tasks", "Tasks.", labels: [("stage", "a\"b"), ("state", "open")], 3),
                Gauge("retort_fleet_tasks", "Tasks.", labels: [("stage", "a\"b"), ("state", "done")], 4),
            ]
        }
        let metrics = try await answer("/metrics", gauges: gauges)
        #expect(metrics.status == 200)
        #expect(
            metrics.text == """
                # HELP retort_fleet_tasks Tasks.
                # TYPE retort_fleet_tasks gauge
                retort_fleet_tasks{stage="a\\"b",state="open"} 3.0
                retort_fleet_tasks{stage="a\\"b",state="done"} 4.0

                """)
        #expect(try await answer("/healthz", gauges: gauges).text == "ok\n")
    }

    @Test("figures that cannot be had are told as such")
    func broken() async throws {
        let found = try await answer("/metrics") { throw Broken() }
        #expect(found.status == 503 && found.text == "# the store is away\n")
    }
}
