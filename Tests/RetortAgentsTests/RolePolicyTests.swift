import RetortAgents
import RetortCore
import RetortTesting
import Testing

/// Answers every call with how often it was called in this branch; the city `Nowhere` fails.
private actor WeatherEnvironment: Environment {
    private var calls: Int
    private let log: CounterEnvironment.Log
    private var isClosed = false

    init(calls: Int = 0, log: CounterEnvironment.Log) {
        self.calls = calls
        self.log = log
        log.open.withLock { $0 += 1 }
    }

    func perform(_ action: Action) async throws -> Observation {
        guard case .toolCall(let name, let arguments) = action, !isClosed else { throw CounterEnvironment.Broken() }
        calls += 1
        let city = arguments["city"]?.string ?? "?"
        log.performed.withLock { $0.append(city) }
        if name != "weather" {
            return Observation(
                text: "no such API", outcome: .executionError(type: "UnknownAPI", message: "no such API"))
        }
        return Observation(text: "\(city) \(calls)", outcome: .success)
    }

    func fork() -> any Environment { WeatherEnvironment(calls: calls, log: log) }

    func close() {
        if !isClosed { log.open.withLock { $0 -= 1 } }
        isClosed = true
    }
}

private func run(
    _ script: [[String]], search: any Search = GreedySearch(), steps: Int = 5, log: CounterEnvironment.Log = .init(),
    constraint: OutputConstraint = .free
) async throws -> (trajectory: Trajectory, requests: [GenerationRequest]) {
    let model = ScriptedModel(script)
    let policy = RolePolicy(
        planner: RoleModel(model, adapter: "planner"), caller: RoleModel(model, adapter: "caller"),
        summarizer: RoleModel(model, adapter: "summarizer"), constraint: constraint)
    let rollout = Rollout(policy: policy, search: search, maximumSteps: steps) { WeatherEnvironment(log: log) }
    return (try await rollout.trajectory(for: apiTask()), model.requests)
}

private let look = "I look.\n Next: caller."
private func ask(_ city: String) -> String { "Action: weather\nAction Input: {\"city\":\"\(city)\"}" }
private let done = "I know.\n Next: conclusion."
private let hopeless = "It cannot be done.\n Next: give up."

@Suite("Role policy")
struct RolePolicyTests {
    @Test("planner, caller, planner, summarizer: each with its own adapter and view")
    func turns() async throws {
        let (trajectory, requests) = try await run([[look], [ask("Tarn")], [done], ["7 degrees"]])
        #expect(trajectory.ending == .answered("7 degrees"))
        #expect(trajectory.steps.map(\.thought) == ["I look.", "I know."])
        #expect(trajectory.steps.map(\.speaker) == ["planner", "planner"])
        #expect(requests.map(\.adapter) == ["planner", "caller", "planner", "summarizer"])
        #expect(requests[1].messages[1].text.contains("planner: I look.\n Next: caller.\nCall."))
        #expect(requests[2].messages[1].text.contains("observation: Tarn 1\n"))
        #expect(trajectory.usage.completionTokens == 40)
    }

    @Test("giving up ends the run without another turn")
    func givingUp() async throws {
        let (trajectory, requests) = try await run([[hopeless]])
        #expect(trajectory.ending == .gaveUp("It cannot be done."))
        #expect(requests.count == 1)
    }

    @Test("an empty plan is asked for again, at most five times, and then recorded as what it is")
    func empty() async throws {
        let (trajectory, requests) = try await run([[" "], [""], [look], [ask("Tarn")], [done], ["7"]])
        #expect(trajectory.ending == .answered("7"))
        #expect(requests[1].sampling.temperature > 0)
        #expect(requests[1].sampling.seed != requests[2].sampling.seed)
        let (silent, asked) = try await run(Array(repeating: [""], count: 12), steps: 2)
        #expect(asked.count == 12)
        #expect(silent.steps.count == 2)
        for step in silent.steps {
            guard case .parseError(let reason) = step.observation.outcome else {
                Issue.record("\(step)")
                continue
            }
            #expect(reason.contains("wrote nothing"))
        }
        #expect(silent.ending == .gaveUp("no answer after 2 steps"))
    }

    @Test("under a grammar, names and arguments are those of the task's tools")
    func grammar() async throws {
        let (_, requests) = try await run([[look], [ask("Tarn")], [done], ["7"]], constraint: .grammar)
        #expect(try requests[1].grammar == RoleView(.caller, instructions: .brief).grammar(for: apiTask()))
        #expect(requests.allSatisfy { $0.grammar != nil })
    }

    @Test("a tool whose schema cannot be followed is named, not taken for one that takes anything")
    func schemas() throws {
        var task = apiTask()
        task.tools.append(
            ToolDocument(name: "odd", function: "f", input: [:], schema: ["type": "object", "minProperties": 2]))
        let error = #expect(throws: ToolSchemaError.self) {
            try RoleView(.caller, instructions: .brief).grammar(for: task)
        }
        #expect(error?.tool == "odd")
        #expect(error?.reason.contains("minProperties") == true)
    }
}

@Suite("Tool agent")
struct ToolAgentTests {
    @Test("thinks, calls and answers in one go")
    func turns() async throws {
        let log = CounterEnvironment.Log()
        let model = ScriptedModel([["I look.\n\(ask("Tarn"))"], ["I know.\nconclusion: 7"]])
        let rollout = Rollout(policy: ToolAgent(model: RoleModel(model))) { WeatherEnvironment(log: log) }
        let trajectory = try await rollout.trajectory(for: apiTask())
        #expect(trajectory.ending == .answered("7"))
        #expect(trajectory.steps.map(\.thought) == ["I look.", "I know."])
        #expect(log.performed.withLock { $0 } == ["Tarn"])
    }
}

@Suite("Depth-first search")
struct DepthFirstSearchTests {
    private func steps(_ trajectory: Trajectory) -> [String] {
        trajectory.steps.compactMap { $0.action.toolName == nil ? nil : $0.observation.text }
    }

    @Test("with an answer on the first chain it is ReAct")
    func straight() async throws {
        let log = CounterEnvironment.Log()
        let script = [[look], [ask("Tarn")], [done], ["7"]]
        let (tree, _) = try await run(script, search: DepthFirstSearch(), log: log)
        let (greedy, _) = try await run(script)
        #expect(tree.ending == greedy.ending)
        #expect(tree.steps == greedy.steps)
        #expect(log.openCount == 0)
    }

    @Test("after giving up it goes two levels up, tells what was tried, and goes on from the state there")
    func back() async throws {
        let log = CounterEnvironment.Log()
        let (trajectory, requests) = try await run(
            [
                [look], [ask("A")], [look], [ask("B")], [hopeless],
                [look], [ask("C")], [done], ["7"],
            ], search: DepthFirstSearch(width: 2), log: log)
        // B's point had one way left, but giving up there leaves it: A's point is tried again.
        #expect(trajectory.ending == .answered("7"))
        #expect(steps(trajectory) == ["A 1", "C 2"])
        #expect(log.openCount == 0)
        let remark = requests[5].messages[1].text
        #expect(remark.contains("Tried here before"))
        #expect(remark.contains("\"observation\":\"B 2\""))
        #expect(!requests[7].messages[1].text.contains("Tried here before"))
        #expect(trajectory.steps[1].candidates.map(\.chosen) == [false, true])
        #expect(trajectory.usage.completionTokens == 90)
    }

    @Test("a kept reminder stays in the dialogue and in the record")
    func kept() async throws {
        let (trajectory, requests) = try await run(
            [[look], [ask("A")], [look], [ask("B")], [hopeless], [look], [ask("C")], [done], ["7"]],
            search: DepthFirstSearch(reminder: .kept))
        #expect(requests[7].messages[1].text.contains("Tried here before"))
        #expect(trajectory.steps[1].remarks?.count == 1)
        let view = RoleView(.planner, instructions: .brief)
        #expect(view.examples(for: trajectory)[1].dropLast() == requests[5].messages[...])
    }

    @Test("without an answer the run is one that gave up; the query budget is kept")
    func budget() async throws {
        let log = CounterEnvironment.Log()
        let (trajectory, requests) = try await run(
            Array(repeating: [hopeless], count: 20), search: DepthFirstSearch(width: 3, maximumQueries: 2), log: log)
        #expect(trajectory.ending == .gaveUp("It cannot be done."))
        #expect(requests.count <= 2)
        #expect(log.openCount == 0)
    }

    @Test("a chain that is too long is left one level up")
    func tooLong() async throws {
        let log = CounterEnvironment.Log()
        let script = [
            [look], [ask("A")], [look], [ask("B")], [look], [ask("C")], [look], [ask("D")], [look], [ask("E")],
            [look], [ask("F")],
        ]
        let (trajectory, _) = try await run(script, search: DepthFirstSearch(), steps: 2, log: log)
        #expect(log.performed.withLock { $0 } == ["A", "B", "C", "D", "E", "F"])
        #expect(trajectory.ending == .gaveUp("no answer after 2 steps"))
        #expect(steps(trajectory) == ["A 1", "B 2"])
        #expect(trajectory.usage.completionTokens == 120)
        #expect(log.openCount == 0)
    }

    @Test("a model that breaks leaves no branch open")
    func broken() async throws {
        let log = CounterEnvironment.Log()
        let (trajectory, _) = try await run([[look], [ask("A")], [look]], search: DepthFirstSearch(), log: log)
        guard case .failed = trajectory.ending else {
            Issue.record("\(String(describing: trajectory.ending))")
            return
        }
        #expect(log.openCount == 0)
    }
}
