import RetortCore
import RetortWeb
import Synchronization

/// Sends spans that have ended to a collector, some at a time. It never holds up who traces: what a collector does not take in time is
/// dropped, and counted.
public final class SpanExporter: Sendable {
    private struct State {
        var waiting: [FinishedSpan] = []
        var dropped = 0
        var isClosed = false
        var hasFailed = false
    }

    private let settings: TelemetrySettings
    private let version: String
    private let report: @Sendable (String) -> Void
    private let sender: OTLPSender
    private let state = Mutex(State())
    private let loop: ExportLoop

    /// The most spans that wait; more are dropped.
    private static let bound = 8192
    /// The most spans of one request.
    private static let batch = 512

    /// - Parameters:
    ///   - version: Retort's.
    ///   - report: is told, once for each run of failures, why spans could not be sent.
    /// - Throws: `ProxyError` for a proxy in the environment that cannot be used.
    public init(
        _ settings: TelemetrySettings, version: String, report: @escaping @Sendable (String) -> Void
    ) throws {
        self.settings = settings
        self.version = version
        self.report = report
        sender = try OTLPSender(settings, version: version)
        loop = ExportLoop(every: settings.delaySeconds)
        loop.begin { [weak self] in await self?.send() }
    }

    /// Takes a span, to be sent with others.
    func take(_ span: FinishedSpan) {
        let isFull = state.withLock { state in
            guard !state.isClosed, state.waiting.count < Self.bound else {
                state.dropped += 1
                return false
            }
            state.waiting.append(span)
            return state.waiting.count % Self.batch == 0
        }
        if isFull { hurry() }
    }

    /// Sends what waits without waiting for more.
    func hurry() { loop.hurry() }

    /// Sends what waits, and ends.
    /// - Parameter seconds: the longest that this takes; no longer than one request may.
    public func shutdown(within seconds: Double = .infinity) async {
        state.withLock { $0.isClosed = true }
        await loop.end(within: min(seconds, settings.seconds))
        let lost = state.withLock { $0.dropped + $0.waiting.count }
        if lost > 0 {
            let spans = lost == 1 ? "1 span was" : "\(lost) spans were"
            report("\(spans) not sent to \(settings.endpoint.host() ?? "the collector")")
        }
        await sender.shutdown()
    }

    /// Sends all that waits, a batch at a time.
    private func send() async {
        while !Task.isCancelled {
            let spans = state.withLock { state in
                defer { state.waiting.removeFirst(min(Self.batch, state.waiting.count)) }
                return Array(state.waiting.prefix(Self.batch))
            }
            guard !spans.isEmpty else { return }
            let body = OTLPDocument.traces(spans, resource: settings.resource, version: version).jsonText
            let failure = await sender.post(body)
            let isNews = state.withLock { state in
                if failure != nil { state.dropped += spans.count }
                defer { state.hasFailed = failure != nil }
                return !state.hasFailed
            }
            if let failure, isNews {
                report("spans could not be sent to \(settings.endpoint.host() ?? "the collector"): \(failure)")
            }
        }
    }
}
