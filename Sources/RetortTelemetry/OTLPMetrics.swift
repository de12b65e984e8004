import CoreMetrics
import Foundation
import RetortCore
import Synchronization

/// Metrics for OpenTelemetry: a backend of swift-metrics that sends its counters, gauges and distributions to a
/// collector as OTLP over HTTP, every so often. No package for that exists here, so the form is written by hand, after
/// the specification.
public final class OTLPMetrics: MetricsFactory, Sendable {
    private struct Key: Hashable {
        let name: String
        let kind: MetricKind
        /// Names and values, alternating, by name.
        let dimensions: [String]

        /// The order of reports.
        var place: (String, String, String) { (name, kind.rawValue, dimensions.joined(separator: "\u{1F}")) }
    }

    private struct State {
        var series: [Key: any MetricSeries] = [:]
        var refused = 0
        var hasFailed = false
        var reported: UInt64
    }

    private let settings: TelemetrySettings
    private let version: String
    private let report: @Sendable (String) -> Void
    private let sender: OTLPSender
    private let state: Mutex<State>
    private let start: UInt64
    private let loop: ExportLoop

    /// The most series that are kept; what is recorded in others is dropped, and said at the end.
    private static let bound = 10_000

    /// - Parameters:
    ///   - version: Retort's.
    ///   - report: is told, once for each run of failures, why metrics could not be sent.
    /// - Throws: `ProxyError` for a proxy in the environment that cannot be used.
    public init(
        _ settings: TelemetrySettings, version: String, report: @escaping @Sendable (String) -> Void
    ) throws {
        self.settings = settings
        self.version = version
        self.report = report
        sender = try OTLPSender(settings, version: version)
        start = Self.now
        state = Mutex(State(reported: start))
        loop = ExportLoop(every: settings.delaySeconds)
        loop.begin { [weak self] in await self?.send() }
    }

    /// Sends a last report, and ends.
    /// - Parameter seconds: the longest that this takes; no longer than one request may.
    public func shutdown(within seconds: Double = .infinity) async {
        await loop.end(within: min(seconds, settings.seconds))
        let refused = state.withLock { $0.refused }
        if refused > 0 { report("\(refused) metrics beyond \(Self.bound) were not recorded") }
        await sender.shutdown()
    }

    private static var now: UInt64 { UInt64(max(Date().timeIntervalSince1970, 0) * 1e9) }

    // MARK: Recording

    private func series<Series: MetricSeries>(
        _ name: String, _ dimensions: [(String, String)], _ kind: MetricKind, _ make: () -> Series
    ) -> Series {
        let sorted = dimensions.sorted { $0.0 < $1.0 }.flatMap { [$0.0, $0.1] }
        let key = Key(name: name, kind: kind, dimensions: sorted)
        return state.withLock { state in
            if let known = state.series[key] as? Series { return known }
            let fresh = make()
            if state.series.count < Self.bound { state.series[key] = fresh } else { state.refused += 1 }
            return fresh
        }
    }

    /// A sum of whole numbers.
    public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        series(label, dimensions, .sum) { SumSeries() }
    }

    /// A sum of numbers.
    public func makeFloatingPointCounter(
        label: String, dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler { series(label, dimensions, .sum) { SumSeries() } }

    /// The last value.
    public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        series(label, dimensions, .gauge) { LastValueSeries() }
    }

    /// The last value, or a distribution where it aggregates.
    public func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        aggregate
            ? series(label, dimensions, .histogram) { HistogramSeries(bounds: HistogramSeries.usual) }
            : series(label, dimensions, .gauge) { LastValueSeries() }
    }

    /// A distribution of times, in seconds.
    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        series(label, dimensions, .seconds) { HistogramSeries(bounds: HistogramSeries.times) }
    }

    /// Keeps the series: what was counted is still reported, and a new counter of the same name goes on with it.
    public func destroyCounter(_ handler: any CounterHandler) {}
    /// Keeps the series.
    public func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {}
    /// Keeps the series.
    public func destroyMeter(_ handler: any MeterHandler) {}
    /// Keeps the series.
    public func destroyRecorder(_ handler: any RecorderHandler) {}
    /// Keeps the series.
    public func destroyTimer(_ handler: any TimerHandler) {}

    // MARK: Sending

    private func send() async {
        let metrics = metrics()
        guard !metrics.isEmpty else { return }
        let document = OTLPDocument.metrics(metrics, resource: settings.resource, version: version)
        let failure = await sender.post(document.jsonText)
        let isNews = state.withLock { state in
            defer { state.hasFailed = failure != nil }
            return !state.hasFailed
        }
        if let failure, isNews {
            report("metrics could not be sent to \(settings.endpoint.host() ?? "the collector"): \(failure)")
        }
    }

    /// Everything that was recorded, a metric for each name and kind.
    private func metrics() -> [JSONValue] {
        let isDelta = settings.temporality == .delta
        let now = Self.now
        let (series, since) = state.withLock { state in
            defer { state.reported = now }
            return (state.series, isDelta ? state.reported : start)
        }
        let points = series.sorted { $0.key.place < $1.key.place }
            .compactMap { key, series -> (key: Key, point: JSONValue)? in
                guard var point = series.take(isDelta: isDelta) else { return nil }
                point["timeUnixNano"] = .string("\(now)")
                if key.kind != .gauge { point["startTimeUnixNano"] = .string("\(since)") }
                point["attributes"] = OTLPDocument.texts(
                    stride(from: 0, to: key.dimensions.count, by: 2).map {
                        (key: key.dimensions[$0], value: key.dimensions[$0 + 1])
                    })
                return (key, .object(point))
            }
        return Dictionary(grouping: points) { Key(name: $0.key.name, kind: $0.key.kind, dimensions: []) }
            .sorted { $0.key.place < $1.key.place }
            .map { metric($0.key.name, $0.key.kind, .array($0.value.map(\.point))) }
    }

    private func metric(_ name: String, _ kind: MetricKind, _ points: JSONValue) -> JSONValue {
        var data: [String: JSONValue] = ["dataPoints": points]
        if kind != .gauge { data["aggregationTemporality"] = .integer(settings.temporality.rawValue) }
        if kind == .sum { data["isMonotonic"] = true }
        var metric: [String: JSONValue] = ["name": .string(name)]
        switch kind {
        case .sum: metric["sum"] = .object(data)
        case .gauge: metric["gauge"] = .object(data)
        case .histogram: metric["histogram"] = .object(data)
        case .seconds:
            metric["histogram"] = .object(data)
            metric["unit"] = "s"
        }
        return .object(metric)
    }
}
