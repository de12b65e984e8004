import RetortCore
import RetortTesting
import Testing

@testable import RetortAgents

@Suite("ToolBench's names")
struct ToolBenchNameTests {
    /// Figures of ToolBench's own `standardize` and `change_name`.
    @Test(
        "standard forms",
        arguments: [
            ("Search Videos", "search_videos"),
            ("YTStream - Download YouTube Videos", "ytstream_download_youtube_videos"),
            ("_/v1/{id}", "v1_id"), ("2FA code", "get_2fa_code"), ("Café №5", "caf_5"), ("天气 API", "天气_api"),
            ("--", ""),
            ("a__b", "a_b"), ("x^2", "x^2"),
        ])
    func standard(name: String, standard: String) { #expect(ToolBenchName.standard(name) == standard) }

    @Test("words of Python get a prefix, long names keep their end")
    func functions() {
        #expect(ToolBenchName.function("From") == "is_from")
        #expect(ToolBenchName.call(api: "ID", tool: "My Tool") == "is_id_for_my_tool")
        let long = ToolBenchName.call(api: String(repeating: "a", count: 80), tool: "t")
        #expect(long.count == 64)
        #expect(long.hasSuffix("a_for_t"))
        #expect(ToolBenchName.category("News, Media") == "News_Media")
    }

    @Test("one function, however a client writes its name")
    func keys() {
        let plain = VirtualAPIName(category: "Video, Images", tool: "My Tool", api: "Get It")
        #expect(plain == VirtualAPIName(category: "Video_Images", tool: "my_tool", api: "get_it_for_my_tool"))
        #expect(plain == VirtualAPIName(category: "Video, Images", tool: "my_tool_for_Video_Images", api: "get_it"))
    }
}

@Suite("APIs that a model imitates")
struct SimulatedAPITests {
    private let call = VirtualCall(category: "C", tool: "Tool", api: "Find", input: ["q": 1])

    @Test("the document and the arguments are shown, the reply is read, whatever surrounds it")
    func reply() async throws {
        let model = ScriptedModel([["Sure:\n```json\n{\"error\": \"\", \"response\": {\"n\": 2.0}}\n```"]])
        let name = VirtualAPIName(call)
        let apis = SimulatedAPIs(model, documents: [name: ["about": "birds"]]) { _ in
            [(input: ["q": 0] as JSONValue, reply: VirtualReply(response: "none"))]
        }
        #expect(try await apis.reply(to: call) == VirtualReply(response: ["n": 2.0]))
        let prompt = model.requests[0].messages[1].text
        #expect(prompt.contains("birds"))
        #expect(prompt.contains("{\"q\":1}"))
        #expect(prompt.contains("{\"q\":0} → {\"error\":\"\",\"response\":\"none\"}"))
    }

    @Test("a text that is no reply is asked for again, then it is an error")
    func unreadable() async throws {
        let second = ScriptedModel([["I cannot."], ["{\"error\": null, \"response\": \"x\"}"]])
        #expect(try await SimulatedAPIs(second).reply(to: call) == VirtualReply(response: "x"))
        let never = ScriptedModel([["a"], ["{}"], ["[1]"]])
        let reply = try await SimulatedAPIs(never).reply(to: call)
        #expect(reply.error.contains("no reply that can be read"))
        #expect(never.requests.count == 3)
    }

    @Test("unknown functions and inputs that are no object are refused without the model")
    func refusals() async throws {
        let model = ScriptedModel([[String]]())
        let apis = SimulatedAPIs(model, documents: [VirtualAPIName(category: "C", tool: "Tool", api: "Other"): [:]])
        #expect(try await apis.reply(to: call).error.contains("no API 'find'"))
        var broken = call
        broken.input = "{oops"
        #expect(try await SimulatedAPIs(model).reply(to: broken).error == "the input is not a JSON object")
    }

    private struct Scripted: VirtualAPIs {
        let reply: @Sendable (VirtualCall) async throws -> VirtualReply
        func reply(to call: VirtualCall) async throws -> VirtualReply { try await reply(call) }
    }

    private var task: AgentTask {
        var task = AgentTask(id: "t", question: "?", answers: [], family: .factual)
        task.virtualAPIs = ["find_for_tool": VirtualAPIReference(category: "C", tool: "Tool", api: "Find")]
        return task
    }

    private func perform(
        _ name: String = "find_for_tool", seconds: Double = 60,
        _ reply: @escaping @Sendable (VirtualCall) async throws -> VirtualReply
    ) async throws -> Observation {
        try await VirtualAPIEnvironment(Scripted(reply: reply), task: task, seconds: seconds)
            .perform(.toolCall(name: name, arguments: ["q": 1]))
    }

    @Test("a task's tool is a call of its function; replies, errors and breakage are outcomes of their own")
    func environment() async throws {
        let found = try await perform { call in
            #expect(call.api == "Find")
            return VirtualReply(response: ["n": 1])
        }
        #expect(found.outcome == .success)
        #expect(found.text == "{\"n\":1}")
        #expect(found.toolCalls.first?.result == ["n": 1])
        await #expect(throws: Halting.self) { try await perform { _ in throw Halting() } }
        struct Broken: Error {}
        let kinds = [
            try await perform("other") { _ in VirtualReply() },
            try await perform { _ in VirtualReply(error: "Rate limit!") },
            try await perform { _ in throw Broken() },
        ].map { observation in
            if case .executionError(let type, _) = observation.outcome { type } else { "" }
        }
        #expect(kinds == ["UnknownAPI", "RateLimited", "RequestFailed"])
        let late = try await perform(seconds: 0.01) { _ in
            try await Task.sleep(for: .seconds(60))
            return VirtualReply()
        }
        #expect(late.outcome == .timeout(seconds: 0.01))
    }
}
