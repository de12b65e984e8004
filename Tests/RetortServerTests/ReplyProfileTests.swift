import RetortCore
import RetortServer
import Synchronization
import Testing

/// A model whose template is known, that says one text and remembers what it was asked.
private final class ProfiledModel: LanguageModel {
    let identity = "profiled"
    private let text: String
    private let finish: Completion.Finish
    private let reply: ReplyProfile
    private let asked = Mutex<[GenerationRequest]>([])

    init(_ text: String, _ reply: ReplyProfile, finish: Completion.Finish = .endOfTurn) {
        (self.text, self.reply, self.finish) = (text, reply, finish)
    }

    var requests: [GenerationRequest] { asked.withLock { $0 } }

    func profile(of request: GenerationRequest) -> ReplyProfile { reply }

    func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
        asked.withLock { $0.append(request) }
        return AsyncThrowingStream { [finish] continuation in
            var rest = text[...]
            while !rest.isEmpty {
                continuation.yield(.text(sample: 0, String(rest.prefix(3))))
                rest = rest.dropFirst(3)
            }
            continuation.yield(.finished(sample: 0, Completion(text: text, finish: finish)))
            continuation.finish()
        }
    }
}

@Suite("What is known of a model's replies")
struct ReplyProfileTests {
    private static let tools: JSONValue = [["type": "function", "function": ["name": "search", "parameters": [:]]]]

    private func serve(
        _ text: String, _ profile: ReplyProfile, temperature: Double? = nil, finish: Completion.Finish = .endOfTurn,
        _ body: @Sendable (TestServer, ProfiledModel) async throws -> Void
    ) async throws {
        let model = ProfiledModel(text, profile, finish: finish)
        var catalogue = ModelCatalogue()
        try catalogue.add("m", model)
        try await TestServer.run(catalogue, options: { $0.temperature = temperature }) { try await body($0, model) }
    }

    private func ask(_ server: TestServer, _ members: [String: JSONValue]) async throws -> TestServer.Reply {
        let body: [String: JSONValue] = ["model": "m", "messages": [["role": "user", "content": "q"]]]
        return try await server.post("/v1/chat/completions", .object(body.merging(members) { $1 }))
    }

    private static let replies: [(ToolCallForm?, String, String?, Bool)] = [
        (.tagged, "<tool_call>{\"name\": \"search\", \"arguments\": {}}</tool_call>", nil, true),
        (.parameters, #"{"name": "search", "parameters": {}}"#, nil, true),
        (.list, #"[TOOL_CALLS][{"name": "search", "arguments": {}}]"#, nil, true),
        (nil, "So:\n```json\n{\"name\": \"search\", \"arguments\": {}}\n```", "So:", true),
        (.tagged, #"As in [TOOL_CALLS][{"name": "search", "arguments": {}}]"#, nil, false),
        (.list, "Not <tool_call>{\"name\": \"search\", \"arguments\": {}}</tool_call>", nil, false),
    ]

    @Test("calls are read in the template's form, whole and streamed", arguments: replies)
    func calls(form: ToolCallForm?, text: String, before: String?, isCall: Bool) async throws {
        try await serve(text, ReplyProfile(calls: form)) { server, _ in
            let whole = try await ask(server, ["tools": Self.tools]).json["choices"]?.array?.first
            let names = whole?["message"]?["tool_calls"]?.array?.map { $0["function"]?["name"]?.string }
            #expect(names == (isCall ? ["search"] : nil))
            #expect(whole?["message"]?["content"]?.string == (isCall ? before : text))
            #expect(whole?["finish_reason"] == (isCall ? "tool_calls" : "stop"))
            let chunks = try await ask(server, ["tools": Self.tools, "stream": true]).chunks
            let deltas = chunks.compactMap { $0["choices"]?.array?.first?["delta"] }
            let said = deltas.compactMap { $0["content"]?.string }.joined()
            #expect(said.reversed().drop(while: \.isWhitespace).count == (isCall ? before ?? "" : text).count)
            #expect(deltas.contains { $0["tool_calls"] != nil } == isCall)
        }
    }

    @Test("a call that must be made is held to the template's form")
    func required() async throws {
        try await serve("{}", ReplyProfile(calls: .parameters)) { server, model in
            _ = try await ask(server, ["tools": Self.tools, "tool_choice": "required"])
            let grammar = try #require(model.requests.first?.grammar)
            var matcher = try GrammarMatcher(grammar)
            #expect(matcher.advance(#"{"name": "search", "parameters": {}}"#.utf8) && matcher.isExhausted)
        }
    }

    @Test("the mark behind a single call ends the answer, unless a grammar does, and is not told as a stop")
    func singleCall() async throws {
        let cut = "<tool_call>\n{\"name\": \"search\", \"arguments\": {\"q\": \"</tool_call>\"}}"
        let single: [String: JSONValue] = ["tools": Self.tools, "parallel_tool_calls": false]
        let mark = "\n</tool_call>"
        try await serve(cut, ReplyProfile(calls: .tagged), finish: .stop(mark)) { server, model in
            for isStreamed in [false, true] {
                let reply = try await ask(server, single.merging(["stream": .bool(isStreamed)]) { $1 })
                let choice = (isStreamed ? reply.chunks.last : reply.json)?["choices"]?.array?.first
                #expect(choice?["finish_reason"] == "tool_calls" && choice?["stop_reason"] == .null, "\(reply.text)")
            }
            #expect(model.requests.last?.stops == [mark])
            _ = try await ask(server, single.merging(["tool_choice": "required"]) { $1 })
            #expect(model.requests.last?.stops == [])
            let own = try await ask(server, single.merging(["stop": .string(mark)]) { $1 })
            #expect(own.json["choices"]?.array?.first?["stop_reason"] == .string(mark))
            let message = try await server.post(
                "/v1/messages",
                [
                    "model": "m", "max_tokens": 9, "messages": [["role": "user", "content": "q"]],
                    "tools": [["name": "search", "input_schema": ["type": "object"]]],
                    "tool_choice": ["type": "auto", "disable_parallel_tool_use": true],
                ])
            #expect(message.json["stop_reason"] == "tool_use" && message.json["stop_sequence"] == .null)
        }
    }

    @Test("what an earlier answer said reaches the model: its text, or its refusal")
    func refusals() async throws {
        try await serve("x", ReplyProfile()) { server, model in
            let said: [String: JSONValue] = [
                "role": "assistant", "audio": .null, "function_call": .null, "annotations": [], "tool_calls": .null,
            ]
            let turns: [[String: JSONValue]] = [
                ["content": .null, "refusal": "I will not."], ["content": "Yes.", "refusal": .null],
                ["content": [["type": "text", "text": "Part.", "cache_control": ["type": "ephemeral"]]]],
            ]
            for turn in turns {
                let message = JSONValue.object(said.merging(turn) { $1 })
                let user: JSONValue = ["role": "user", "content": "q"]
                let reply = try await ask(server, ["messages": [user, message, user]])
                #expect(reply.status == 200, "\(reply.text)")
            }
            #expect(model.requests.map { $0.messages[1].text } == ["I will not.", "Yes.", "Part."])
        }
    }

    @Test("a reply whose prompt opens a thought begins in it, whole and streamed")
    func thought() async throws {
        try await serve("\nI think.\n</think>\n\nYes.", ReplyProfile(opensThought: true)) { server, _ in
            let message = try await ask(server, [:]).json["choices"]?.array?.first?["message"]
            #expect(message?["reasoning_content"] == "I think.\n")
            #expect(message?["content"] == "Yes.")
            let deltas = try await ask(server, ["stream": true]).chunks
                .compactMap { $0["choices"]?.array?.first?["delta"] }
            #expect(deltas.compactMap { $0["reasoning_content"]?.string }.joined() == "I think.\n")
            #expect(deltas.compactMap { $0["content"]?.string }.joined() == "Yes.")
        }
    }

    @Test("what the chat template is told reaches the model, and what a chat says besides texts")
    func arguments() async throws {
        try await serve("x", ReplyProfile()) { server, model in
            _ = try await ask(
                server,
                ["chat_template_kwargs": ["style": "short"], "enable_thinking": true])
            let told = try JSONTree.parse(Array(try #require(model.requests.first?.templateArguments).utf8))
            #expect(told["style"]?.string == "short")
            let call: JSONValue = [
                "id": "c1", "type": "function", "function": ["name": "search", "arguments": "{\"b\": 1, \"a\": 2}"],
            ]
            _ = try await ask(
                server,
                [
                    "messages": [
                        ["role": "user", "content": "q"],
                        ["role": "assistant", "content": .null, "tool_calls": [call], "reasoning_content": "Hm."],
                        ["role": "tool", "tool_call_id": "c1", "name": "search", "content": "found"],
                    ]
                ])
            let messages = try #require(model.requests.last?.messages)
            #expect(messages.map(\.text) == ["q", "", "found"])
            #expect(messages[1].details?.reasoning == "Hm.")
            #expect(messages[1].details?.calls?.contains(#"{"name": "search", "arguments": {"b": 1, "a": 2}}"#) == true)
            #expect(messages[2].details == Message.Details(callID: "c1", name: "search"))
        }
    }

    @Test("tokens are drawn as the request says, else as the server was told, else as the model's makers do")
    func sampling() async throws {
        let usual = SamplingDefaults(temperature: 0.6, topP: 0.9, topK: 20)
        try await serve("x", ReplyProfile(sampling: usual)) { server, model in
            _ = try await ask(server, ["seed": 1])
            #expect(model.requests.last?.sampling == Sampling(temperature: 0.6, topP: 0.9, topK: 20, seed: 1))
            _ = try await ask(server, ["seed": 1, "temperature": 0.2, "top_p": 1, "top_k": -1])
            #expect(model.requests.last?.sampling == Sampling(temperature: 0.2, seed: 1))
            _ = try await server.post("/v1/completions", ["model": "m", "prompt": "q", "seed": 1])
            #expect(model.requests.last?.sampling == Sampling(temperature: 0.6, topP: 0.9, topK: 20, seed: 1))
        }
        try await serve("x", ReplyProfile(sampling: usual), temperature: 0.1) { server, model in
            _ = try await ask(server, ["seed": 1])
            #expect(model.requests.last?.sampling == Sampling(temperature: 0.1, topP: 0.9, topK: 20, seed: 1))
        }
        try await serve("x", ReplyProfile()) { server, model in
            _ = try await ask(server, ["seed": 1])
            #expect(model.requests.last?.sampling == Sampling(temperature: 1, seed: 1))
        }
    }
}
