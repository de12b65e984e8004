import Foundation
import RetortCore
import RetortTesting
import Synchronization
import Testing
import Tracing

@testable import RetortTelemetry

@Suite("Traces sent to a collector", .timeLimit(.minutes(30)))
struct OTLPTracerTests {
    /// What a collector was sent, and what it answers.
    private final class Collector: Sendable {
        let bodies = Mutex<[JSONValue]>([])
        let headers = Mutex<[String: String]>([:])
        let codes: Mutex<[Int]>

        init(answering codes: [Int] = []) { self.codes = Mutex(codes) }

        func take(_ request: ReceivedRequest) throws -> CannedAnswer {
            let code = codes.withLock { $0.isEmpty ? 200 : $0.removeFirst() }
            if code == 200 { try bodies.withLock { $0.append(try ExactJSON.value(of: request.body)) } }
            headers.withLock { $0 = request.headers }
            return CannedAnswer([""], status: code)
        }

        /// All spans, by name.
        var spans: [String: JSONValue] {
            let all = bodies.withLock(\.self).flatMap { body in
                (body["resourceSpans"]?.array ?? []).flatMap { $0["scopeSpans"]?.array ?? [] }
                    .flatMap { $0["spans"]?.array ?? [] }
            }
            return Dictionary(all.map { ($0["name"]?.string ?? "", $0) }) { $1 }
        }
    }

    /// Runs `body` with a tracer whose spans a collector takes.
    /// - Returns: what was reported.
    private func trace(
        _ collector: Collector, sampler: TelemetrySettings.Sampler = .always, _ body: (OTLPTracer) async throws -> Void
    ) async throws -> [String] {
        let server = try await FaultyEndpoint(.init()) { try collector.take($0) }
        var settings = TelemetrySettings(
            endpoint: try #require(URL(string: server.address + "/v1/traces")))
        settings.headers = ["api-key": "sesame"]
        settings.sampler = sampler
        settings.delaySeconds = 3600
        settings.seconds = 600
        let reports = Mutex<[String]>([])
        // snippet: Exporter
        let exporter = try SpanExporter(settings, version: "1") { text in reports.withLock { $0.append(text) } }
        try await body(OTLPTracer(settings, exporter: exporter))
        await exporter.shutdown()
        // end snippet
        try await server.close()
        return reports.withLock(\.self)
    }

    @Test("spans arrive with their parents, attributes, events and errors")
    func spans() async throws {
        struct Failure: Error {}
        let collector = Collector()
        let reports = try await trace(collector) { tracer in
            await tracer.withSpan("outer", ofKind: .server) { outer in
                outer.attributes["count"] = 3
                outer.attributes["share"] = Double.nan
                outer.attributes["names"] = ["a", "b"]
                await tracer.withSpan("inner") { $0.addEvent("seen") }
                try? await tracer.withSpan("failing") { _ in throw Failure() }
            }
        }
        #expect(reports == [])
        let spans = collector.spans
        #expect(spans.count == 3 && collector.bodies.withLock(\.count) == 1)
        let outer = try #require(spans["outer"])
        #expect(outer["kind"] == 2 && outer["parentSpanId"] == nil)
        #expect(
            outer["attributes"] == [
                ["key": "count", "value": ["intValue": "3"]],
                [
                    "key": "names",
                    "value": ["arrayValue": ["values": [["stringValue": "a"], ["stringValue": "b"]]]],
                ],
                ["key": "share", "value": ["stringValue": "nan"]],
            ])
        for name in ["inner", "failing"] {
            #expect(spans[name]?["parentSpanId"] == outer["spanId"] && spans[name]?["traceId"] == outer["traceId"])
        }
        #expect(spans["inner"]?["events"]?.array?.first?["name"] == "seen")
        #expect(spans["failing"]?["events"]?.array?.first?["name"] == "exception")
        #expect(spans["failing"]?["status"]?["code"] == 2)
        #expect(collector.headers.withLock { $0["api-key"] } == "sesame")
    }

    @Test("a caller's trace goes on, and its choice is followed")
    func caller() async throws {
        struct Header: Extractor, Injector {
            func extract(key: String, from carrier: [String: String]) -> String? { carrier[key] }
            func inject(_ value: String, forKey key: String, into carrier: inout [String: String]) {
                carrier[key] = value
            }
        }
        let collector = Collector()
        let trace = "0af7651916cd43dd8448eb211c80319c"
        _ = try await self.trace(collector) { tracer in
            for (flags, name) in [("01", "kept"), ("00", "not kept")] {
                var context = ServiceContext.topLevel
                tracer.extract(
                    ["traceparent": "00-\(trace)-00f067aa0ba902b7-\(flags)"], into: &context, using: Header())
                let span = tracer.startSpan(name, context: context)
                #expect(span.isRecording == (flags == "01"))
                var carrier: [String: String] = [:]
                tracer.inject(span.context, into: &carrier, using: Header())
                #expect(carrier["traceparent"]?.hasPrefix("00-\(trace)-") == true)
                #expect(carrier["traceparent"]?.hasSuffix(flags) == true)
                span.end()
                span.end()
            }
        }
        #expect(Array(collector.spans.keys) == ["kept"])
        #expect(collector.spans["kept"]?["parentSpanId"] == "00f067aa0ba902b7")
    }

    @Test("a share of traces is kept, whole or not at all")
    func share() async throws {
        let collector = Collector()
        _ = try await trace(collector, sampler: .share(0.5)) { tracer in
            for number in 0..<200 {
                tracer.withSpan("\(number)") { _ in tracer.withSpan("\(number) inner") { _ in } }
            }
        }
        let names = Set(collector.spans.keys)
        // 100 on average; that it is under 40 or over 160 has a probability below 10⁻¹⁵.
        #expect((80...320).contains(names.count))
        #expect((0..<200).allSatisfy { names.contains("\($0)") == names.contains("\($0) inner") })
    }

    @Test("a collector that is busy is asked again; one that refuses costs the spans, and nothing else")
    func refused() async throws {
        let busy = Collector(answering: [503, 429])
        #expect(try await trace(busy) { $0.withSpan("a") { _ in } } == [])
        #expect(busy.spans.count == 1)
        let closed = Collector(answering: [401])
        let reports = try await trace(closed) { $0.withSpan("a") { _ in } }
        #expect(reports.count == 2 && reports[0].contains("401") && reports[1].contains("1 span was not sent"))
        #expect(closed.spans.isEmpty && !reports.joined().contains("sesame"))
    }

    @Test("a collector leads to no other, for keys would go there")
    func redirects() async throws {
        let other = try await FaultyEndpoint { _ in CannedAnswer([""]) }
        let place = "\(other.address)/v1/traces"
        let server = try await FaultyEndpoint { _ in CannedAnswer([""], status: 307, headers: ["location": place]) }
        var settings = TelemetrySettings(endpoint: try #require(URL(string: "\(server.address)/v1/traces")))
        settings.headers = ["api-key": "sesame"]
        settings.seconds = 600
        let sender = try OTLPSender(settings, version: "1")
        #expect(await sender.post("{}") == "it answered with 307")
        await sender.shutdown()
        #expect(try await server.tally().requests == 1)
        #expect(try await other.tally().requests == 0)
        try await server.close()
        try await other.close()
    }
}
