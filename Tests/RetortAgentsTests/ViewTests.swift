import RetortAgents
import RetortCore
import RetortTesting
import Testing

private let search = ToolSpecification(
    name: "web_search", summary: "Finds passages.",
    parameters: [
        .init("query", type: "string", summary: "What to find."),
        .init("count", type: "integer", summary: "How many.", isRequired: false),
    ], returns: "string")

private func trajectory(steps: Int, ending: Ending? = nil) -> Trajectory {
    var trajectory = Trajectory(task: task, provenance: Provenance(policy: "agent", model: "m"))
    for number in 0..<steps {
        trajectory.append(
            Step(
                thought: "Step \(number).", action: .code("print(\(number))"),
                observation: Observation(text: "\(number)", outcome: .success)))
    }
    if let ending { trajectory.end(ending) }
    return trajectory
}

private func forced() -> Trajectory {
    var forced = trajectory(steps: 2)
    forced.append(
        Step(thought: "Well.", action: .answer("7"), observation: Observation(text: "", outcome: .final("7"))))
    forced.end(.forced("7"))
    return forced
}

@Suite("The code agent's view")
struct CodeAgentViewTests {
    private let view = CodeAgentView(instructions: .brief, tools: [search])

    @Test("each prompt begins with the prompt of the step before, and the training example with all of them")
    func prefix() {
        let whole = view.messages(for: trajectory(steps: 4, ending: .answered("1")))
        for steps in 0..<4 {
            let prompt = view.messages(for: trajectory(steps: steps))
            let next = view.messages(for: trajectory(steps: steps + 1))
            #expect(Array(next.prefix(prompt.count)) == prompt)
            #expect(Array(whole.prefix(prompt.count)) == prompt)
            #expect(prompt.last?.role == .user)
        }
    }

    @Test("only the agent's own turns are trainable, and what follows the last is not shown")
    func marks() {
        let messages = view.messages(for: trajectory(steps: 2, ending: .answered("1")))
        #expect(messages.map(\.role) == [.system, .user, .assistant, .user, .assistant])
        for message in messages { #expect(message.spans.allSatisfy { $0.trainable == (message.role == .assistant) }) }
        #expect(messages[3].text == "Observation:\n0")
    }

    @Test("what others did is shown and not learned")
    func others() {
        var mixed = trajectory(steps: 1)
        mixed.append(
            Step(
                speaker: "retriever", thought: "", action: .toolCall(name: "web_search", arguments: ["query": "q"]),
                observation: Observation(text: "found", outcome: .success)))
        let turns = view.messages(for: mixed).filter { $0.role == .assistant }
        #expect(turns.map(\.endsTrainable) == [true, false])
        #expect(turns[1].text.contains("print(web_search(query=\"q\"))"))
    }

    @Test("text without an action is shown as it was")
    func unparsable() {
        var trajectory = trajectory(steps: 0)
        trajectory.append(
            Step(
                thought: "", action: .unparsable(text: "Hm.", reason: "r"),
                observation: Observation(text: "Error: r", outcome: .parseError("r"))))
        #expect(view.messages(for: trajectory)[2].text == "Hm.")
    }

    @Test("a forced answer is not learned, unless that is asked for, and then in an example of its own")
    func forcedAnswers() {
        let plain = view.examples(for: forced())
        #expect(plain == [view.messages(for: trajectory(steps: 2, ending: .answered("1")))])
        let both = CodeAgentView(instructions: .brief, tools: [search], forcedAnswers: .trained)
            .examples(for: forced())
        #expect(both.count == 2)
        #expect(both[0] == plain[0])
        #expect(both[1].map(\.text) == view.messages(for: forced()).map(\.text))
        #expect(both[1].map(\.endsTrainable) == [false, false, false, false, false, false, false, true])
        #expect(both[1].last?.text.contains("final_answer(\"7\")") == true)
    }

    @Test("values are written as Python would read them")
    func literals() {
        let answer = CodeAgentView.turn("", .answer(["a": [1, 2.5, true, .null, "q\"\\\n\u{1}"]]))
        #expect(answer.contains(#"final_answer({"a": [1, 2.5, True, None, "q\"\\\n\x01"]})"#))
    }

    @Test("the brief prompt is short and names every function; the full one documents them")
    func prompts() {
        let brief = view.messages(for: trajectory(steps: 0))[0].text
        #expect(brief.split(whereSeparator: \.isWhitespace).count <= 30)
        #expect(brief.contains("\nweb_search(query, count=None)\nfinal_answer(answer)"))
        let full = CodeAgentView(instructions: .full, tools: [search]).messages(for: trajectory(steps: 0))[0].text
        for part in ["count (integer, optional): How many.", "Example 1", "Example 2", "numpy", "```py", "Thought:"] {
            #expect(full.contains(part))
        }
        let bare = CodeAgentView(instructions: .full, tools: []).messages(for: trajectory(steps: 0))[0].text
        #expect(!bare.contains("web_search"))
    }
}

@Suite("Chain of thought")
struct ChainOfThoughtTests {
    private struct Library: Tool {
        let specification = search
        func call(_ arguments: [String: JSONValue]) async throws -> JSONValue {
            .string("[1] \(arguments["query"]?.text ?? "")")
        }
    }

    private func run(_ model: ScriptedModel, retriever: (any Tool)? = nil, tools: [any Tool]) async throws -> Trajectory
    {
        let policy = ChainOfThought(
            model: model, view: ChainOfThoughtView(instructions: .brief), retriever: retriever)
        return try await Rollout(policy: policy) { ToolEnvironment(tools) }.trajectory(for: task)
    }

    @Test("reasons and answers in one turn")
    func plain() async throws {
        let trajectory = try await run(ScriptedModel([["Six times seven.\nAnswer: 42"]]), tools: [])
        #expect(trajectory.provenance.policy == "cot")
        #expect(trajectory.ending == .answered("42"))
        let messages = ChainOfThoughtView(instructions: .brief).messages(for: trajectory)
        #expect(messages.map(\.role) == [.system, .user, .assistant])
        #expect(messages.map(\.endsTrainable) == [false, false, true])
        #expect(messages[2].text == "Six times seven.\nAnswer: 42")
    }

    @Test("passages for the question are fetched first, as a step of the retriever, and stand before the question")
    func retrieval() async throws {
        let model = ScriptedModel([["Answer: 42"]])
        let trajectory = try await run(model, retriever: Library(), tools: [Library()])
        #expect(trajectory.provenance.policy == "cot+rag")
        #expect(trajectory.steps.map(\.speaker) == ["retriever", "agent"])
        #expect(trajectory.steps[0].action == .toolCall(name: "web_search", arguments: ["query": "What is x?"]))
        #expect(trajectory.toolCallCount == 1)
        let prompt = model.requests[0].messages
        #expect(prompt.last?.text == "[1] What is x?\n\nWhat is x?")
    }

    @Test("a retrieval that failed is recorded, and is no passage")
    func failedRetrieval() async throws {
        let model = ScriptedModel([["Answer: 42"]])
        let trajectory = try await run(model, retriever: Library(), tools: [])
        #expect(trajectory.steps[0].observation.outcome.isFailure)
        #expect(model.requests[0].messages.last?.text == "What is x?")
    }

    @Test("reasoning without an answer ends the run without one")
    func noAnswer() async throws {
        let model = ScriptedModel([["I wonder."]])
        let trajectory = try await run(model, tools: [])
        #expect(trajectory.ending == .gaveUp("the reasoning held no answer"))
        #expect(model.requests.count == 1)
    }
}
