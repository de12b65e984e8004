import RetortAgents
import RetortCore
import RetortLLM
import RetortRemote
import RetortServer
import Testing

@Suite("Retort's own client against the server")
struct RemoteClientTests {
    private static let question = GenerationRequest(
        messages: [Message(.user, "What is the birthplace of the mayor of Tarn?")], maximumTokens: 24)

    private static func client(_ server: TestServer, model: String = "1m", streams: Bool = true) throws -> RemoteModel {
        let endpoint = try Endpoint(server.url("/v1"), model: model, grammar: .structuredOutputs)
        return try RemoteModel([endpoint], options: RemoteOptions(streams: streams, asksForTokenIDs: true))
    }

    @Test("the token ids that come over are those of the model in this process", arguments: [true, false])
    func tokenIDs(streams: Bool) async throws {
        let local = try LocalModel(folder: seedling, identity: "here")
        try await TestServer.run(try TestServer.seedlingCatalogue()) { server in
            let remote = try Self.client(server, streams: streams)
            for prefill in ["", "Thought: The mayor"] {
                var request = Self.question
                request.prefill = prefill
                let there = try #require(try await remote.complete(request).first)
                request.report = .ids
                let here = try #require(try await local.complete(request).first)
                #expect(there.tokens != nil && there.tokens == here.tokens)
                #expect(there.text == here.text)
            }
        }
    }

    @Test("how probable a prompt's tokens are comes over as it is here, streamed or not")
    func promptReport() async throws {
        let local = try LocalModel(folder: seedling, identity: "here")
        let tokens = try Checkpoint(folder: seedling).tokenizer.encode(
            "The mayor of Tarn was born in", specials: .asText)
        var request = GenerationRequest(messages: [], maximumTokens: 1, plain: .tokens(tokens))
        request.promptReport = 3
        let asked = request
        let here = try #require(try await local.complete(asked).first).promptReport
        try await TestServer.run(try TestServer.seedlingCatalogue()) { server in
            for streams in [true, false] {
                let there = try await Self.client(server, streams: streams).complete(asked).first
                #expect(there?.promptReport.map(\.id) == here.map(\.id))
                #expect(there?.promptReport.map(\.logprob) == here.map(\.logprob))
            }
            func ask(_ count: JSONValue, streamed: Bool = false) async throws -> TestServer.Reply {
                try await server.post(
                    "/v1/completions",
                    [
                        "model": "1m", "prompt": "a b", "max_tokens": 1, "prompt_logprobs": count,
                        "stream": .bool(streamed),
                    ])
            }
            let reply = try await ask(1)
            let entries = reply.json["choices"]?.array?.first?["prompt_logprobs"]?.array ?? []
            #expect(entries.count > 1 && entries.first == .null, "\(reply.text)")
            for entry in entries.dropFirst() {
                let told = try #require(entry.object)
                #expect((1...2).contains(told.count) && told.values.contains { $0["rank"] == 1 }, "\(entry)")
                #expect(
                    told.values.allSatisfy {
                        $0["decoded_token"]?.string != nil && Double($0["logprob"]?.text ?? "") ?? 1 <= 0
                    })
            }
            for refused in [
                try await ask(-1), try await ask(21), try await ask(.bool(true)), try await ask(0, streamed: true),
            ] {
                #expect(refused.status == 400 && refused.message.contains("prompt_logprobs"), "\(refused.text)")
            }
        }
    }

    @Test("an agent, which has no tokens of one prompt, is asked without")
    func agents() async throws {
        struct Silent: LanguageModel {
            let identity = "silent"
            func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
                AsyncThrowingStream { continuation in
                    continuation.yield(.finished(sample: 0, Completion(text: "final_answer(4)", finish: .endOfTurn)))
                    continuation.finish()
                }
            }
        }
        let agent = ServedAgent(identity: "silent") { _, _ in
            Rollout(policy: ChainOfThought(model: Silent(), view: .init(instructions: .brief)), maximumSteps: 1) {
                ToolEnvironment([])
            }
        }
        var catalogue = ModelCatalogue()
        try catalogue.add("agent", agent)
        try await TestServer.run(catalogue) { server in
            var request = Self.question
            request.messages = [Message(.user, "2 + 2?")]
            let error = await #expect(throws: RemoteError.self) {
                try await Self.client(server, model: "agent").complete(request)
            }
            // The next thing it has no use for: it was asked again without token ids.
            #expect("\(String(describing: error))".contains("max_tokens"))
        }
    }

    @Test("a grammar that is sent is kept, however unlikely its texts are")
    func grammars() async throws {
        let schema = try JSONSchema([
            "type": "object", "required": ["correct"], "additionalProperties": false,
            "properties": ["correct": ["type": "boolean"], "votes": ["type": "integer", "minimum": 0]],
        ])
        try await TestServer.run(try TestServer.seedlingCatalogue()) { server in
            let remote = try Self.client(server)
            var request = Self.question
            request.maximumTokens = 96
            request.grammar = .oneOf([.text("xylophone"), .text("quartz")])
            let chosen = try await remote.complete(request)[0].text
            #expect(["xylophone", "quartz"].contains(chosen))
            let held = ConstrainedModel(remote, to: .json(schema))
            let text = try await held.complete(request)[0].text
            let value = try ExactJSON.value(of: text)
            #expect(schema.fault(in: value) == nil, "\(text)")
        }
    }
}
