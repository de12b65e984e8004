import CoreMetrics
import Foundation
import RetortCore
import RetortTesting
import Synchronization
import Testing

@testable import RetortTelemetry

@Suite("Metrics sent to a collector", .timeLimit(.minutes(30)))
struct OTLPMetricsTests {
    /// Runs `body` with metrics that a collector takes when they end.
    /// - Returns: the metrics by name, and what was reported.
    private func metrics(
        _ temporality: TelemetrySettings.Temporality = .cumulative, status: Int = 200,
        _ body: (OTLPMetrics) async throws -> Void
    ) async throws -> (sent: [String: JSONValue], reports: [String]) {
        let bodies = Mutex<[JSONValue]>([])
        let server = try await FaultyEndpoint(.init()) { request in
            try bodies.withLock { $0.append(try ExactJSON.value(of: request.body)) }
            return CannedAnswer([""], status: status)
        }
        var settings = TelemetrySettings(endpoint: try #require(URL(string: server.address + "/v1/metrics")))
        settings.delaySeconds = 3600
        settings.seconds = 600
        settings.temporality = temporality
        settings.resource["team"] = "ml"
        let reports = Mutex<[String]>([])
        // snippet: Metrics
        let metrics = try OTLPMetrics(settings, version: "1") { text in reports.withLock { $0.append(text) } }
        try await body(metrics)
        await metrics.shutdown()
        // end snippet
        try await server.close()
        let resources = bodies.withLock(\.self).flatMap { $0["resourceMetrics"]?.array ?? [] }
        for resource in resources {
            #expect(resource["resource"]?["attributes"]?.array?.last?["value"] == ["stringValue": "ml"])
        }
        let all = resources.flatMap { $0["scopeMetrics"]?.array ?? [] }.flatMap { $0["metrics"]?.array ?? [] }
        return (Dictionary(all.map { ($0["name"]?.string ?? "", $0) }) { $1 }, reports.withLock(\.self))
    }

    @Test("counters are sums, gauges their last values, and timers distributions in seconds")
    func kinds() async throws {
        let (sent, reports) = try await metrics { metrics in
            for _ in 0..<3 {
                Counter(label: "requests", dimensions: [("route", "a")], factory: metrics).increment()
            }
            Counter(label: "requests", dimensions: [("route", "b")], factory: metrics).increment(by: 5)
            FloatingPointCounter(label: "cost", factory: metrics).increment(by: 0.25)
            let loss = Gauge(label: "loss", dimensions: [("stage", "train")], factory: metrics)
            loss.record(2.5)
            loss.record(1.5)
            loss.record(Double.nan)
            Timer(label: "wait", factory: metrics).recordNanoseconds(30_000_000)
            Timer(label: "wait", factory: metrics).recordNanoseconds(400_000_000_000)
            Gauge(label: "never", factory: metrics).record(Double.infinity)
        }
        #expect(reports == [] && Set(sent.keys) == ["requests", "cost", "loss", "wait"])
        let requests = try #require(sent["requests"]?["sum"])
        #expect(requests["isMonotonic"] == true && requests["aggregationTemporality"] == 2)
        let points = try #require(requests["dataPoints"]?.array)
        #expect(points.map { $0["asInt"] } == ["3", "5"])
        #expect(points[0]["attributes"] == [["key": "route", "value": ["stringValue": "a"]]])
        #expect(sent["cost"]?["sum"]?["dataPoints"]?.array?.first?["asDouble"] == 0.25)
        #expect(sent["loss"]?["gauge"]?["dataPoints"]?.array?.map { $0["asDouble"] } == [1.5])
        #expect(sent["wait"]?["unit"] == "s")
        let wait = try #require(sent["wait"]?["histogram"]?["dataPoints"]?.array?.first)
        #expect(wait["count"] == "2" && wait["min"] == 0.03 && wait["max"] == 400.0)
        #expect(wait["bucketCounts"]?.array?.count == (wait["explicitBounds"]?.array?.count ?? 0) + 1)
        #expect(wait["bucketCounts"]?.array?.compactMap(\.string).firstIndex(of: "1") == 3)
        #expect(wait["bucketCounts"]?.array?.last == "1")
    }

    @Test("sums since the last report are forgotten when they were sent")
    func delta() throws {
        let (sum, times) = (SumSeries(), HistogramSeries(bounds: [1]))
        sum.increment(by: Int64(2))
        times.recordNanoseconds(5)
        #expect(sum.take(isDelta: true)?["asInt"] == "2" && times.take(isDelta: true)?["count"] == "1")
        #expect(sum.take(isDelta: true) == nil && times.take(isDelta: true) == nil)
        sum.increment(by: Int64(3))
        #expect(sum.take(isDelta: false)?["asInt"] == "3" && sum.take(isDelta: false)?["asInt"] == "3")
    }

    @Test("a collector that refuses is reported once; where nothing was recorded, nothing is sent")
    func refused() async throws {
        let (_, reports) = try await metrics(.delta, status: 401) {
            Counter(label: "requests", factory: $0).increment()
        }
        #expect(reports.count == 1 && reports[0].contains("401"))
        #expect(try await metrics { _ in }.sent.isEmpty)
    }
}
