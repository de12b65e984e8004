import Foundation
import RetortAgents
import RetortCore
import RetortTesting
import ScriptedRetriever
import Synchronization
import Testing

@testable import RetortRemote

@Suite("Remote model", .timeLimit(.minutes(30)))
struct RemoteModelTests {
    private static let quick = RemoteOptions(
        limits: .init(connect: 60, firstByte: 60, idle: 60, total: 60),
        retries: .init(attempts: 20, base: 0.005, cap: 0.02, patience: 60, failuresToOpen: 50))

    private func chat(_ text: String, samples: Int = 1, prefill: String = "", temperature: Double = 0)
        -> GenerationRequest
    {
        GenerationRequest(
            messages: [Message(.user, text)], prefill: prefill, samples: samples,
            sampling: Sampling(temperature: temperature, seed: 7), stops: ["STOP"], maximumTokens: 50)
    }

    /// Runs with an endpoint, and closes it after.
    private func with<Value>(
        _ options: FaultyEndpoint.Options = .init(),
        answer: @escaping @Sendable (ReceivedRequest) throws -> CannedAnswer,
        _ body: (FaultyEndpoint) async throws -> Value
    ) async throws -> Value {
        let endpoint = try await FaultyEndpoint(options, answer: answer)
        do {
            let value = try await body(endpoint)
            try await endpoint.close()
            return value
        } catch {
            try? await endpoint.close()
            throw error
        }
    }

    private static func count(_ request: ReceivedRequest) -> Int { body(request)["n"].flatMap(\.int) ?? 1 }

    private static func body(_ request: ReceivedRequest) -> JSONValue {
        (try? JSONCoding.decoder.decode(JSONValue.self, from: Data(request.body))) ?? .null
    }

    @Test("samples, finish and usage come back, streamed and whole", arguments: [true, false])
    func plain(streams: Bool) async throws {
        try await with(answer: { request in
            CannedAnswer((0..<Self.count(request)).map { "reply \($0) – é" }, finish: "length")
        }) { endpoint in
            var options = Self.quick
            options.streams = streams
            let model = try RemoteModel([Endpoint(endpoint.address, model: "m")], options: options)
            let completions = try await model.complete(chat("hi", samples: 3))
            #expect(completions.map(\.text) == ["reply 0 – é", "reply 1 – é", "reply 2 – é"])
            #expect(completions.allSatisfy { $0.finish == .length })
            #expect(completions.map(\.usage.completionTokens).reduce(0, +) == 20)
            #expect(completions.map(\.usage.promptTokens).reduce(0, +) == 100)
        }
    }

    @Test("text is shown while it comes, and ends before a stop text the server let through")
    func stops() async throws {
        try await with(answer: { _ in CannedAnswer(["one two STOP three"], parts: 9) }) { endpoint in
            let model = try RemoteModel([Endpoint(endpoint.address, model: "m")], options: Self.quick)
            var (shown, finished) = ("", Completion(text: "", finish: .length))
            for try await event in model.stream(chat("hi")) {
                switch event {
                case .text(_, let text): shown += text
                case .token, .lost: break
                case .finished(_, let completion): finished = completion
                }
            }
            #expect(shown == "one two " && finished.text == shown && finished.finish == .stop("STOP"))
        }
    }

    @Test("whatever an endpoint does wrong, a request ends well", arguments: Fault.allCases)
    func faults(fault: Fault) async throws {
        let options = FaultyEndpoint.Options(faults: [fault], faultRate: 0.5, seed: 3)
        try await with(
            options,
            answer: { request in
                CannedAnswer((0..<Self.count(request)).map { _ in "a whole reply" })
            }
        ) { endpoint in
            var options = Self.quick
            options.limits = .init(connect: 5, firstByte: 0.4, idle: 0.4, total: 10)
            let model = try RemoteModel([Endpoint(endpoint.address, model: "m")], options: options)
            try await withThrowingTaskGroup(of: [Completion].self) { group in
                for _ in 0..<12 { group.addTask { try await model.complete(chat("hi", samples: 2)) } }
                for try await completions in group {
                    #expect(completions.map(\.text) == ["a whole reply", "a whole reply"])
                }
            }
            #expect(try await endpoint.tally().faults[fault, default: 0] > 0)
        }
    }

    @Test("what an attempt took that broke off is paid, and each sample once")
    func paidRetries() async throws {
        let asked = Mutex(0)
        try await with(answer: { request in
            let number = asked.withLock { asked in
                asked += 1
                return asked
            }
            // The first attempt breaks off in the second of its three samples, before the usage is told.
            return CannedAnswer(
                Array(repeating: "twelve bytes", count: Self.count(request)), fault: number == 1 ? .halfStream : nil)
        }) { endpoint in
            let budget = try Budget(model: "m")
            let model = BudgetedModel(
                try RemoteModel([Endpoint(endpoint.address, model: "m")], options: Self.quick), budget)
            #expect(try await model.complete(chat("hi", samples: 3)).map(\.text).count == 3)
            // The first sample by its length, six bytes of the second, then what the endpoint told of the other two.
            #expect(budget.spent.completionTokens == 4 + 2 + 20)
            #expect(budget.spent.promptTokens == 1 + 100)
            #expect(budget.estimated == Usage(promptTokens: 1, completionTokens: 6))
        }
    }

    @Test("a request that fails for good is paid by what came of it; one that was refused costs nothing")
    func paidFailures() async throws {
        var options = Self.quick
        options.retries.attempts = 2
        for (fault, prompt, completion) in [
            (.halfStream, 2, 2 * (4 + 2)), (.serverError, 0, 0), (.reset, 0, 0),
        ] as [(Fault, Int, Int)] {
            try await with(answer: { _ in
                CannedAnswer(["twelve bytes", "twelve bytes", "twelve bytes"], fault: fault)
            }) { endpoint in
                let budget = try Budget(model: "m")
                let model = BudgetedModel(
                    try RemoteModel([Endpoint(endpoint.address, model: "m")], options: options), budget)
                // Of two samples that are missing the second attempt gets one, and breaks off again.
                await #expect(throws: RemoteError.self) { try await model.complete(chat("hi", samples: 3)) }
                #expect(budget.spent.promptTokens == prompt, "\(fault)")
                #expect(budget.spent.completionTokens == completion, "\(fault)")
            }
        }
    }

    @Test("an endpoint's list of models leads to no other server")
    func listRedirect() async throws {
        let other = try await ScriptedRetriever { _, _ in .answer(200, #"{"data":[{"id":"stolen"}]}"#) }
        let server = try await ScriptedRetriever { _, _ in .redirect("\(other.address)/v1/models") }
        let endpoint = try Endpoint(server.address, model: "m", key: try key("sk-secret-0123456789"))
        await #expect(
            throws: RemoteError.rejected(
                endpoint: endpoint.name, status: 307, message: "its models cannot be listed")
        ) { try await RemoteModel.models(at: endpoint) }
        #expect(server.requests.count == 1 && other.requests.isEmpty)
        try await server.close()
        try await other.close()
    }

    @Test("only the samples that are missing are asked for again, with another seed")
    func missing() async throws {
        let seen = Mutex<[(Int, JSONValue?)]>([])
        try await with(answer: { request in
            seen.withLock { $0.append((Self.count(request), Self.body(request)["seed"])) }
            return CannedAnswer(["only one"])
        }) { endpoint in
            let model = try RemoteModel([Endpoint(endpoint.address, model: "m")], options: Self.quick)
            #expect(try await model.complete(chat("hi", samples: 3, temperature: 1)).count == 3)
            #expect(seen.withLock { $0.map(\.0) } == [3, 2, 1])
            #expect(seen.withLock { $0.map(\.1) } == [7, 8, 9])
        }
    }

    @Test("a refusal ends at once, is a halting one where every task would meet it, and never shows the key")
    func refusal() async throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("key-\(UUID())")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data("TEACHER_KEY=\"sk-secret-123\"\n".utf8).write(to: file)
        let key = try APIKey(file: file)
        #expect("\(key)" == "[key]" && !"\(Endpoint.self)".contains("secret"))
        try await with(answer: { request in
            let sent = request.headers["authorization"] ?? ""
            return CannedAnswer(["wrong key \(sent.dropFirst(7))"], status: 401)
        }) { endpoint in
            let model = try RemoteModel([Endpoint(endpoint.address, model: "m", key: key)], options: Self.quick)
            let error = await #expect(throws: RemoteError.self) { try await model.complete(chat("hi")) }
            #expect(error?.haltsRun == true)
            #expect("\(String(describing: error))".contains("wrong key [key]"))
            #expect(try await endpoint.tally().requests == 1)
        }
    }

    @Test(
        "a key's file holds the key alone or behind its name; nothing is no key",
        arguments: ["abc==", "KEY=abc=", "\n abc "])
    func keyFile(text: String) throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("key-\(UUID())")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data(text.utf8).write(to: file)
        #expect(try APIKey(file: file).authorization.hasPrefix("Bearer abc"))
        try Data("two words".utf8).write(to: file)
        #expect(throws: RemoteError.self) { try APIKey(file: file) }
    }

    @Test("work is shared by weight, and a dead endpoint is left alone")
    func sharing() async throws {
        let answer: @Sendable (ReceivedRequest) -> CannedAnswer = { _ in CannedAnswer(["x"]) }
        try await with(.init(latency: 0.002), answer: answer) { first in
            try await with(.init(latency: 0.002), answer: answer) { second in
                var options = Self.quick
                options.retries.failuresToOpen = 2
                let dead = try Endpoint("http://127.0.0.1:1", model: "m", concurrency: 4)
                let model = try RemoteModel(
                    [
                        Endpoint(first.address, model: "m", weight: 3, concurrency: 6),
                        Endpoint(second.address, model: "m", weight: 1, concurrency: 2), dead,
                    ], options: options)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<120 { group.addTask { _ = try await model.complete(chat("hi")) } }
                    try await group.waitForAll()
                }
                let (one, two) = (try await first.tally(), try await second.tally())
                #expect(one.requests + two.requests == 120 && one.requests > two.requests && two.requests > 0)
                #expect(one.mostAtOnce <= 6 && two.mostAtOnce <= 2)
                #expect(model.accounts[2].rests > 0)
            }
        }
    }

    @Test("when nobody answers for too long the run is halted, not the task failed")
    func nobody() async throws {
        var options = Self.quick
        options.retries = .init(attempts: 1000, base: 0.01, cap: 0.01, patience: 0.3, failuresToOpen: 1)
        let model = try RemoteModel([Endpoint("http://127.0.0.1:1", model: "m")], options: options)
        let error = await #expect(throws: RemoteError.self) { try await model.complete(chat("hi")) }
        #expect(error?.haltsRun == true)
    }

    @Test("a long line is no dead endpoint: it is waited in while requests succeed")
    func longLine() async throws {
        var retries = Self.quick.retries
        retries.patience = 1000
        let pool = EndpointPool(
            [try Endpoint("http://127.0.0.1:1", model: "m", concurrency: 1)], retries: retries, queue: 8)
        let longAgo = ContinuousClock.now - .seconds(2000)
        await #expect(throws: RemoteError.self) { try await pool.lease(since: longAgo) }
        pool.release(try await pool.lease(since: .now), .success)
        let second = try await pool.lease(since: longAgo)
        let third = Task { try await pool.lease(since: longAgo) }
        pool.release(second, .success)
        pool.release(try await third.value, .neutral)
    }

    @Test("a cancelled request ends, and gives its place back")
    func cancellation() async throws {
        try await with(.init(faults: [.stall], faultRate: 1), answer: { _ in CannedAnswer(["x"]) }) { endpoint in
            let model = try RemoteModel([Endpoint(endpoint.address, model: "m", concurrency: 1)], options: Self.quick)
            let work = (0..<3).map { _ in Task { try await model.complete(chat("hi")) } }
            while try await endpoint.tally().requests == 0 { try await Task.sleep(for: .milliseconds(5)) }
            for task in work { task.cancel() }
            for task in work { await #expect(throws: CancellationError.self) { try await task.value } }
            try await endpoint.misbehave([], rate: 0)
            #expect(try await model.complete(chat("hi")).first?.text == "x")
        }
    }

    @Test("a prefilled message is continued in each form, to the same text", arguments: Endpoint.Prefill.allCases)
    func prefill(form: Endpoint.Prefill) async throws {
        let begun = "Thought: The numbers are 3 and 4.\n"
        try await with(answer: { request in
            let body = Self.body(request)
            let last = body["messages"]?.array?.last
            let isContinued = last?["role"]?.string == "assistant" && last?["content"]?.string == begun
            if body["continue_final_message"] != nil, form == .automatic {
                return CannedAnswer(["Unrecognized request argument supplied: continue_final_message"], status: 400)
            }
            // A hosted model repeats what it was told not to.
            return CannedAnswer([isContinued ? "I add them." : "\(begun)I add them."])
        }) { endpoint in
            let model = try RemoteModel([Endpoint(endpoint.address, model: "m", prefill: form)], options: Self.quick)
            for _ in 0..<2 {
                let reply = try await model.complete(chat("3 + 4?", prefill: begun))[0].text
                #expect(reply.trimmingCharacters(in: .whitespacesAndNewlines) == "I add them.")
            }
            #expect(try await endpoint.tally().requests == (form == .automatic ? 3 : 2))
        }
    }

    @Test("with completions the prompt is written here, to the character")
    func completions() async throws {
        let prompts = Mutex<[JSONValue?]>([])
        try await with(answer: { request in
            prompts.withLock { $0.append(Self.body(request)["prompt"]) }
            return CannedAnswer([" on"])
        }) { endpoint in
            var options = Self.quick
            options.operation = .completions { messages, prefill in
                .text(messages.map { "<\($0.role.rawValue)>\($0.text)" }.joined() + "<assistant>\(prefill)")
            }
            let model = try RemoteModel([Endpoint("\(endpoint.address)/v1/completions", model: "m")], options: options)
            #expect(try await model.complete(chat("hi", prefill: "go")).first?.text == " on")
            #expect(prompts.withLock { $0 } == ["<user>hi<assistant>go"])
        }
    }

    @Test("tool calls and probabilities are read from a stream's parts")
    func extras() throws {
        var assembly = ReplyAssembly(GenerationRequest(messages: []), samples: 1)
        let parts = [
            #"{"choices":[{"index":0,"delta":{"reasoning_content":"hm","tool_calls":[{"index":0,"id":"c1","function":{"name":"search","arguments":"{\"q\":"}}]}}]}"#,
            #"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"é\"}"}}]},"logprobs":{"content":[{"token":"a","logprob":-0.5,"top_logprobs":[{"token":"b","logprob":-1}]}]}}]}"#,
            #"{"prompt_token_ids":[1,2],"choices":[{"index":0,"delta":{},"token_ids":[5],"finish_reason":"tool_calls"}]}"#,
        ]
        for part in parts { _ = assembly.add(try JSONDecoder().decode(ReplyPart.self, from: Data(part.utf8))) }
        let reply = try #require(assembly.replies(seconds: 1)[0])
        #expect(reply.calls == [.init(id: "c1", name: "search", arguments: ["q": "é"])])
        let other = GeneratedToken.Alternative(id: nil, bytes: [98], logprob: -1)
        #expect(reply.completion.report == [.init(id: 5, bytes: [97], logprob: -0.5, alternatives: [other])])
        #expect(reply.completion.tokens == TokenIDs(prompt: [1, 2], completion: [5]))
        #expect(reply.reasoning == "hm")
    }

    /// The bodies that an endpoint is sent for requests.
    private func bodies(
        _ form: Endpoint.GrammarForm = .schemas, options: RemoteOptions = Self.quick, _ requests: [GenerationRequest],
        answer: @escaping @Sendable (JSONValue) -> CannedAnswer = { _ in CannedAnswer(["x"]) }
    ) async throws -> [JSONValue] {
        let seen = Mutex<[JSONValue]>([])
        try await with(answer: { request in
            let body = Self.body(request)
            seen.withLock { $0.append(body) }
            return answer(body)
        }) { endpoint in
            let model = try RemoteModel([Endpoint(endpoint.address, model: "m", grammar: form)], options: options)
            for request in requests { _ = try await model.complete(request) }
        }
        return seen.withLock { $0 }
    }

    @Test(
        "texts to choose from are sent in the server's own field",
        arguments: [
            (Endpoint.GrammarForm.structuredOutputs, "structured_outputs", ["choice": ["a\"b", "c d"]]),
            (.guided, "guided_choice", ["a\"b", "c d"]), (.gbnf, "grammar", #"root ::= "a\"b" | "c d""#),
            (.regex, "regex", #"(a"b|c d)"#),
        ] as [(Endpoint.GrammarForm, String, JSONValue)])
    func choices(form: Endpoint.GrammarForm, field: String, value: JSONValue) async throws {
        var request = chat("hi")
        request.grammar = .oneOf([.text("a\"b"), .sequence([.text("c"), .text(" d")]), .text("c d")])
        #expect(try await bodies(form, [request])[0][field] == value)
    }

    @Test("a JSON schema is sent as response_format, to llama.cpp as json_schema; both read back as the same schema")
    func schemas() async throws {
        let schema = JSONSchema.object(
            .init(properties: ["a": .integer(minimum: 1, maximum: nil), "b": .anyOf([.null, .any])], required: ["a"]))
        var request = chat("hi")
        request.grammar = .json(schema)
        let body = try await bodies(.schemas, [request])[0]
        #expect(try JSONSchema(body["response_format"]?["json_schema"]?["schema"] ?? .null) == schema)
        #expect(body["response_format"]?["type"] == "json_schema")
        #expect(try JSONSchema(await bodies(.gbnf, [request])[0]["json_schema"] ?? .null) == schema)
    }

    @Test("a grammar that cannot be sent is an error that halts, and nothing is asked")
    func inexpressible() async throws {
        try await with(answer: { _ in CannedAnswer(["x"]) }) { endpoint in
            let model = try RemoteModel([Endpoint(endpoint.address, model: "m")], options: Self.quick)
            for grammar in [OutputGrammar.oneOf([.text("a")]), .anything(limit: 3), .sequence([.json(.any)])] {
                var request = chat("hi")
                request.grammar = grammar
                let error = await #expect(throws: RemoteError.self) { try await model.complete(request) }
                #expect(error?.cause == "grammar" && error?.haltsRun == true)
            }
            #expect(try await endpoint.tally().requests == 0)
            #expect(try await model.complete(chat("hi")).count == 1, "its place was given back")
        }
    }

    @Test("token ids are asked for where that is wished, and no more of a server that refuses")
    func tokenIDs() async throws {
        var options = Self.quick
        options.asksForTokenIDs = true
        let sent = try await bodies(.schemas, options: options, [chat("a"), chat("b")]) { body in
            body["return_token_ids"] == true
                ? CannedAnswer(["Unrecognized request argument supplied: return_token_ids"], status: 400)
                : CannedAnswer(["x"])
        }
        #expect(sent.map { $0["return_token_ids"] } == [true, nil, nil])
        #expect(try await bodies(.schemas, [chat("a")])[0]["return_token_ids"] == nil)
    }

    @Test("tools are sent in their own order, and a report is asked for")
    func tools() async throws {
        let bodies = Mutex<[String]>([])
        try await with(answer: { request in
            bodies.withLock { $0.append(String(decoding: request.body, as: UTF8.self)) }
            return CannedAnswer(["x"])
        }) { endpoint in
            var request = chat("hi")
            request.tools = #"[{"type":"function","function":{"name":"b","description":"a"}}]"#
            request.report = .logprobs(alternatives: 2)
            let model = try RemoteModel([Endpoint(endpoint.address, model: "m")], options: Self.quick)
            _ = try await model.complete(request)
            let body = bodies.withLock { $0.first ?? "" }
            #expect(body.hasSuffix(#","tools":[{"type":"function","function":{"name":"b","description":"a"}}]}"#))
            let value = try JSONCoding.decoder.decode(JSONValue.self, from: Data(body.utf8))
            #expect(value["top_logprobs"] == 2 && value["logprobs"] == true && value["return_token_ids"] == true)
        }
    }

    @Test("Retry-After is read as seconds and as a date")
    func retryAfter() {
        #expect(EndpointConnection.retryAfter(["retry-after": "7"]) == 7)
        let now = Date(timeIntervalSince1970: 784_111_770)
        #expect(EndpointConnection.retryAfter(["retry-after": "Sun, 06 Nov 1994 08:49:37 GMT"], now: now) == 7)
        #expect(EndpointConnection.retryAfter(["retry-after": "soon"]) == nil)
    }

    @Test(
        "a pause that cannot be kept is none, and one that is too long is a day",
        arguments: [
            ("retry-after", "1e300", 86_400), ("retry-after", "inf", 86_400), ("retry-after", "nan", nil),
            ("retry-after", "-1", nil), ("retry-after-ms", "1e308", 86_400), ("retry-after-ms", "-inf", nil),
            ("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT", 86_400),
        ] as [(String, String, Double?)])
    func longPauses(name: String, value: String, seconds: Double?) {
        #expect(EndpointConnection.retryAfter([name: value]) == seconds)
    }

    @Test("a pool keeps a pause of a day without harm")
    func keptPause() async throws {
        let pool = EndpointPool(
            [try Endpoint("http://127.0.0.1:1", model: "m")], retries: .init(patience: 0.1), queue: 4)
        let lease = try await pool.lease(since: .now)
        pool.release(lease, .pause(86_400), reason: "busy")
        await #expect(throws: RemoteError.self) { try await pool.lease(since: .now) }
    }

    @Test("counts of tokens beyond reason end nothing")
    func counts() throws {
        for usage in [
            #"{"prompt_tokens":9223372036854775807,"completion_tokens":9223372036854775807}"#,
            #"{"prompt_tokens":-9223372036854775808,"completion_tokens":-5}"#,
        ] {
            var assembly = ReplyAssembly(GenerationRequest(messages: [], samples: 3), samples: 3)
            let text = String(repeating: "long text ", count: 1000)
            let choices = (0..<3).map { #"{"index":\#($0),"message":{"content":"\#(text)"},"finish_reason":"stop"}"# }
            let part = #"{"choices":[\#(choices.joined(separator: ","))],"usage":\#(usage)}"#
            _ = assembly.add(try JSONDecoder().decode(ReplyPart.self, from: Data(part.utf8)))
            let all = assembly.replies(seconds: 1).values.map(\.completion.usage)
            #expect(all.count == 3)
            #expect(all.reduce(Usage()) { $0 + $1 }.completionTokens >= 0)
        }
    }

    @Test("a content of parts is its texts; what was thought is kept apart")
    func contentParts() throws {
        var assembly = ReplyAssembly(GenerationRequest(messages: []), samples: 1)
        for part in [
            #"{"choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]}]}}]}"#,
            #"{"choices":[{"index":0,"delta":{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}}]}"#,
            #"{"choices":[{"index":0,"delta":{"content":"c"},"finish_reason":"stop"}]}"#,
        ] { _ = assembly.add(try JSONDecoder().decode(ReplyPart.self, from: Data(part.utf8))) }
        let reply = try #require(assembly.replies(seconds: 1)[0])
        #expect(reply.completion.text == "abc")
        #expect(reply.reasoning == "hm")
        #expect(throws: DecodingError.self) {
            try JSONDecoder().decode(
                ReplyPart.self,
                from: Data(#"{"choices":[{"message":{"content":[{"type":"image_url","image_url":"x"}]}}]}"#.utf8))
        }
    }

    @Test("an endpoint that asks for no pause is given one, and is left alone when it goes on failing")
    func noPause() async throws {
        let asked = Mutex<[ContinuousClock.Instant]>([])
        try await with(answer: { _ in
            asked.withLock { $0.append(.now) }
            return CannedAnswer(["busy"], status: 503, headers: ["retry-after": "0"])
        }) { endpoint in
            var options = Self.quick
            options.retries = .init(attempts: 6, base: 0.01, cap: 0.05, patience: 60, failuresToOpen: 3)
            let model = try RemoteModel([Endpoint(endpoint.address, model: "m")], options: options)
            await #expect(throws: RemoteError.self) { try await model.complete(chat("hi")) }
            #expect(model.accounts[0].rests > 0)
            #expect(asked.withLock { $0.count } == 6)
        }
    }

    @Test("what is not implemented is not asked for again")
    func notImplemented() async throws {
        for (status, count) in [(501, 1), (502, 3), (302, 3)] {
            let asked = Mutex(0)
            try await with(answer: { _ in
                asked.withLock { $0 += 1 }
                return CannedAnswer(["no"], status: status, headers: ["location": "http://127.0.0.1:1/elsewhere"])
            }) { endpoint in
                var options = Self.quick
                options.retries.attempts = 3
                let model = try RemoteModel([Endpoint(endpoint.address, model: "m")], options: options)
                await #expect(throws: RemoteError.self) { try await model.complete(chat("hi")) }
                #expect(asked.withLock { $0 } == count, "\(status)")
            }
        }
    }

    private func key(_ text: String) throws -> APIKey {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("key-\(UUID())")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data(text.utf8).write(to: file)
        return try APIKey(file: file)
    }

    @Test("no part of a key is told, wherever a message is cut", arguments: [0, 80, 110, 118, 290, 297, 990, 996])
    func cutKeys(before: Int) async throws {
        let key = try key("sk-secret-0123456789")
        let message =
            String(repeating: "x", count: before) + "sk-secret-0123456789" + String(repeating: "y", count: 2000)
        try await with(answer: { _ in CannedAnswer([message], status: 401) }) { endpoint in
            let model = try RemoteModel([Endpoint(endpoint.address, model: "m", key: key)], options: Self.quick)
            let error = await #expect(throws: RemoteError.self) { try await model.complete(chat("hi")) }
            #expect(!"\(String(describing: error))".contains("sk-s"))
            #expect("\(String(describing: error))".count < 1500)
        }
        // A reply that is not of the protocol is told by its beginning.
        let endpoint = try Endpoint("http://127.0.0.1:1", model: "m", key: key)
        let error = #expect(throws: RemoteError.self) { try EndpointConnection.decode(Data(message.utf8), endpoint) }
        #expect(!"\(String(describing: error))".contains("sk-s"))
    }

    @Test("an endpoint that is not there is told in plain words")
    func absent() async throws {
        let endpoint = try Endpoint("http://127.0.0.1:1", model: "m")
        let refused = await #expect(throws: RemoteError.self) { try await RemoteModel.models(at: endpoint) }
        #expect(
            "\(String(describing: refused))".contains(
                "127.0.0.1:1: connection refused; see that it is up, and that its address is right"))
    }

    @Test(
        "a key goes without encryption to this machine and to private networks only",
        arguments: [
            ("http://127.0.0.1:8000", true), ("http://localhost:8000/v1", true), ("http://[::1]:8000", true),
            ("http://192.168.3.4", true), ("http://10.1.2.3", true), ("http://172.20.0.1", true),
            ("http://100.100.1.1", true),
            ("http://vllm:8000", true), ("http://gpu.local", true), ("http://[fd00::1]:80", true),
            ("https://api.example.com", true), ("http://api.example.com", false), ("http://8.8.8.8", false),
            ("http://172.32.0.1", false), ("http://[2001:db8::1]", false), ("HTTP://api.example.com", false),
            ("http://127.0.0.1.example.com", false), ("http://localhost.example.com", false),
            ("http://11.0.0.1", false),
        ])
    func plainKeys(address: String, isFine: Bool) throws {
        let key = try key("sk-secret-0123456789")
        _ = try Endpoint(address, model: "m")
        if isFine {
            _ = try Endpoint(address, model: "m", key: key)
        } else {
            #expect(throws: RemoteError.self) { try Endpoint(address, model: "m", key: key) }
            var endpoint = try Endpoint(address, model: "m")
            endpoint.key = key
            let late = endpoint
            #expect(throws: RemoteError.self) { try RemoteModel([late]) }
        }
    }
}

extension JSONValue {
    fileprivate var int: Int? { if case .integer(let value) = self { value } else { nil } }
}
