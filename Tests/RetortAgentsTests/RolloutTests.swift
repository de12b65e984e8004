import RetortAgents
import RetortCore
import Testing

let task = AgentTask(id: "t", question: "What is x?", answers: ["42"], family: .math)

func rollout(
    _ script: [[String]], search: any Search = GreedySearch(), steps: Int = 5, log: CounterEnvironment.Log = .init()
) async throws -> Trajectory {
    let policy = CodeAgent(
        model: ScriptedModel(script), view: CodeAgentView(instructions: .brief, tools: []))
    return try await Rollout(policy: policy, search: search, maximumSteps: steps) { CounterEnvironment(log: log) }
        .trajectory(for: task)
}

@Suite("The run loop")
struct RolloutTests {
    @Test("acts and observes until the final answer")
    func greedy() async throws {
        let log = CounterEnvironment.Log()
        let trajectory = try await rollout([[turn("x = 42")], [turn("print x")], [turn("final x")]], log: log)
        #expect(trajectory.ending == .answered(42))
        #expect(trajectory.steps.map(\.observation.text) == ["(no output)", "42", ""])
        #expect(log.open.withLock { $0 } == 0)
    }

    @Test("text without a program is an observation that says what is expected")
    func parseError() async throws {
        let trajectory = try await rollout([["I do not know."], [turn("final 1")]])
        #expect(trajectory.steps[0].action == .unparsable(text: "I do not know.", reason: reason(trajectory.steps[0])))
        #expect(trajectory.steps[0].observation.text.contains("```py"))
        #expect(trajectory.ending == .answered(1))
    }

    private func reason(_ step: Step) -> String {
        if case .unparsable(_, let reason) = step.action { reason } else { "" }
    }

    @Test("at the step limit the agent is asked for its answer")
    func forced() async throws {
        let trajectory = try await rollout([[turn("x = 1")], [turn("print x")], ["Answer: 7"]], steps: 2)
        #expect(trajectory.ending == .forced("7"))
    }

    @Test("a model that breaks ends the run as failed, never as answered")
    func failure() async throws {
        let log = CounterEnvironment.Log()
        let trajectory = try await rollout([[turn("x = 1")]], log: log)
        guard case .failed = trajectory.ending else {
            Issue.record("ended as \(String(describing: trajectory.ending))")
            return
        }
        #expect(trajectory.answer == nil)
        #expect(trajectory.steps.count == 1)
        #expect(log.open.withLock { $0 } == 0)
    }

    @Test("many tasks are worked on, each once")
    func many() async throws {
        struct Fixed: LanguageModel {
            let identity = "fixed"
            func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
                AsyncThrowingStream {
                    $0.yield(.finished(sample: 0, Completion(text: turn("final 1"), finish: .endOfTurn)))
                    $0.finish()
                }
            }
        }
        let policy = CodeAgent(model: Fixed(), view: CodeAgentView(instructions: .brief, tools: []))
        let run = Rollout(policy: policy) { CounterEnvironment(log: .init()) }
        let tasks = (0..<30).map { AgentTask(id: "\($0)", question: "?", answers: [], family: .math) }
        var ids: Set<String> = []
        for try await trajectory in run.trajectories(for: tasks, concurrency: 4) { ids.insert(trajectory.task.id) }
        #expect(ids.count == 30)
    }
}

@Suite("Self-consistent search")
struct SelfConsistentSearchTests {
    private let search = SelfConsistentSearch(samples: 4)

    @Test("the most frequent final answer wins")
    func finals() async throws {
        let trajectory = try await rollout(
            [[turn("final 41"), turn("final 42"), turn("final 42", thought: "b"), turn("final 42", thought: "c")]],
            search: search)
        #expect(trajectory.ending == .answered(42))
        #expect(trajectory.steps[0].candidates.map(\.votes) == [1, 3, 3, 3])
        #expect(trajectory.steps[0].candidates.map(\.chosen) == [false, true, false, false])
    }

    @Test("candidates do not see each other's state, and the winner's becomes the session's")
    func isolation() async throws {
        let log = CounterEnvironment.Log()
        let bump = [turn("x += 1"), turn("x += 1", thought: "b"), turn("x += 1", thought: "c"), turn("fail")]
        let trajectory = try await rollout([bump, Array(repeating: turn("final x"), count: 4)], search: search, log: log)
        #expect(trajectory.ending == .answered(1))
        #expect(log.performed.withLock { $0.filter { $0 == "x += 1" }.count } == 1)
        #expect(log.open.withLock { $0 } == 0)
    }

    @Test("numbers and white space that mean the same vote together")
    func canonical() async throws {
        let trajectory = try await rollout(
            [[turn("say 3"), turn("say 2.0"), turn("say  2"), turn("fail")], Array(repeating: turn("final 1"), count: 4)],
            search: search)
        #expect(trajectory.steps[0].candidates.map(\.votes) == [1, 2, 2, 0])
        #expect(trajectory.steps[0].observation.text == "2.0")
    }

    @Test("final answers and printed outputs never pool, and ties go to the lowest sample")
    func tie() async throws {
        let trajectory = try await rollout(
            [[turn("say 2"), turn("final 2"), turn("say 2", thought: "b"), turn("final 2", thought: "b")],
                Array(repeating: turn("final 9"), count: 4)], search: search)
        #expect(trajectory.steps[0].observation.outcome == .success)
        #expect(trajectory.ending == .answered(9))
    }

    @Test("when all fail, the first sample's error is observed")
    func allFail() async throws {
        let trajectory = try await rollout(
            [[turn("fail"), "nothing", turn("fail"), turn("bad")], Array(repeating: turn("final 1"), count: 4)],
            search: search)
        #expect(trajectory.steps[0].observation.text == "Bad")
        #expect(trajectory.steps[0].candidates.allSatisfy { $0.votes == 0 })
        #expect(trajectory.steps[0].candidates[0].chosen)
    }
}
