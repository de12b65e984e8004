import RetortAgents
import RetortCore
import RetortTesting
import Testing

@Suite("A scripted model")
struct ScriptedModelTests {
    private func request(_ text: String, samples: Int = 1) -> GenerationRequest {
        GenerationRequest(messages: [Message(.user, text)], samples: samples)
    }

    @Test("replies come in turn, to all samples alike, and the end of the script is an error that says so")
    func script() async throws {
        // snippet: A script
        let model = ScriptedModel("one", "two")
        let first = try await model.complete(request("first", samples: 2))
        #expect(first.map(\.text) == ["one", "one"])
        let second = try await model.complete(request("second"))
        #expect(second.map(\.text) == ["two"])
        await #expect(throws: ScriptEnded(replies: 2)) { try await model.complete(request("third")) }
        #expect(model.requests.map { $0.messages[0].text } == ["first", "second", "third"])
        // end snippet
    }

    @Test("a rule sees the request; what it throws ends the stream")
    func rule() async throws {
        struct Refusal: Error {}
        let model = ScriptedModel { request in
            guard let text = request.messages.last?.text, text != "bad" else { throw Refusal() }
            return text.uppercased()
        }
        #expect(try await model.complete(request("loud")).first?.text == "LOUD")
        await #expect(throws: Refusal.self) { try await model.complete(request("bad")) }
    }

    @Test("fewer samples than were asked for are an error of the caller's, as with any model")
    func tooFew() async throws {
        let model = ScriptedModel([["only one"]])
        await #expect(throws: LanguageModelError.self) { try await model.complete(request("x", samples: 2)) }
    }

    @Test("a reply that waits ends when its reader goes")
    func cancelled() async throws {
        let (ended, end) = AsyncStream.makeStream(of: Void.self)
        let model = ScriptedModel { _ in
            defer { end.finish() }
            try await Task.sleep(for: .seconds(3600))
            return "late"
        }
        let reader = Task { try await model.complete(request("x")) }
        while model.requests.isEmpty { await Task.yield() }
        reader.cancel()
        for await _ in ended {}
        await #expect(throws: (any Error).self) { try await reader.value }
    }

    @Test("an agent of tools is tested without weights")
    func agent() async throws {
        // snippet: An agent of tools
        struct Order: Decodable { var article: String }
        let stock = FunctionTool(
            "stock", "How many pieces there are.", parameters: [.init("article", type: "string", summary: "its name")]
        ) { (order: Order) in ["lamp": 12][order.article] ?? 0 }

        let model = ScriptedModel(
            "I look.\nAction: stock\nAction Input: {\"article\": \"lamp\"}", "I know.\nconclusion: 12")
        let agent = Rollout(
            policy: ToolAgent(model: RoleModel(model), tools: [ToolDocument(stock.specification)])
        ) { ToolEnvironment([stock]) }

        let task = AgentTask(id: "1", question: "How many lamps are left?", answers: ["12"], family: .factual)
        let trajectory = try await agent.trajectory(for: task)
        #expect(trajectory.answer == "12")
        #expect(trajectory.steps[0].observation.text == "12")
        // end snippet
    }

    @Test("many tasks' trajectories come in the order of the tasks")
    func many() async throws {
        let model = ScriptedModel { request in
            "conclusion: \(request.messages.last?.text.firstMatch(of: #/user: (\d+)/#)?.1 ?? "none")"
        }
        let agent = Rollout(policy: ToolAgent(model: RoleModel(model))) { ToolEnvironment([]) }
        let tasks = (0..<20).map { AgentTask(id: "\($0)", question: "\($0)", answers: [], family: .math) }
        let found = try await agent.trajectories(for: tasks, concurrency: 6)
        #expect(found.map(\.answer) == (0..<20).map { "\($0)" })
        #expect(try await agent.trajectories(for: []).isEmpty)
    }
}
