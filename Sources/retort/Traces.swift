import Foundation
import RetortCore
import RetortTelemetry
import Tracing

/// Traces of what a command does, where the environment names a collector of OpenTelemetry's. What stands in the way of traces stops no
/// command.
struct Traces {
    private let exporter: SpanExporter?

    /// Begins them, once for the process.
    init() {
        do {
            guard let settings = try TelemetrySettings(environment: ProcessInfo.processInfo.environment) else {
                exporter = nil
                return
            }
            let exporter = try SpanExporter(settings, version: Retort.version, report: Self.say)
            InstrumentationSystem.bootstrap(OTLPTracer(settings, exporter: exporter))
            self.exporter = exporter
        } catch {
            Self.say("there are no traces: \(error)")
            exporter = nil
        }
    }

    /// Sends what is left.
    func end(within seconds: Double = .infinity) async { await exporter?.shutdown(within: seconds) }

    private static func say(_ text: String) { FileHandle.standardError.write(Data("retort: \(text)\n".utf8)) }
}
