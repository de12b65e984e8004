import CoreMetrics
import Foundation
import RetortCore
import RetortTelemetry
import Tracing

/// Traces and metrics of what a command does, where the environment names a collector of OpenTelemetry's. No command
/// fails because of them.
struct Telemetry {
    private let spans: SpanExporter?
    private let metrics: OTLPMetrics?

    /// Begins them, once for the process.
    init() {
        let environment = ProcessInfo.processInfo.environment
        spans = Self.attempt("traces") {
            guard let settings = try TelemetrySettings(.traces, environment: environment) else { return nil }
            let exporter = try SpanExporter(settings, version: Retort.version, report: Self.say)
            InstrumentationSystem.bootstrap(OTLPTracer(settings, exporter: exporter))
            return exporter
        }
        metrics = Self.attempt("metrics") {
            guard let settings = try TelemetrySettings(.metrics, environment: environment) else { return nil }
            let metrics = try OTLPMetrics(settings, version: Retort.version, report: Self.say)
            MetricsSystem.bootstrap(metrics)
            return metrics
        }
    }

    /// Sends what is left.
    func end(within seconds: Double = .infinity) async {
        async let sent: Void? = metrics?.shutdown(within: seconds)
        await spans?.shutdown(within: seconds)
        _ = await sent
    }

    private static func attempt<Result>(_ signal: String, _ begin: () throws -> Result?) -> Result? {
        do {
            return try begin()
        } catch {
            say("there are no \(signal): \(error)")
            return nil
        }
    }

    private static func say(_ text: String) { FileHandle.standardError.write(Data("retort: \(text)\n".utf8)) }
}
