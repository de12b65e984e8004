import Synchronization
import Tracing

/// A span that is told to a collector when it ends.
public final class TracedSpan: Span {
    private struct State {
        var name: String
        var attributes: SpanAttributes = [:]
        var events: [SpanEvent] = []
        var links: [SpanLink] = []
        var status: SpanStatus?
        var hasEnded = false
    }

    /// The context of what happens within the span: it carries the span's own trace context.
    public let context: ServiceContext
    private let own: TraceContext
    private let parent: UInt64?
    private let kind: SpanKind
    private let start: UInt64
    private let state: Mutex<State>
    private let ended: @Sendable (FinishedSpan) -> Void
    /// More of one span's events and links are left out.
    private static let most = 128

    init(
        _ name: String, _ own: TraceContext, parent: UInt64?, context: ServiceContext, kind: SpanKind, start: UInt64,
        ended: @escaping @Sendable (FinishedSpan) -> Void
    ) {
        var context = context
        context.trace = own
        self.context = context
        self.own = own
        self.parent = parent
        self.kind = kind
        self.start = start
        self.ended = ended
        state = Mutex(State(name: name))
    }

    /// Whether changes are kept: the trace is sampled, and the span has not ended.
    public var isRecording: Bool { own.isSampled && state.withLock { !$0.hasEnded } }

    /// The span's name, which may change until it ends.
    public var operationName: String {
        get { state.withLock(\.name) }
        set { change { $0.name = newValue } }
    }

    /// The span's attributes; changes after its end are ignored.
    public var attributes: SpanAttributes {
        get { state.withLock(\.attributes) }
        set { change { $0.attributes = newValue } }
    }

    /// Sets how the span ended; the last status counts.
    public func setStatus(_ status: SpanStatus) { change { $0.status = status } }

    /// Adds an event; the first 128 are kept.
    public func addEvent(_ event: SpanEvent) {
        change { if $0.events.count < Self.most { $0.events.append(event) } }
    }

    /// Adds a link to another span; the first 128 are kept.
    public func addLink(_ link: SpanLink) {
        change { if $0.links.count < Self.most { $0.links.append(link) } }
    }

    /// An event named `exception`, as OpenTelemetry's conventions have it.
    public func recordError<Instant: TracerInstant>(
        _ error: any Error, attributes: SpanAttributes, at instant: @autoclosure () -> Instant
    ) {
        var attributes = attributes
        attributes["exception.type"] = "\(type(of: error))"
        attributes["exception.message"] = String("\(error)".prefix(1000))
        addEvent(SpanEvent(name: "exception", at: instant(), attributes: attributes))
        change { if $0.status == nil { $0.status = SpanStatus(code: .error, message: "\(type(of: error))") } }
    }

    /// Ends the span, and gives it to the exporter. Only the first end counts.
    public func end<Instant: TracerInstant>(at instant: @autoclosure () -> Instant) {
        guard own.isSampled else { return }
        let end = instant().nanosecondsSinceEpoch
        let last = state.withLock { state -> State? in
            guard !state.hasEnded else { return nil }
            state.hasEnded = true
            return state
        }
        guard let last else { return }
        ended(
            FinishedSpan(
                name: last.name, own: own, parent: parent, kind: kind, start: start, end: max(end, start),
                attributes: last.attributes, events: last.events, links: last.links, status: last.status))
    }

    private func change(_ body: (inout State) -> Void) {
        guard own.isSampled else { return }
        state.withLock { if !$0.hasEnded { body(&$0) } }
    }
}

/// What a span came to.
struct FinishedSpan: Sendable {
    let name: String
    let own: TraceContext
    /// The id of the span that it belongs to; nil for a trace's first one.
    let parent: UInt64?
    let kind: SpanKind
    /// In nanoseconds since 1970.
    let start: UInt64
    let end: UInt64
    let attributes: SpanAttributes
    let events: [SpanEvent]
    let links: [SpanLink]
    let status: SpanStatus?
}
