import AsyncHTTPClient
import Foundation
import RetortCore
import RetortRemote
import RetortServer
import RetortTesting
import Synchronization
import Testing

@Suite("Several servers behind one name", .timeLimit(.minutes(10)))
struct ReplicaTests {
    /// Runs with endpoints behind the name `big`, and closes them after.
    private func with(
        _ count: Int, _ behaviour: FaultyEndpoint.Options = .init(), concurrency: Int = 64, key: APIKey? = nil,
        options change: (inout Replicas.Options) -> Void = { _ in },
        answer: @escaping @Sendable (_ endpoint: Int, ReceivedRequest) async throws -> CannedAnswer,
        _ body: @Sendable (TestServer, [FaultyEndpoint]) async throws -> Void
    ) async throws {
        var endpoints: [FaultyEndpoint] = []
        for number in 0..<count {
            endpoints.append(try await FaultyEndpoint(behaviour) { try await answer(number, $0) })
        }
        var options = Replicas.Options()
        // A machine that is busy with other tests may take long to connect.
        options.connectSeconds = 60
        options.restSeconds = 0.02
        change(&options)
        let replicas = try Replicas(
            "big", endpoints.map { try Endpoint($0.address, model: "canned", key: key, concurrency: concurrency) },
            options: options)
        var catalogue = ModelCatalogue()
        try catalogue.add(replicas)
        let all = endpoints
        do {
            try await TestServer.run(catalogue) { try await body($0, all) }
        } catch {
            for endpoint in endpoints { try? await endpoint.close() }
            throw error
        }
        for endpoint in endpoints { try? await endpoint.close() }
    }

    private static func chat(_ question: String, later: [String] = [], _ members: [String: JSONValue] = [:])
        -> JSONValue
    {
        var messages: [JSONValue] = [
            ["role": "system", "content": "s"], ["role": "user", "content": .string(question)],
        ]
        for (place, text) in later.enumerated() {
            messages.append(["role": place % 2 == 0 ? "assistant" : "user", "content": .string(text)])
        }
        let body: [String: JSONValue] = ["model": "big", "messages": .array(messages)]
        return .object(body.merging(members) { $1 })
    }

    private static func text(_ reply: TestServer.Reply) -> String? {
        reply.json["choices"]?.array?.first?["message"]?["content"]?.string
    }

    private static func body(_ request: ReceivedRequest) -> JSONValue {
        (try? ExactJSON.value(of: String(decoding: request.body, as: UTF8.self))) ?? .null
    }

    private static func gauge(_ name: String, _ server: TestServer) async throws -> [Double] {
        try await server.get("/metrics").text.split(separator: "\n").filter { $0.hasPrefix("\(name){") }
            .compactMap { $0.split(separator: " ").last.flatMap { Double($0) } }
    }

    @Test("a conversation stays with one server, and conversations are spread")
    func stickiness() async throws {
        try await with(3, answer: { number, _ in CannedAnswer(["from \(number)"]) }) { server, endpoints in
            for question in 0..<30 {
                var places: Set<String?> = []
                for steps in 0..<3 {
                    let later = (0..<2 * steps).map { "step \($0)" }
                    let reply = try await server.post(
                        "/v1/chat/completions", Self.chat("question \(question)", later: later))
                    #expect(reply.status == 200, "\(reply.text)")
                    places.insert(Self.text(reply))
                }
                #expect(places.count == 1)
            }
            for endpoint in endpoints { #expect(try await endpoint.tally().requests >= 9) }
            #expect(try await Self.gauge("retort_replica_requests_total", server).reduce(0, +) == 90)
            #expect(try await Self.gauge("retort_replica_healthy", server) == [1, 1, 1])
            #expect(try await Self.gauge("retort_replica_in_flight", server) == [0, 0, 0])
        }
    }

    @Test("many samples of one question do not pile up on one server")
    func bounded() async throws {
        let arrived = Mutex(0)
        let wait: @Sendable () async throws -> Void = {
            arrived.withLock { $0 += 1 }
            while arrived.withLock({ $0 }) < 8 { try await Task.sleep(for: .milliseconds(1)) }
        }
        try await with(
            2,
            answer: { number, _ in
                try await wait()
                return CannedAnswer(["from \(number)"])
            }
        ) { server, endpoints in
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<8 {
                    group.addTask { try await server.post("/v1/chat/completions", Self.chat("hot")).status }
                }
                for try await status in group { #expect(status == 200) }
            }
            for endpoint in endpoints { #expect(try await endpoint.tally().requests >= 3) }
        }
    }

    @Test("what is passed on is the request but for the model's name, with the server's key in place of the client's")
    func unchanged() async throws {
        setenv("RETORT_TEST_UPSTREAM_KEY", "upstream-secret", 1)
        let seen = Mutex<[ReceivedRequest]>([])
        try await with(
            1, key: try APIKey(environment: "RETORT_TEST_UPSTREAM_KEY"),
            answer: { _, request in
                seen.withLock { $0.append(request) }
                return CannedAnswer(["a", "b"])
            }
        ) { server, _ in
            let more: [String: JSONValue] = ["min_p": 0.05, "n": 2, "guided_json": ["type": "object"]]
            let reply = try await server.post(
                "/v1/chat/completions", Self.chat("q", more), headers: ["Authorization": "Bearer of-the-client"])
            #expect(reply.json["choices"]?.array?.count == 2)
            let request = try #require(seen.withLock { $0.first })
            #expect(request.path == "/v1/chat/completions")
            #expect(request.headers["authorization"] == "Bearer upstream-secret")
            guard case .object(var sent) = Self.chat("q", more) else { return }
            sent["model"] = "canned"
            #expect(Self.body(request) == .object(sent))
        }
    }

    @Test("plain completions and Messages are passed on, too, and streams come event by event")
    func operations() async throws {
        let paths = Mutex<[String]>([])
        try await with(
            1,
            answer: { _, request in
                paths.withLock { $0.append(request.path) }
                return CannedAnswer(["one two three"], parts: 3)
            }
        ) { server, _ in
            let plain = try await server.post("/v1/completions", ["model": "big", "prompt": "p"])
            #expect(plain.json["choices"]?.array?.first?["text"] == "one two three")
            let message: JSONValue = [
                "model": "big", "max_tokens": 5, "messages": [["role": "user", "content": "q"]],
            ]
            #expect(try await server.post("/v1/messages", message).status == 200)
            let streamed = try await server.post("/v1/chat/completions", Self.chat("q", ["stream": true]))
            #expect(streamed.headers["content-type"] == "text/event-stream")
            #expect(streamed.events.last == "[DONE]")
            let parts = streamed.chunks.compactMap { $0["choices"]?.array?.first?["delta"]?["content"]?.string }
            #expect(parts.joined() == "one two three")
            #expect(paths.withLock { $0 } == ["/v1/completions", "/v1/messages", "/v1/chat/completions"])
        }
    }

    @Test(
        "a server that fails before the first byte is replaced by another",
        arguments: [Fault.tooManyRequests, .serverError, .reset, .halfStream])
    func replaced(fault: Fault) async throws {
        let first = Mutex(true)
        let answer: @Sendable (Int, ReceivedRequest) async throws -> CannedAnswer = { number, _ in
            let isFirst = first.withLock { first in
                defer { first = false }
                return first
            }
            // A connection that is closed without an answer is tried once more, for it may have been an idle one.
            return CannedAnswer(["whole"], fault: isFirst || (fault == .reset && number == 0) ? fault : nil)
        }
        try await with(2, answer: answer) { server, endpoints in
            for number in 0..<6 {
                let reply = try await server.post("/v1/chat/completions", Self.chat("question \(number)"))
                #expect(reply.status == 200 && Self.text(reply) == "whole", "\(reply.text)")
            }
            #expect(try await Self.gauge("retort_replica_failures_total", server).reduce(0, +) >= 1)
        }
    }

    @Test("a server that is down is left out, and taken in again when it is back")
    func comesBack() async throws {
        try await with(2, answer: { number, _ in CannedAnswer(["from \(number)"]) }) { server, endpoints in
            let port = endpoints[0].port
            try await endpoints[0].close()
            for number in 0..<8 {
                let reply = try await server.post("/v1/chat/completions", Self.chat("question \(number)"))
                #expect(Self.text(reply) == "from 1", "\(reply.text)")
            }
            #expect(try await Self.gauge("retort_replica_healthy", server) == [0, 1])
            let health = try await server.get("/health").json["replicas"]?["big"]
            #expect(health == ["healthy": 1, "all": 2])
            let again = try await FaultyEndpoint(.init(port: port)) { _ in CannedAnswer(["back"]) }
            var texts: Set<String?> = []
            for number in 0..<5000 where !texts.contains("back") {
                texts.insert(
                    Self.text(try await server.post("/v1/chat/completions", Self.chat("question \(number)"))))
                try await Task.sleep(for: .milliseconds(2))
            }
            #expect(texts == ["from 1", "back"])
            #expect(try await Self.gauge("retort_replica_healthy", server) == [1, 1])
            try await again.close()
        }
    }

    @Test(
        "a server that dies in mid-stream: the client is told, and gets no end that looks good",
        arguments: [true, false])
    func midStream(isMessages: Bool) async throws {
        let answer: @Sendable (Int, ReceivedRequest) async throws -> CannedAnswer = { _, _ in
            CannedAnswer(["a long answer"], parts: 6, fault: .halfStream)
        }
        try await with(2, answer: answer) { server, endpoints in
            let path = isMessages ? "/v1/messages" : "/v1/chat/completions"
            let reply = try await server.post(path, Self.chat("q", ["stream": true, "max_tokens": 9]))
            #expect(reply.status == 200 && !reply.text.contains("[DONE]"))
            let last = try #require(reply.text.components(separatedBy: "\n\n").last { !$0.isEmpty })
            #expect(last.contains("broke off") && last.hasPrefix(isMessages ? "event: error\ndata: {" : "data: {"))
            var requests = 0
            for endpoint in endpoints { requests += try await endpoint.tally().requests }
            #expect(requests == 1)
            #expect(try await Self.gauge("retort_replica_failures_total", server).reduce(0, +) == 1)
        }
    }

    @Test("with all servers down a request says which, why, and what to do")
    func allDown() async throws {
        try await with(
            2, options: { $0.restSeconds = 600 }, answer: { _, _ in CannedAnswer([""]) }
        ) { server, endpoints in
            let ports = endpoints.map(\.port)
            for endpoint in endpoints { try await endpoint.close() }
            let first = try await server.post("/v1/chat/completions", Self.chat("q"))
            #expect(first.status == 502 && first.json["error"]?["code"] == "replica_failed", "\(first.text)")
            let later = try await server.post("/v1/chat/completions", Self.chat("q"))
            #expect(later.status == 503 && later.json["error"]?["code"] == "no_replica", "\(later.text)")
            #expect(later.headers["retry-after"].flatMap { Int($0) } ?? 0 > 1)
            for reply in [first, later] {
                for port in ports { #expect(reply.message.contains("127.0.0.1:\(port)"), "\(reply.message)") }
                #expect(reply.message.contains("big") && reply.message.contains("up"))
                #expect(reply.message.components(separatedBy: "127.0.0.1").count == 3, "\(reply.message)")
            }
            #expect(try await server.get("/health").json["replicas"]?["big"] == ["healthy": 0, "all": 2])
        }
    }

    @Test("what all servers refuse, the client gets as they said it; what one finds wrong is not its fault")
    func refusals() async throws {
        try await with(
            2,
            answer: { _, request in
                Self.body(request)["max_tokens"] == 1
                    ? .refusal(400, "max_tokens is too small") : .refusal(429, "too much at once", retryAfter: 0.01)
            }
        ) { server, endpoints in
            let wrong = try await server.post("/v1/chat/completions", Self.chat("q", ["max_tokens": 1]))
            #expect(wrong.status == 400 && wrong.message == "max_tokens is too small")
            #expect(try await Self.gauge("retort_replica_failures_total", server) == [0, 0])
            let busy = try await server.post("/v1/chat/completions", Self.chat("q"))
            #expect(busy.status == 429 && busy.message == "too much at once", "\(busy.text)")
            #expect(busy.headers["retry-after"] == "0.01")
            for endpoint in endpoints { #expect(try await endpoint.tally().requests >= 1) }
        }
    }

    @Test("a key that the servers refuse is not the client's, who is told so")
    func refusedKey() async throws {
        try await with(1, answer: { _, _ in .refusal(401, "wrong key") }) { server, _ in
            let reply = try await server.post("/v1/chat/completions", Self.chat("q"))
            #expect(reply.status == 502 && reply.message.contains("--upstream-key"), "\(reply.text)")
        }
    }

    @Test("a silent server is replaced")
    func silence() async throws {
        // On a busy machine the other server may be silent for as long as a short limit; a longer one then shows it.
        for seconds in [1.0, 10, 100] {
            let replies = Mutex<[String]>([])
            try await with(
                2,
                options: {
                    $0.connectSeconds = seconds
                    $0.silenceSeconds = seconds
                    $0.failuresToRest = 1
                    $0.restSeconds = 600
                },
                answer: { number, _ in CannedAnswer(["from \(number)"], parts: 1, fault: number == 0 ? .stall : nil) }
            ) { server, endpoints in
                for number in 0..<6 {
                    let body = Self.chat("question \(number)", ["stream": true])
                    let reply = try await server.post("/v1/chat/completions", body)
                    replies.withLock { $0.append(reply.text) }
                }
                #expect(try await endpoints[0].tally().requests >= 1)
            }
            if replies.withLock({ $0.allSatisfy { $0.contains("from 1") } }) { return }
        }
        Issue.record("a silent server was not replaced within 100 seconds")
    }

    @Test("an answer that takes too long ends")
    func timeLimit() async throws {
        try await with(
            1, options: { $0.requestSeconds = 0.2 }, answer: { _, _ in CannedAnswer(["late"], parts: 1, fault: .stall) }
        ) { server, _ in
            let reply = try await server.post("/v1/chat/completions", Self.chat("q"))
            #expect(reply.status == 504 && reply.message.contains("longer than 0.2 s"), "\(reply.text)")
        }
    }

    @Test("requests beyond what the servers take wait, and beyond that are refused")
    func bounds() async throws {
        let isOpen = Mutex(false)
        let arrived = Mutex(0)
        try await with(
            1, concurrency: 1, options: { $0.waiting = 1 },
            answer: { _, _ in
                arrived.withLock { $0 += 1 }
                while !isOpen.withLock({ $0 }) { try await Task.sleep(for: .milliseconds(1)) }
                return CannedAnswer(["done"])
            }
        ) { server, _ in
            async let first = server.post("/v1/chat/completions", Self.chat("1"))
            while arrived.withLock({ $0 }) < 1 { try await Task.sleep(for: .milliseconds(1)) }
            async let second = server.post("/v1/chat/completions", Self.chat("2"))
            while try await Self.gauge("retort_replica_waiting", server) != [1] {
                try await Task.sleep(for: .milliseconds(1))
            }
            let third = try await server.post("/v1/chat/completions", Self.chat("3"))
            #expect(third.status == 503 && third.message.contains("wait for a replica"), "\(third.text)")
            #expect(third.headers["retry-after"] == "1")
            isOpen.withLock { $0 = true }
            #expect(try await (first.status, second.status) == (200, 200))
        }
    }

    @Test("when a client leaves, the server behind stops as well")
    func cancellation() async throws {
        let gated = GatedModel()
        var behind = ModelCatalogue()
        try behind.add("gated", gated)
        try await TestServer.run(behind) { upstream in
            var front = ModelCatalogue()
            try front.add(Replicas("big", [Endpoint(upstream.url("/v1"), model: "")]))
            try await TestServer.run(front) { server in
                let work = Task { try await server.post("/v1/chat/completions", Self.chat("q")) }
                try await gated.reach(started: 1)
                work.cancel()
                try await gated.reach(started: 1, cancelled: 1)
                _ = await work.result
                let streamed = Task { try await server.post("/v1/chat/completions", Self.chat("q", ["stream": true])) }
                try await gated.reach(started: 2, cancelled: 1)
                streamed.cancel()
                try await gated.reach(started: 2, cancelled: 2)
                _ = await streamed.result
            }
        }
    }

    @Test("a server that is not told what its model is called asks for it; several are a choice it does not make")
    func names() async throws {
        let models = Mutex<[String]>([])
        var behind = ModelCatalogue()
        try behind.add("a", GatedModel())
        try behind.add("b", GatedModel())
        let endpoint = try await FaultyEndpoint { request in
            models.withLock { $0.append(Self.body(request)["model"]?.string ?? "") }
            return CannedAnswer(["x"])
        }
        try await TestServer.run(behind) { upstream in
            var front = ModelCatalogue()
            try front.add(Replicas("one", [Endpoint(endpoint.address, model: "")]))
            try front.add(Replicas("big", [Endpoint(upstream.url("/v1"), model: "")]))
            try await TestServer.run(front) { server in
                let one = try await server.chat("q", model: "one")
                #expect(one.status == 200, "\(one.text)")
                #expect(models.withLock { $0 } == ["canned"])
                let several = try await server.chat("q", model: "big")
                #expect(several.status == 502 && several.message.contains("--upstream-model big="), "\(several.text)")
                #expect(try await server.chat("q", model: "other").status == 404)
                let listed = try await server.get("/v1/models").json["data"]?.array
                #expect(listed?.compactMap { $0["id"]?.string } == ["one", "big"])
                #expect(listed?.last?["retort"] == ["kind": "replicas", "replicas": 1])
            }
        }
        try await endpoint.close()
    }
}
