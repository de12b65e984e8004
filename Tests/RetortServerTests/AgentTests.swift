import RetortAgents
import RetortCore
import RetortServer
import Testing

/// Runs programs of two kinds: `final_answer(TEXT)` ends the task, anything else is printed.
private struct PrintingEnvironment: Environment {
    func perform(_ action: Action) async throws -> Observation {
        if let done = action.immediateObservation { return done }
        let code = action.code ?? ""
        guard code.hasPrefix("final_answer("), let end = code.lastIndex(of: ")") else {
            return Observation(text: code, outcome: .success)
        }
        let answer = String(code[code.index(code.startIndex, offsetBy: 13)..<end])
        return Observation(text: "", outcome: .final(.string(answer)))
    }

    func fork() async throws -> any Environment { self }
    func close() async {}
}

/// Says a text for each step, by the number of observations in the chat.
private struct RecitingModel: LanguageModel {
    let identity = "reciting"
    let turns: [String]

    func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
        AsyncThrowingStream { continuation in
            let step = request.messages.count { $0.role == .assistant }
            guard step < turns.count else {
                return continuation.finish(throwing: LanguageModelError.promptTooLong(tokens: 9, limit: 8))
            }
            for sample in 0..<request.samples {
                continuation.yield(.text(sample: sample, turns[step]))
                let usage = Usage(promptTokens: sample == 0 ? 10 : 0, completionTokens: 5)
                continuation.yield(
                    .finished(sample: sample, Completion(text: turns[step], finish: .endOfTurn, usage: usage)))
            }
            continuation.finish()
        }
    }
}

@Suite("Agents behind one chat call")
struct AgentTests {
    private static func turn(_ program: String) -> String { "Thought: I work.\nCode:\n```py\n\(program)\n```" }

    private func serve(
        _ turns: [String], _ body: @Sendable (TestServer) async throws -> Void
    ) async throws {
        let model = RecitingModel(turns: turns)
        let view = CodeAgentView(instructions: .brief, tools: [])
        let agent = ServedAgent(identity: "reciting") { sampling, votes in
            let search: any Search =
                votes == 1 ? GreedySearch(sampling: sampling) : SelfConsistentSearch(samples: votes)
            return Rollout(policy: CodeAgent(model: model, view: view), search: search, maximumSteps: 3) {
                PrintingEnvironment()
            }
        }
        var catalogue = ModelCatalogue()
        try catalogue.add("agent", agent)
        try await TestServer.run(catalogue, body)
    }

    private func ask(_ server: TestServer, _ members: [String: JSONValue] = [:]) async throws -> TestServer.Reply {
        let body: [String: JSONValue] = ["model": "agent", "messages": [["role": "user", "content": "6 * 7?"]]]
        return try await server.post("/v1/chat/completions", .object(body.merging(members) { $1 }))
    }

    @Test("the answer is the final one; the whole trajectory comes on request")
    func answered() async throws {
        try await serve([Self.turn("print(41)"), Self.turn("final_answer(42)")]) { server in
            let reply = try await ask(server)
            let choice = try #require(reply.json["choices"]?.array?.first)
            #expect(choice["message"]?["content"] == "42")
            #expect(choice["retort"]?["ending"] == "answered")
            #expect(choice["retort"]?["steps"] == 2)
            #expect(choice["retort"]?["trajectory"] == nil)
            #expect(reply.json["usage"]?["total_tokens"] == 30)
            let full = try await ask(server, ["return_trajectory": true])
            let json = try #require(full.json["choices"]?.array?.first?["retort"]?["trajectory"])
            let trajectory = try ExactJSON.decode(Trajectory.self, from: ExactJSON.text(json).utf8)
            #expect(trajectory.task.question == "6 * 7?")
            #expect(trajectory.steps.map(\.action.code) == ["print(41)", "final_answer(42)"])
        }
    }

    @Test("a stream shows thoughts, programs and observations as reasoning, then the answer")
    func streamed() async throws {
        try await serve([Self.turn("print(41)"), Self.turn("final_answer(42)")]) { server in
            let reply = try await ask(server, ["stream": true, "return_trajectory": true])
            let choices = reply.chunks.compactMap { $0["choices"]?.array?.first }
            let work = choices.compactMap { $0["delta"]?["reasoning_content"]?.string }.joined()
            #expect(work.contains("print(41)") && work.contains("Observation:\nprint(41)"))
            #expect(choices.compactMap { $0["delta"]?["content"]?.string }.joined() == "42")
            #expect(choices.compactMap { $0["retort"]?["step"] }.count == 2)
            #expect(choices.last?["finish_reason"] == "stop")
            #expect(reply.events.last == "[DONE]")
        }
    }

    @Test("an agent ends by itself: Anthropic's stop texts are refused, a limit of tokens is passed over")
    func messages() async throws {
        try await serve([Self.turn("final_answer(42)")]) { server in
            var body: [String: JSONValue] = [
                "model": "agent", "max_tokens": 5, "messages": [["role": "user", "content": "6 * 7?"]],
                "stop_sequences": [],
            ]
            let reply = try await server.post("/v1/messages", .object(body))
            #expect(reply.json["content"]?.array?.last?["text"] == "42", "\(reply.text)")
            body["stop_sequences"] = ["4"]
            let refused = try await server.post("/v1/messages", .object(body))
            #expect(refused.status == 400 && refused.message.contains("'stop_sequences'"), "\(refused.text)")
        }
    }

    @Test("votes are counted, choices are attempts")
    func votes() async throws {
        try await serve([Self.turn("final_answer(42)")]) { server in
            let reply = try await ask(server, ["votes": 3, "n": 2, "temperature": 0.5, "return_trajectory": true])
            let choices = try #require(reply.json["choices"]?.array)
            #expect(choices.compactMap { $0["message"]?["content"]?.string } == ["42", "42"])
            let steps = choices.compactMap { $0["retort"]?["trajectory"]?["steps"]?.array?.first }
            #expect(steps.map { $0["candidates"]?.array?.count } == [3, 3])
        }
    }

    @Test("an agent makes its own tasks of questions, and says itself which ways it has no use for")
    func ownTasks() async throws {
        struct NoVotes: Error, CustomStringConvertible { let description = "it goes one way at a time" }
        let model = RecitingModel(turns: [Self.turn("final_answer(42)")])
        let agent = ServedAgent(
            identity: "reciting", task: { AgentTask(id: "own", question: "<\($0)>", answers: [], family: .math) }
        ) { sampling, votes in
            guard votes == 1 else { throw NoVotes() }
            return Rollout(
                policy: CodeAgent(model: model, view: CodeAgentView(instructions: .brief, tools: [])),
                search: GreedySearch(sampling: sampling)
            ) { PrintingEnvironment() }
        }
        var catalogue = ModelCatalogue()
        try catalogue.add("agent", agent)
        try await TestServer.run(catalogue) { server in
            let reply = try await ask(server, ["return_trajectory": true])
            let task = reply.json["choices"]?.array?.first?["retort"]?["trajectory"]?["task"]
            #expect(task?["id"] == "own" && task?["question"] == "<6 * 7?>" && task?["family"] == "math")
            let refused = try await ask(server, ["votes": 2])
            #expect(refused.status == 400 && refused.message.contains("one way at a time"))
        }
    }

    @Test("giving up is a refusal with its reason; a run that broke is an error")
    func endings() async throws {
        try await serve([Self.turn("print(1)"), Self.turn("print(2)"), Self.turn("print(3)"), ""]) { server in
            let message = try await ask(server).json["choices"]?.array?.first?["message"]
            #expect(message?["content"] == .null)
            #expect(message?["refusal"]?.string?.contains("no answer after 3 steps") == true)
        }
        try await serve([Self.turn("print(1)")]) { server in
            let reply = try await ask(server)
            #expect(reply.status == 500)
            #expect(reply.message.contains("the agent's run broke"))
            let stream = try await ask(server, ["stream": true])
            #expect(stream.events.last?.hasPrefix("{\"error\":") == true)
        }
    }

    @Test("what an agent has no use for is refused")
    func refusals() async throws {
        try await serve([Self.turn("final_answer(42)")]) { server in
            let user: JSONValue = ["role": "user", "content": "6 * 7?"]
            let faults: [(members: [String: JSONValue], param: String)] = [
                (["messages": [["role": "system", "content": "x"], user]], "messages"),
                (["messages": [user, ["role": "assistant", "content": "It is"]]], "messages"),
                (["logprobs": true], "logprobs"), (["stop": "x"], "stop"), (["max_tokens": 5], "max_tokens"),
            ]
            for (members, param) in faults {
                let reply = try await ask(server, members)
                #expect(reply.status == 400)
                #expect(reply.json["error"]?["param"] == .string(param), "\(reply.text)")
            }
            let plain = try await server.post("/v1/completions", ["model": "agent", "prompt": "x"])
            #expect(plain.status == 400)
            let description = try await server.get("/v1/models/agent")
            #expect(description.json["retort"]?["kind"] == "agent")
        }
    }
}
