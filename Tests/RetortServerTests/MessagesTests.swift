import RetortCore
import RetortServer
import Synchronization
import Testing

@Suite("Anthropic's Messages")
struct MessagesTests {
    private let short =
        #""model":"1m","max_tokens":6,"temperature":0,"messages":[{"role":"user","content":"What is 3 + 4?"}]"#

    @Test("an answer says the same as that of a chat, in Anthropic's form")
    func whole() async throws {
        try await TestServer.run(TestServer.seedlingCatalogue()) { server in
            let chat = try await server.send(server.request("POST", "/v1/chat/completions", "{\(short)}"))
            let reply = try await server.send(server.request("POST", "/v1/messages", "{\(short)}"))
            #expect(reply.status == 200)
            #expect(reply.json["type"] == "message")
            #expect(
                reply.json["content"]?.array?.first?["text"]
                    == chat.json["choices"]?.array?.first?["message"]?["content"])
            #expect(reply.json["usage"]?["input_tokens"] == chat.json["usage"]?["prompt_tokens"])
            #expect(reply.json["usage"]?["output_tokens"] == chat.json["usage"]?["completion_tokens"])
            let length = chat.json["choices"]?.array?.first?["finish_reason"] == "length"
            #expect(reply.json["stop_reason"] == (length ? "max_tokens" : "end_turn"))
        }
    }

    @Test("a stream's events are named, and their pieces are the answer")
    func stream() async throws {
        try await TestServer.run(TestServer.seedlingCatalogue()) { server in
            let whole = try await server.send(server.request("POST", "/v1/messages", "{\(short)}"))
            let reply = try await server.send(server.request("POST", "/v1/messages", "{\(short),\"stream\":true}"))
            let events = reply.text.components(separatedBy: "\n\n").filter { !$0.isEmpty }
            let values = events.compactMap { event -> JSONValue? in
                let lines = event.split(separator: "\n")
                guard lines.count == 2, let value = try? ExactJSON.value(of: String(lines[1].dropFirst(6))),
                    lines[0] == "event: \(value["type"]?.string ?? "")"
                else { return nil }
                return value
            }
            #expect(values.count == events.count)
            #expect(values.first?["type"] == "message_start")
            #expect(values.last?["type"] == "message_stop")
            #expect(
                values.compactMap { $0["delta"]?["text"]?.string }.joined()
                    == whole.json["content"]?.array?.first?["text"]?.string)
            #expect(values.dropLast().last?["usage"] == whole.json["usage"])
        }
    }

    /// Says a text, and keeps what it was asked.
    private final class Calling: LanguageModel {
        let identity = "calling"
        private let asked = Mutex<GenerationRequest?>(nil)
        private let text: String

        init(_ text: String) { self.text = text }

        var request: GenerationRequest? { asked.withLock { $0 } }

        func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
            asked.withLock { $0 = request }
            return AsyncThrowingStream { [text] continuation in
                let usage = Usage(promptTokens: 10, completionTokens: 5)
                continuation.yield(.text(sample: 0, text))
                continuation.yield(.finished(sample: 0, Completion(text: text, finish: .endOfTurn, usage: usage)))
                continuation.finish()
            }
        }
    }

    @Test("tools, results and calls", arguments: [false, true])
    func tools(isStreamed: Bool) async throws {
        let body = """
            {"model":"m","max_tokens":60,"stream":\(isStreamed),"system":[{"type":"text","text":"Be brief."}],"messages":[
            {"role":"user","content":"Where?"},{"role":"assistant","content":[{"type":"text","text":"I look."},
            {"type":"tool_use","id":"toolu_1","name":"find","input":{"q":"x"}}]},{"role":"user","content":[
            {"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"text","text":"no"}],"is_error":true},
            {"type":"text","text":"Again."}]}],"tools":[{"name":"find","description":"Finds.","input_schema":
            {"type":"object","properties":{"n":{"enum":[1,2]}},"required":["n"]}}],"tool_choice":{"type":"auto"}}
            """
        let call = "<tool_call>\n{\"name\": \"find\", \"arguments\": {\"n\": 1}}\n</tool_call>"
        let model = Calling("<think>Hm.</think>I call.\n\(call)")
        var catalogue = ModelCatalogue()
        try catalogue.add("m", model)
        try await TestServer.run(catalogue) { server in
            let reply = try await server.send(server.request("POST", "/v1/messages", body))
            #expect(reply.status == 200, "\(reply.text)")
            if isStreamed {
                #expect(reply.text.contains(#""thinking":"Hm.""#))
                #expect(reply.text.contains(#""partial_json":"{\"n\": 1}""#))
                #expect(reply.text.contains(#""stop_reason":"tool_use""#))
            } else {
                let content = reply.json["content"]?.array ?? []
                #expect(content.map { $0["type"] } == ["thinking", "text", "tool_use"])
                #expect(content.last?["name"] == "find")
                #expect(content.last?["input"] == ["n": 1])
                #expect(content.last?["id"]?.string?.hasPrefix("toolu_") == true)
                #expect(reply.json["stop_reason"] == "tool_use")
                #expect(reply.json["usage"] == ["input_tokens": 10, "output_tokens": 5])
            }
        }
        let asked = try #require(model.request)
        #expect(asked.messages.map(\.role) == [.system, .user, .assistant, .tool, .user])
        #expect(asked.messages.dropFirst(3).map(\.text) == ["no", "Again."])
        // Chat templates write calls in their own way.
        #expect(asked.messages[2].text == "I look.")
        #expect(asked.messages[2].details?.calls?.contains(#""name": "find""#) == true)
        #expect(asked.tools?.contains(#""parameters": {"type": "object", "properties""#) == true)
    }

    @Test(
        "errors have Anthropic's form and status",
        arguments: [
            (#"{"model":"1m","messages":[{"role":"user","content":"x"}]}"#, 400, "invalid_request_error"),
            (#"{"model":"no","max_tokens":1,"messages":[{"role":"user","content":"x"}]}"#, 404, "not_found_error"),
            (
                #"{"model":"1m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"image"}]}]}"#, 400,
                "invalid_request_error"
            ),
            (
                #"{"model":"1m","max_tokens":1,"messages":[{"role":"user","content":"x"}],"spell":1}"#, 400,
                "invalid_request_error"
            ),
            ("{", 400, "invalid_request_error"),
        ])
    func errors(body: String, status: Int, type: String) async throws {
        try await TestServer.run(TestServer.seedlingCatalogue()) { server in
            let reply = try await server.send(server.request("POST", "/v1/messages", body))
            #expect(reply.status == status)
            #expect(reply.json["type"] == "error")
            #expect(reply.json["error"]?["type"]?.string == type)
        }
    }

    @Test(
        "errors name the parameters that Anthropic's clients send",
        arguments: [
            (#""stop_sequences":3"#, "'stop_sequences'"),
            (#""messages":[{"role":"user","content":[]}]"#, "'messages[0].content'"),
            (#""messages":[{"role":"user","content":"x"},{"role":"user","content":[]}]"#, "'messages[1].content'"),
            (#""messages":[{"role":"user","content":[{"type":"text","text":"x","weight":1}]}]"#, "content[0].weight"),
            (
                #""tools":[{"name":"f","input_schema":{"type":"object","not":{}}}],"tool_choice":{"type":"any"}"#,
                "'tools[0].input_schema'"
            ),
            (
                #""messages":[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"tool_use","id":"t","#
                    + #""name":"f","input":{}}]}]"#, "send their results"
            ),
        ])
    func names(members: String, said: String) async throws {
        try await TestServer.run(TestServer.seedlingCatalogue()) { server in
            // Of two members with one name the last counts.
            let reply = try await server.send(server.request("POST", "/v1/messages", "{\(short),\(members)}"))
            #expect(reply.status == 400)
            #expect(reply.message.contains(said), "\(reply.text)")
        }
    }

    @Test("the key may come as Anthropic's clients send it")
    func key() async throws {
        try await TestServer.run(TestServer.seedlingCatalogue(), options: { $0.keys = APIKeys(["k"]) }) { server in
            let good = try await server.send(
                server.request("POST", "/v1/messages", "{\(short)}", headers: ["x-api-key": "k"]))
            let bad = try await server.send(
                server.request("POST", "/v1/messages", "{\(short)}", headers: ["x-api-key": "j"]))
            #expect(good.status == 200)
            #expect(bad.status == 401)
            #expect(bad.json["error"]?["type"] == "authentication_error")
        }
    }
}
