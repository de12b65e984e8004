import RetortCore
import RetortServer
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

    @Test("tools, results and a call that is demanded")
    func tools() async throws {
        let body = """
            {"model":"1m","max_tokens":60,"temperature":0,"system":[{"type":"text","text":"Be brief."}],"messages":[
            {"role":"user","content":"Where?"},{"role":"assistant","content":[{"type":"text","text":"I look."},
            {"type":"tool_use","id":"toolu_1","name":"find","input":{"q":"x"}}]},{"role":"user","content":[
            {"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"text","text":"no"}],"is_error":true},
            {"type":"text","text":"Again."}]}],"tools":[{"name":"find","description":"Finds.","input_schema":
            {"type":"object","properties":{"n":{"enum":[1,2]}},"required":["n"],"additionalProperties":false}}],
            "tool_choice":{"type":"tool","name":"find"}}
            """
        try await TestServer.run(TestServer.seedlingCatalogue()) { server in
            let reply = try await server.send(server.request("POST", "/v1/messages", body))
            #expect(reply.status == 200, "\(reply.text)")
            let use = reply.json["content"]?.array?.last
            #expect(use?["type"] == "tool_use")
            #expect(use?["name"] == "find")
            #expect([1, 2].contains(use?["input"]?["n"]))
            #expect(reply.json["stop_reason"] == "tool_use")
        }
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
