import RetortCore
import RetortRemote
import RetortTesting
import Synchronization
import Testing

@Suite("A faulty endpoint", .timeLimit(.minutes(10)))
struct FaultyEndpointTests {
    private let quick = RemoteOptions(retries: .init(attempts: 20, base: 0.005, cap: 0.02))

    private func chat(_ text: String) -> GenerationRequest { GenerationRequest(messages: [Message(.user, text)]) }

    @Test("a client gets its answer from an endpoint that misbehaves")
    func remote() async throws {
        // snippet: A remote model
        let endpoint = try await FaultyEndpoint(
            .init(faults: [.tooManyRequests, .halfStream, .slowBytes], faultRate: 0.5),
            model: ScriptedModel(always: "a whole reply"))
        let model = try RemoteModel([Endpoint(endpoint.address, model: "canned")])
        let reply = try await model.complete(GenerationRequest(messages: [Message(.user, "Hello")]))
        #expect(reply.map(\.text) == ["a whole reply"])
        try await endpoint.close()
        // end snippet
    }

    @Test("a fault can be one answer's own, and each is counted", arguments: Fault.allCases.filter { $0 != .stall })
    func single(fault: Fault) async throws {
        let count = Mutex(0)
        let endpoint = try await FaultyEndpoint { _ in
            let number = count.withLock { count in
                count += 1
                return count
            }
            return CannedAnswer(["whole"], fault: number == 1 ? fault : nil)
        }
        let model = try RemoteModel([Endpoint(endpoint.address, model: "m")], options: quick)
        #expect(try await model.complete(chat("x")).map(\.text) == ["whole"])
        let tally = try await endpoint.tally()
        #expect(tally.faults == [fault: 1])
        #expect(tally.requests == (fault == .slowBytes ? 1 : 2))
        try await endpoint.close()
    }

    @Test("refusals carry their status, their message and the time to wait")
    func refusals() async throws {
        #expect(CannedAnswer.refusal(429, retryAfter: 2).headers == ["retry-after": "2"])
        #expect(CannedAnswer.refusal(503, retryAfter: 0.5).headers == ["retry-after": "0.5"])
        #expect(CannedAnswer.refusal(503).headers.isEmpty)
        let endpoint = try await FaultyEndpoint { _ in .refusal(401, "no such key") }
        let model = try RemoteModel([Endpoint(endpoint.address, model: "m")], options: quick)
        let error = await #expect(throws: RemoteError.self) { try await model.complete(chat("x")) }
        #expect("\(error as Any)".contains("no such key"))
        #expect(try await endpoint.tally().requests == 1)
        try await endpoint.close()
    }

    @Test("slow bytes are the same bytes, streamed and whole", arguments: [true, false])
    func slow(streams: Bool) async throws {
        let text = "Zürich 北京 😀 \"quoted\"\nand a second line"
        let endpoint = try await FaultyEndpoint(.init(faults: [.slowBytes], faultRate: 1, pause: 0.001)) { _ in
            CannedAnswer([text], parts: 9)
        }
        var options = quick
        options.streams = streams
        let model = try RemoteModel([Endpoint(endpoint.address, model: "m")], options: options)
        for _ in 0..<3 { #expect(try await model.complete(chat("x")).map(\.text) == [text]) }
        #expect(try await endpoint.tally().faults == [.slowBytes: 3])
        try await endpoint.close()
    }
}
