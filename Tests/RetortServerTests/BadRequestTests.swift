import Foundation
import RetortCore
import RetortServer
import Testing

@Suite("Bad requests")
struct BadRequestTests {
    private static let message: JSONValue = ["role": "user", "content": "hi"]

    private static let call: JSONValue = [
        "role": "assistant", "content": "I look.",
        "tool_calls": [["id": "1", "type": "function", "function": ["name": "f", "arguments": "{}"]]],
    ]
    private static let thought: JSONValue = ["role": "assistant", "content": "So", "reasoning_content": "Hm."]

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
        (
            [
                "messages": [
                    ["role": "assistant", "content": "x", "reasoning": "a", "reasoning_content": "b"], message,
                ]
            ], "messages[0].reasoning_content", "mean the same and differ"
        ),
        (["messages": [message, call]], "messages[1].tool_calls", "send their results"),
        (["messages": [message, thought]], "messages[1].reasoning_content", "would be lost"),
        (
            ["messages": [["role": "assistant", "content": "x", "function_call": ["name": "f"]], message]],
            "messages[0].function_call", "use 'tool_calls'"
        ),
        (
            ["messages": [["role": "assistant", "content": "x", "audio": ["id": "a"]], message]], "messages[0].audio",
            "reads text"
        ),
        (
            ["messages": [["role": "assistant", "content": "x", "refusal": "y"], message]], "messages[0].refusal",
            "has both"
        ),
        (
            ["messages": [["role": "user", "content": [["type": "text", "text": "x", "weight": 1]]]]],
            "messages[0].content[0].weight", "no known parameter"
        ),
        (
            ["stream": true, "stream_options": ["continuous_usage_stats": true]],
            "stream_options.continuous_usage_stats", "last chunk"
        ),
        (["n": 0], "n", "from 1 to 64"),
        (["n": 1.5], "n", "whole number"),
        (["n": true], "n", "whole number"),
        (["temperature": -1], "temperature", "from 0.0 to 2.0"),
        (["temperature": "hot"], "temperature", "must be a number"),
        (["top_p": 1.1], "top_p", "from 0.0 to 1.0"),
        (["max_tokens": 0], "max_tokens", "at least 1"),
        (["max_completion_tokens": 1.5], "max_completion_tokens", "at least 1"),
        (["max_tokens": 2, "max_completion_tokens": 3], "max_tokens", "mean the same and differ"),
        (
            ["enable_thinking": false, "chat_template_kwargs": ["enable_thinking": true]],
            "chat_template_kwargs.enable_thinking", "mean the same and differ"
        ),
        (["stop": [1]], "stop", "array of strings"),
        (["stop": ""], "stop", "no empty text"),
        (["seed": 0.5], "seed", "whole number"),
        (["stream": "yes"], "stream", "true or false"),
        (["stream_options": ["include_usage": true]], "stream_options", "only for 'stream'"),
        (["top_logprobs": 2], "top_logprobs", "only for 'logprobs'"),
        (["logprobs": true, "top_logprobs": 21], "top_logprobs", "from 0 to 20"),
        (["tools": [["type": "function"]]], "tools[0]", "must be"),
        (["tools": [["type": "function", "function": ["name": "f"]]]], "messages", "no place for them"),
        (["tools": [["type": "function", "function": ["name": "find it"]]]], "tools[0].function.name", "letters"),
        (["tools": [["type": "function", "function": ["name": "a>b"]]]], "tools[0].function.name", "letters"),
        (["tools": [["type": "function", "function": ["name": "f\u{301}"]]]], "tools[0].function.name", "letters"),
        (
            [
                "tools": [
                    ["type": "function", "function": ["name": "maps.find"]],
                    ["type": "function", "function": ["name": "maps.find"]],
                ]
            ], "tools[1].function.name", "another"
        ),
        (["tool_choice": "required"], "tool_choice", "there are no 'tools'"),
        (["chat_template_kwargs": ["enable_thinking": true]], "messages", "does not know 'enable_thinking'"),
        (["enable_thinking": true], "messages", "does not know 'enable_thinking'"),
        (["chat_template_kwargs": ["messages": []]], "chat_template_kwargs.messages", "cannot be set"),
        (["chat_template_kwargs": [1]], "chat_template_kwargs", "must be an object"),
        (["enable_thinking": "no"], "enable_thinking", "true or false"),
        (["tool_choice": "any"], "tool_choice", "\"required\""),
        (
            [
                "tools": [["type": "function", "function": ["name": "f"]]],
                "tool_choice": ["type": "function", "function": ["name": "g"]],
            ], "tool_choice", "none of 'tools'"
        ),
        (
            [
                "tools": [
                    [
                        "type": "function",
                        "function": [
                            "name": "f",
                            "parameters": ["type": "object", "properties": ["a": ["enum": []]], "required": ["a"]],
                        ],
                    ]
                ], "tool_choice": "required",
            ], "tools[0].function.parameters", "no answer can be valid"
        ),
        (["response_format": ["type": "xml"]], "response_format.type", "text, json_object or json_schema"),
        (
            [
                "response_format": [
                    "type": "json_schema", "json_schema": ["schema": ["type": "string", "contentEncoding": "base64"]],
                ]
            ],
            "response_format.json_schema.schema", "'contentEncoding' is not supported"
        ),
        (["structured_outputs": ["json": ["enum": []]]], "structured_outputs", "no answer can be valid"),
        (["structured_outputs": ["json": false]], "structured_outputs", "no answer can be valid"),
        (
            [
                "structured_outputs": [
                    "json": ["type": "object", "properties": ["a": false], "required": ["a"]]
                ]
            ], "structured_outputs", "no answer can be valid"
        ),
        (
            [
                "structured_outputs": [
                    "json": ["type": "object", "required": ["a"], "additionalProperties": false]
                ]
            ], "structured_outputs", "no answer can be valid"
        ),
        (
            ["structured_outputs": ["json": ["type": "string", "format": "iri"]]], "structured_outputs.json",
            "'format: iri'"
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
                "stop": .null, "tools": [], "enable_thinking": false,
                "chat_template_kwargs": ["enable_thinking": false], "tool_choice": "auto", "max_tokens": 4,
                "max_completion_tokens": 4, "seed": -3,
            ]
            #expect(try await server.chat("hi", fine).status == 200)
        }
    }

    @Test("what a client says is told and logged in one short line")
    func echoes() async throws {
        let book = LogBook()
        try await TestServer.run(try TestServer.seedlingCatalogue(), logger: book.logger) { server in
            for name in [String(repeating: "x", count: 100_000), "a\nlevel=info forged\u{1b}[31m\u{2028}b"] {
                let reply = try await server.chat("hi", model: name)
                #expect(reply.status == 404)
                #expect(reply.message.count < 1000)
                let stranger = try await server.chat("hi", [name: 1])
                #expect(stranger.status == 400)
                #expect(stranger.message.count < 3000)
                for said in [reply.message, stranger.message] + book.lines.filter({ $0.contains("no model") }) {
                    #expect(said.count < 4000)
                    #expect(!said.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x2028 })
                }
            }
        }
    }

    @Test("a server without a key on this machine is asked by its address or as localhost, never in another's name")
    func rebinding() async throws {
        try await TestServer.run(try TestServer.seedlingCatalogue()) { server in
            for (host, status) in [
                ("evil.example", 421), ("evil.example:80", 421), ("localhost.evil.example", 421),
                ("127.0.0.1.nip.io", 421),
                ("localhost", 200), ("LOCALHOST:1", 200), ("[::1]:8000", 200), ("127.0.0.1", 200), ("192.168.1.5", 200),
            ] {
                let reply = try await server.get("/v1/models", headers: ["Host": host])
                #expect(reply.status == status, "\(host)")
            }
        }
        try await TestServer.run(
            try TestServer.seedlingCatalogue(), options: { $0.keys = APIKeys(["sesame"]) }
        ) { server in
            let headers = ["Host": "models.example", "Authorization": "Bearer sesame"]
            let reply = try await server.get("/v1/models", headers: headers)
            #expect(reply.status == 200)
        }
    }

    @Test("more tokens than the server gives are cut to what it gives")
    func tokens() async throws {
        try await TestServer.run(try TestServer.seedlingCatalogue(), options: { $0.maximumTokens = 3 }) { server in
            let reply = try await server.chat("hi", ["max_tokens": 1_000_000])
            #expect(reply.status == 200)
            #expect(reply.json["usage"]?["completion_tokens"] == 3)
        }
    }

    @Test("what is no JSON, too long, of another type or elsewhere has its own status")
    func statuses() async throws {
        try await TestServer.run(try TestServer.seedlingCatalogue(), options: { $0.maximumBodyBytes = 2000 }) {
            server in
            let path = "/v1/chat/completions"
            for body in ["", "{", "[]", "{\"model\": \"1m\"} x", "{\"model\": \"\u{0}\"}", #"{"x":"\ud83d"}"#] {
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
            let long: JSONValue = ["model": "1m", "prompt": .string(String(repeating: "word ", count: 3000))]
            let tooLong = try await server.post("/v1/completions", long)
            #expect(tooLong.json["error"]?["param"] == "prompt")
            #expect(tooLong.json["error"]?["code"] == "context_length_exceeded")
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
