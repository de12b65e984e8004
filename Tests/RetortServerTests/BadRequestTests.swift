import Foundation
import RetortCore
import RetortServer
import Testing

@Suite("Bad requests")
struct BadRequestTests {
    private static let message: JSONValue = ["role": "user", "content": "hi"]

    /// Members that replace or join those of a good chat, what is at fault, and part of what is said.
    private static let faults: [(members: [String: JSONValue], param: String, said: String)] = [
        (["model": .null], "model", "is missing"),
        (["model": 3], "model", "must be a string"),
        (["messages": []], "messages", "at least one"),
        (["messages": "hi"], "messages", "must be an array"),
        (["messages": ["hi"]], "messages[0]", "must be an object"),
        (["messages": [["role": "robot", "content": "x"]]], "messages[0].role", "not 'robot'"),
        (["messages": [["role": "user"]]], "messages[0].content", "is missing"),
        (["messages": [message, ["role": "user", "content": 4]]], "messages[1].content", "string or an array"),
        (
            ["messages": [["role": "user", "content": [["type": "image_url", "image_url": "x"]]]]],
            "messages[0].content[0].type", "reads text"
        ),
        (["n": 0], "n", "from 1 to 64"),
        (["n": 1.5], "n", "whole number"),
        (["n": true], "n", "whole number"),
        (["temperature": -1], "temperature", "from 0.0 to 2.0"),
        (["temperature": "hot"], "temperature", "must be a number"),
        (["top_p": 1.1], "top_p", "from 0.0 to 1.0"),
        (["max_tokens": 0], "max_tokens", "from 1 to"),
        (["max_completion_tokens": 1_000_000], "max_completion_tokens", "from 1 to"),
        (["stop": [1]], "stop", "array of strings"),
        (["stop": ""], "stop", "no empty text"),
        (["seed": 0.5], "seed", "whole number"),
        (["stream": "yes"], "stream", "true or false"),
        (["stream_options": ["include_usage": true]], "stream_options", "only for 'stream'"),
        (["top_logprobs": 2], "top_logprobs", "only for 'logprobs'"),
        (["logprobs": true, "top_logprobs": 21], "top_logprobs", "from 0 to 20"),
        (["tools": [["type": "function"]]], "tools[0]", "must be"),
        (["tools": [["type": "function", "function": ["name": "f"]]]], "messages", "no place for them"),
        (["tool_choice": "required"], "tool_choice", "cannot be made"),
        (["response_format": ["type": "xml"]], "response_format.type", "text, json_object or json_schema"),
        (
            [
                "response_format": [
                    "type": "json_schema", "json_schema": ["schema": ["type": "string", "pattern": "a"]],
                ]
            ],
            "response_format.json_schema.schema", "'pattern' is not supported"
        ),
        (["structured_outputs": ["regex": "a+"]], "structured_outputs.regex", "'choice' or 'json'"),
        (["structured_outputs": ["choice": []]], "structured_outputs.choice", "at least one text"),
        (["logit_bias": ["1": 5]], "logit_bias", "not biased"),
        (["presence_penalty": 0.5], "presence_penalty", "not applied"),
        (["continue_final_message": true], "messages", "needs an assistant message last"),
        (["add_generation_prompt": false], "add_generation_prompt", "only for"),
        (["votes": 4], "votes", "for agents"),
        (["temprature": 1], "temprature", "no known parameter"),
    ]

    @Test("each fault is named, with its place")
    func faults() async throws {
        try await TestServer.run(try TestServer.seedlingCatalogue()) { server in
            for (members, param, said) in Self.faults {
                let reply = try await server.chat("hi", members)
                #expect(reply.status == 400, "\(members)")
                let error = reply.json["error"]
                #expect(error?["param"] == .string(param), "\(members): \(reply.text)")
                #expect(error?["type"] == "invalid_request_error")
                #expect(reply.message.contains(said), "\(members): \(reply.message)")
            }
            let long = try await server.chat(String(repeating: "word ", count: 3000))
            #expect(long.status == 400)
            #expect(long.json["error"]?["code"] == "context_length_exceeded")
            // Values that change nothing are taken.
            let fine: [String: JSONValue] = [
                "n": 1, "presence_penalty": 0, "logit_bias": [:], "response_format": ["type": "text"], "user": "me",
                "stop": .null, "tools": [], "tool_choice": "auto", "max_completion_tokens": 4, "seed": -3,
            ]
            #expect(try await server.chat("hi", fine).status == 200)
        }
    }

    @Test("what is no JSON, too long, of another type or elsewhere has its own status")
    func statuses() async throws {
        try await TestServer.run(try TestServer.seedlingCatalogue(), options: { $0.maximumBodyBytes = 2000 }) {
            server in
            let path = "/v1/chat/completions"
            for body in ["", "{", "[]", "{\"model\": \"1m\"} x", "{\"model\": \"\u{0}\"}"] {
                let reply = try await server.send(server.request("POST", path, body))
                #expect(reply.status == 400, "\(body)")
                #expect(reply.message.contains("JSON") || reply.message.contains("missing"), "\(reply.text)")
            }
            let long = "{\"model\": \"\(String(repeating: "x", count: 3000))\"}"
            #expect(try await server.send(server.request("POST", path, long)).status == 413)
            var chunked = server.request("POST", path, "{}")
            chunked.body = .stream(
                AsyncStream { continuation in
                    for _ in 0..<40 { continuation.yield(.init(string: String(repeating: " ", count: 100))) }
                    continuation.finish()
                }, length: .unknown)
            #expect(try await server.send(chunked).status == 413)
            let form = server.request(
                "POST", path, "{}", headers: ["Content-Type": "application/x-www-form-urlencoded"])
            #expect(try await server.send(form).status == 415)
            #expect(try await server.chat("hi", model: "2m").status == 404)
            #expect(try await server.chat("hi", model: "2m").message.contains("the models are 1m"))
            #expect(try await server.get("/v1/nothing").status == 404)
            let wrongMethod = try await server.get(path)
            #expect(wrongMethod.status == 405)
            #expect(wrongMethod.headers["allow"] == "POST")
        }
    }

    @Test("plain prompts' faults are named")
    func completions() async throws {
        try await TestServer.run(try TestServer.seedlingCatalogue()) { server in
            let faults: [(JSONValue, String)] = [
                (.null, "is missing"), ([], "is empty"), ([1, "x"], "mixes"), ([1.5], "mixes"),
                ([123_456_789], "no token"),
                (["a": 1], "must be a text"), ("", "it is empty"),
            ]
            for (prompt, said) in faults {
                let reply = try await server.post("/v1/completions", ["model": "1m", "prompt": prompt])
                #expect(reply.status == 400, "\(prompt)")
                #expect(reply.message.contains(said), "\(prompt): \(reply.message)")
            }
            let echo = try await server.post("/v1/completions", ["model": "1m", "prompt": "a", "echo": true])
            #expect(echo.status == 400)
        }
    }

    @Test("without a valid key nothing is told but health; keys and prompts stay out of errors")
    func keys() async throws {
        try await TestServer.run(try TestServer.seedlingCatalogue(), options: { $0.keys = APIKeys(["sesame"]) }) {
            server in
            for header in [nil, "Bearer wrong", "sesame", "Basic sesame", "Bearer "] {
                let reply = try await server.get("/v1/models", headers: header.map { ["Authorization": $0] } ?? [:])
                #expect(reply.status == 401)
                #expect(reply.json["error"]?["code"] == "invalid_api_key")
                #expect(!reply.text.contains("sesame"))
            }
            #expect(try await server.chat("hi").status == 401)
            #expect(try await server.get("/metrics").status == 401)
            let health = try await server.get("/health")
            #expect(health.status == 200)
            #expect(!health.text.contains("1m"))
            let models = try await server.get("/v1/models", headers: ["Authorization": "Bearer sesame"])
            #expect(models.json["data"]?.array?.first?["id"] == "1m")
        }
    }
}
