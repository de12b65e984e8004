import Tracing

/// Traces for OpenTelemetry: spans are sent to a collector as OTLP over HTTP. No package for that exists here, so the form is written
/// by hand, after the specification.
public struct OTLPTracer: Tracer {
    private let settings: TelemetrySettings
    private let exporter: SpanExporter

    /// - Parameter exporter: where spans go when they have ended.
    public init(_ settings: TelemetrySettings, exporter: SpanExporter) {
        self.settings = settings
        self.exporter = exporter
    }

    /// Starts a span below the context's, or a new trace where the context has none.
    public func startSpan<Instant: TracerInstant>(
        _ operationName: String, context: @autoclosure () -> ServiceContext, ofKind kind: SpanKind,
        at instant: @autoclosure () -> Instant, function: String, file fileID: String, line: UInt
    ) -> TracedSpan {
        let context = context()
        let parent = context.trace
        let trace = parent?.trace ?? (.random(in: 0 ... .max), .random(in: 1 ... .max))
        let own = TraceContext(
            trace: trace, span: .random(in: 1 ... .max), isSampled: isSampled(trace.low, under: parent))
        return TracedSpan(
            operationName, own, parent: parent?.span, context: context, kind: kind,
            start: instant().nanosecondsSinceEpoch
        ) { [exporter] in exporter.take($0) }
    }

    private func isSampled(_ low: UInt64, under parent: TraceContext?) -> Bool {
        if settings.followsCaller, let parent { return parent.isSampled }
        return switch settings.sampler {
        case .always: true
        case .never: false
        // By the id, so that all who see a trace choose alike (the specification's TraceIdRatioBased).
        case .share(let share): Double(low >> 1) < share * 0x1p63
        }
    }

    /// Sends what has ended soon; the sending itself is not waited for.
    public func forceFlush() { exporter.hurry() }

    /// Writes W3C's `traceparent`.
    public func inject<Carrier, Inject: Injector>(
        _ context: ServiceContext, into carrier: inout Carrier, using injector: Inject
    ) where Inject.Carrier == Carrier {
        guard let trace = context.trace else { return }
        injector.inject(trace.header, forKey: "traceparent", into: &carrier)
    }

    /// Reads W3C's `traceparent`; one that is damaged counts as none.
    public func extract<Carrier, Extract: Extractor>(
        _ carrier: Carrier, into context: inout ServiceContext, using extractor: Extract
    ) where Extract.Carrier == Carrier {
        guard let header = extractor.extract(key: "traceparent", from: carrier) else { return }
        if let trace = TraceContext(header: header) { context.trace = trace }
    }
}
