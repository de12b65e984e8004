import Foundation
import RetortCore
import RetortLLM
import RetortServer
import Testing

@Suite("Chats over HTTP")
struct ChatTests {
    private func content(_ reply: TestServer.Reply, _ choice: Int = 0) -> String? {
        reply.json["choices"]?.array?[choice]["message"]?["content"]?.string
    }

    @Test("a chat is answered as the model in this process answers it, whole and streamed")
    func same() async throws {
        let model = try LocalModel(folder: seedling)
        let expected = try await model.complete(
            GenerationRequest(messages: [Message(.user, "What is 2 + 2?")], maximumTokens: 12))[0]
        try await TestServer.run(try TestServer.seedlingCatalogue()) { server in
            let whole = try await server.chat("What is 2 + 2?")
            #expect(whole.status == 200)
            #expect(content(whole) == expected.text)
            #expect(whole.json["object"] == "chat.completion")
            #expect(whole.json["model"] == "1m")
            let usage = whole.json["usage"]
            #expect(usage?["prompt_tokens"] == .integer(expected.usage.promptTokens))
            #expect(usage?["completion_tokens"] == .integer(expected.usage.completionTokens))
            let parts: JSONValue = [["type": "text", "text": "What is "], ["type": "text", "text": "2 + 2?"]]
            let inParts = try await server.chat("", ["messages": [["role": "user", "content": parts]]])
            #expect(content(inParts) == expected.text)

            let stream = try await server.chat(
                "What is 2 + 2?", ["stream": true, "stream_options": ["include_usage": true]])
            #expect(stream.headers["content-type"]?.hasPrefix("text/event-stream") == true)
            #expect(stream.events.last == "[DONE]")
            let deltas = stream.chunks.compactMap { $0["choices"]?.array?.first?["delta"] }
            #expect(deltas.first?["role"] == "assistant")
            #expect(deltas.compactMap { $0["content"]?.string }.joined() == expected.text)
            #expect(stream.chunks.dropLast().last?["choices"]?.array?.first?["finish_reason"] == "length")
            #expect(stream.chunks.last?["choices"] == [])
            #expect(stream.chunks.last?["usage"] == usage)
            #expect(Set(stream.chunks.compactMap { $0["id"]?.string }).count == 1)
        }
    }

    @Test("samples follow their seed, differ from each other, and keep apart in a stream")
    func samples() async throws {
        try await TestServer.run(try TestServer.seedlingCatalogue()) { server in
            let members: [String: JSONValue] = ["n": 3, "temperature": 1.2, "seed": 7]
            let first = try await server.chat("hello", members)
            let texts = (0..<3).map { content(first, $0) ?? "" }
            #expect(Set(texts).count == 3)
            let again = try await server.chat("hello", members)
            #expect((0..<3).map { content(again, $0) ?? "" } == texts)
            let stream = try await server.chat("hello", members.merging(["stream": true]) { $1 })
            var streamed = ["", "", ""]
            for choice in stream.chunks.compactMap({ $0["choices"]?.array?.first }) {
                guard case .integer(let index) = choice["index"] else { continue }
                streamed[index] += choice["delta"]?["content"]?.string ?? ""
            }
            #expect(streamed == texts)
        }
    }

    @Test("an assistant message last is gone on with, in our way and in vLLM's")
    func prefill() async throws {
        let model = try LocalModel(folder: seedling)
        let expected = try await model.complete(
            GenerationRequest(
                messages: [Message(.user, "hello")], prefill: "Thought: the", maximumTokens: 12))[0].text
        try await TestServer.run(try TestServer.seedlingCatalogue()) { server in
            let messages: JSONValue = [
                ["role": "user", "content": "hello"], ["role": "assistant", "content": "Thought: the"],
            ]
            #expect(content(try await server.chat("", ["messages": messages])) == expected)
            let vllm = try await server.chat(
                "", ["messages": messages, "continue_final_message": true, "add_generation_prompt": false])
            #expect(content(vllm) == expected)
            let anew = try await server.chat("", ["messages": messages, "add_generation_prompt": true])
            #expect(anew.status == 200)
            #expect(content(anew) != expected)
        }
    }

    @Test("a stop text ends the answer and is named")
    func stops() async throws {
        try await TestServer.run(try TestServer.seedlingCatalogue()) { server in
            let whole = try #require(content(try await server.chat("hello")))
            let stop = String(whole.dropFirst(3).prefix(2))
            let stopped = try await server.chat("hello", ["stop": [.string(stop), "never there"]])
            let choice = stopped.json["choices"]?.array?.first
            #expect(choice?["finish_reason"] == "stop")
            #expect(choice?["stop_reason"] == .string(stop))
            #expect(whole.hasPrefix(content(stopped).map { $0 + stop } ?? "?"))
        }
    }

    @Test("log-probabilities and token ids come whole and streamed alike")
    func reports() async throws {
        try await TestServer.run(try TestServer.seedlingCatalogue()) { server in
            let members: [String: JSONValue] = ["logprobs": true, "top_logprobs": 3, "return_token_ids": true]
            let whole = try await server.chat("hello", members)
            let choice = try #require(whole.json["choices"]?.array?.first)
            let entries = try #require(choice["logprobs"]?["content"]?.array)
            #expect(entries.count == 12)
            for entry in entries {
                let top = entry["top_logprobs"]?.array ?? []
                #expect(top.count == 3)
                #expect(top.first?["logprob"] == entry["logprob"])
            }
            #expect(choice["token_ids"]?.array?.count == 12)
            #expect((whole.json["prompt_token_ids"]?.array?.count ?? 0) > 3)
            let stream = try await server.chat("hello", members.merging(["stream": true]) { $1 })
            let choices = stream.chunks.compactMap { $0["choices"]?.array?.first }
            #expect(choices.flatMap { $0["token_ids"]?.array ?? [] } == choice["token_ids"]?.array)
            #expect(choices.flatMap { $0["logprobs"]?["content"]?.array ?? [] } == entries)
            #expect(stream.chunks.compactMap { $0["prompt_token_ids"] } == [whole.json["prompt_token_ids"]])
        }
    }

    @Test("plain prompts, alone or several, as text or tokens")
    func completions() async throws {
        try await TestServer.run(try TestServer.seedlingCatalogue()) { server in
            let chat = try await server.chat("hello", ["return_token_ids": true])
            let prompt = try #require(chat.json["prompt_token_ids"])
            let plain = try await server.post(
                "/v1/completions",
                ["model": "1m", "prompt": [prompt, "One, two,"], "max_tokens": 12, "temperature": 0, "logprobs": 2])
            #expect(plain.status == 200)
            let choices = try #require(plain.json["choices"]?.array)
            #expect(choices.count == 2)
            #expect(choices[0]["text"]?.string == content(chat))
            #expect(
                choices[1]["logprobs"]?["tokens"]?.array?.compactMap(\.string).joined() == choices[1]["text"]?.string)
            let stream = try await server.post(
                "/v1/completions",
                ["model": "1m", "prompt": "One, two,", "max_tokens": 12, "temperature": 0, "stream": true])
            let text = stream.chunks.compactMap { $0["choices"]?.array?.first?["text"]?.string }.joined()
            #expect(text == choices[1]["text"]?.string)
        }
    }

    @Test("many at once get each their own answer")
    func concurrency() async throws {
        try await TestServer.run(try TestServer.seedlingCatalogue()) { server in
            let questions = (0..<24).map { "Question \($0 % 6): \(String(repeating: "x", count: $0 % 6))" }
            var alone: [String: String] = [:]
            for question in Set(questions) { alone[question] = content(try await server.chat(question)) }
            try await withThrowingTaskGroup(of: (String, String?).self) { group in
                for (number, question) in questions.enumerated() {
                    group.addTask {
                        guard number % 2 == 0 else { return (question, content(try await server.chat(question))) }
                        let stream = try await server.chat(question, ["stream": true])
                        return (
                            question,
                            stream.chunks.compactMap { $0["choices"]?.array?.first?["delta"]?["content"]?.string }
                                .joined()
                        )
                    }
                }
                for try await (question, text) in group { #expect(text == alone[question]) }
            }
        }
    }
}
