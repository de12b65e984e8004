import Foundation
import RetortCore
import Synchronization
import Testing

@testable import RetortServer

@Suite("Under load and at the end")
struct LoadTests {
    @discardableResult
    private func serve<Result: Sendable>(
        _ model: GatedModel, options: (inout ServerOptions) -> Void = { _ in },
        _ body: @Sendable (TestServer) async throws -> Result
    ) async throws -> Result {
        var catalogue = ModelCatalogue()
        try catalogue.add("1m", model)
        return try await TestServer.run(catalogue, options: options, body)
    }

    private static let stream: JSONValue = [
        "model": "1m", "stream": true, "messages": [["role": "user", "content": "x"]],
    ]

    @Test("a full queue refuses with 503 and says when to try again")
    func full() async throws {
        let model = GatedModel()
        try await serve(
            model,
            options: {
                $0.maximumRunning = 1
                $0.maximumWaiting = 1
            }
        ) { server in
            async let first = server.chat("a")
            try await model.reach(started: 1)
            async let second = server.chat("b")
            for _ in 0..<20_000 {
                if try await server.get("/health").json["generations"]?["waiting"] == 1 { break }
                try await Task.sleep(for: .milliseconds(1))
            }
            let third = try await server.chat("c")
            #expect(third.status == 503)
            #expect(third.headers["retry-after"] == "1")
            #expect(third.json["error"]?["code"] == "overloaded")
            await model.release()
            #expect(try await first.status == 200)
            try await model.reach(started: 2)
            await model.release()
            #expect(try await second.status == 200)
        }
    }

    @Test("a client that leaves ends its generation, whether it waits for all or reads a stream")
    func leaving() async throws {
        let model = GatedModel()
        try await serve(model) { server in
            let waiting = Task { try await server.chat("a") }
            try await model.reach(started: 1)
            waiting.cancel()
            try await model.reach(started: 1, cancelled: 1)
            let reading = Task {
                let response = try await server.open(Self.stream)
                for try await _ in response.body {}
            }
            try await model.reach(started: 2, cancelled: 1)
            reading.cancel()
            try await model.reach(started: 2, cancelled: 2)
            // Places are free again.
            for _ in 0..<20_000 {
                if try await server.get("/health").json["generations"]?["running"] == 0 { break }
                try await Task.sleep(for: .milliseconds(1))
            }
            #expect(try await server.get("/health").json["generations"]?["running"] == 0)
        }
    }

    @Test("what waits for a reader that does not read is bounded")
    func backlog() async throws {
        let backlog = Backlog(limit: 1000)
        let event = GenerationEvent.text(sample: 0, String(repeating: "x", count: 400))
        try backlog.add(event.bytes)
        try backlog.add(event.bytes)
        #expect(throws: APIError.slowReader(bytes: 1000)) { try backlog.add(event.bytes) }
        backlog.remove(2 * event.bytes)
        try backlog.add(event.bytes - event.bytes)
        let model = GatedModel()
        try await serve(model, options: { $0.maximumBacklogBytes = 50 }) { server in
            let reply = try await server.post("/v1/chat/completions", Self.stream)
            #expect(reply.status == 408)
            #expect(reply.json["error"]?["code"] == "slow_reader")
            try await model.reach(started: 1, cancelled: 1)
        }
    }

    @Test("a request that takes too long is ended with 504")
    func timeLimit() async throws {
        let model = GatedModel()
        try await serve(model, options: { $0.requestSeconds = 0.2 }) { server in
            let reply = try await server.chat("a")
            #expect(reply.status == 504)
            #expect(reply.json["error"]?["code"] == "timeout")
            try await model.reach(started: 1, cancelled: 1)
        }
    }

    @Test("a stream that takes too long ends with the same error, or is answered 504 before its first event")
    func streamTimeLimit() async throws {
        // A busy machine may reach no first event in a short time; a longer one then shows the stream's end.
        for seconds in [0.2, 2, 20] {
            let model = GatedModel()
            let status = try await serve(model, options: { $0.requestSeconds = seconds }) { server in
                let stream = try await server.post("/v1/chat/completions", Self.stream)
                let last = stream.status == 200 ? stream.events.last : stream.text
                #expect(last?.contains("\"code\":\"timeout\"") == true)
                return stream.status
            }
            if status == 200 { return }
            #expect(status == 504)
        }
        Issue.record("no stream began within 20 seconds")
    }

    @Test("an error in mid-stream is told in the stream, which then has no [DONE]")
    func failure() async throws {
        let model = GatedModel()
        try await serve(model) { server in
            async let stream = server.post("/v1/chat/completions", Self.stream)
            try await model.reach(started: 1)
            await model.fail(LanguageModelError.sampleMissing(0))
            let events = try await stream.events
            #expect(events.last?.hasPrefix("{\"error\":") == true)
            #expect(!events.contains("[DONE]"))
        }
    }

    @Test("stopping lets what is under way end, and refuses the rest")
    func draining() async throws {
        let model = GatedModel()
        try await serve(model, options: { $0.drainSeconds = 60 }) { server in
            async let stream = server.post("/v1/chat/completions", Self.stream)
            try await model.reach(started: 1)
            await server.group.triggerGracefulShutdown()
            // A connection that arrives in the moment of stopping is neither accepted nor refused before the end.
            while (try? await server.send(server.request("GET", "/health"), within: 2))?.status == 200 {
                try await Task.sleep(for: .milliseconds(1))
            }
            await model.release()
            let events = try await stream.events
            #expect(events.last == "[DONE]")
        }
    }

    @Test("stopping has a limit: what goes on beyond it is cut short, and told so")
    func drainLimit() async throws {
        // A server has five seconds to tell, which are not enough on every busy machine.
        for last in [false, false, true] {
            do {
                return try await cutShort()
            } catch {
                if last { throw error }
            }
        }
    }

    private func cutShort() async throws {
        let model = GatedModel()
        try await serve(model, options: { $0.drainSeconds = 2 }) { server in
            async let stream = server.post("/v1/chat/completions", Self.stream)
            try await model.reach(started: 1)
            async let whole = server.chat("b")
            try await model.reach(started: 2)
            await server.group.triggerGracefulShutdown()
            try await model.reach(started: 2, cancelled: 2)
            let events = try await stream.events
            #expect(events.last?.contains("because the server stops") == true)
            #expect(try await whole.status == 503)
            #expect(try await whole.headers["retry-after"] == "10")
        }
    }

    @Test("every request is one log line, without prompt, answer or key")
    func logs() async throws {
        let book = LogBook()
        let options = { (options: inout ServerOptions) in options.keys = APIKeys(["sesame"]) }
        try await TestServer.run(try TestServer.seedlingCatalogue(), options: options, logger: book.logger) { server in
            let body: JSONValue = [
                "model": "1m", "messages": [["role": "user", "content": "prompt-4711"]], "max_tokens": 5,
            ]
            let key = ["Authorization": "Bearer sesame"]
            let reply = try await server.post("/v1/chat/completions", body, headers: key)
            let bad = try await server.post("/v1/chat/completions", ["model": "prompt-4712"], headers: key)
            _ = try await server.post("/v1/chat/completions", body, headers: ["Authorization": "Bearer almost-sesame"])
            for (reply, status) in [(reply, 200), (bad, 400)] {
                let id = try #require(reply.headers["x-request-id"])
                let lines = book.lines.filter { $0.contains(id) }
                #expect(lines.count == 1)
                #expect(lines.first?.contains("\"status\": \(status)") == true, "\(lines)")
            }
            let answer = try #require(reply.json["choices"]?.array?.first?["message"]?["content"]?.string)
            #expect(!answer.isEmpty)
            for secret in ["prompt-4711", "prompt-4712", "sesame", answer] {
                #expect(!book.lines.contains { $0.contains(secret) })
            }
        }
    }

    @Test("metrics count requests, tokens and times under bounded names")
    func metrics() async throws {
        try await TestServer.run(try TestServer.seedlingCatalogue()) { server in
            _ = try await server.chat("hello")
            _ = try await server.chat("hello", ["stream": true])
            _ = try await server.chat("hello", ["n": 0])
            _ = try await server.get("/v1/secret-\(UUID())")
            let text = try await server.get("/metrics").text
            #expect(text.contains(#"retort_requests_total{route="/v1/chat/completions",status="200"} 2"#))
            #expect(text.contains(#"retort_requests_total{route="/v1/chat/completions",status="400"} 1"#))
            #expect(text.contains(#"retort_tokens_total{model="1m",kind="completion"} 24"#))
            #expect(text.contains(#"retort_first_token_seconds_count{route="/v1/chat/completions"} 2"#))
            #expect(text.contains("retort_resident_memory_bytes "))
            #expect(!text.contains("secret"))
            for line in text.split(separator: "\n") where !line.hasPrefix("#") {
                #expect(line.wholeMatch(of: /[a-z_]+(\{[^}]*\})? [-+0-9.e]+/) != nil, "\(line)")
            }
        }
    }

    @Test("what the program measures itself is told beside, with its labels, and asked for each time")
    func gauges() async throws {
        let asked = Mutex(0)
        let gauges: @Sendable () -> [Gauge] = {
            let times = asked.withLock { count in
                count += 1
                return count
            }
            return ["a", #"b"c"#].map { Gauge("retort_test_bytes", "A test.", labels: [("model", $0)], Double(times)) }
        }
        try await TestServer.run(try TestServer.seedlingCatalogue(), gauges: gauges) { server in
            for times in 1...2 {
                let lines = try await server.get("/metrics").text.split(separator: "\n").map(String.init)
                #expect(lines.count { $0.contains("HELP retort_test_bytes A test.") } == 1)
                #expect(lines.contains(#"retort_test_bytes{model="a"} \#(Double(times))"#))
                #expect(lines.contains(#"retort_test_bytes{model="b\"c"} \#(Double(times))"#))
            }
        }
    }
}
