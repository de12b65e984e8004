import RetortAgents
import RetortCore
import RetortTesting
import Testing

@Suite("Repair of single steps")
struct StepRepairTests {
    private let view = CodeAgentView(instructions: .brief, tools: [])
    private let log = CounterEnvironment.Log()

    private func step(_ program: String, _ text: String, _ outcome: Observation.Outcome = .success) -> Step {
        Step(thought: "So.", action: .code(program), observation: Observation(text: text, outcome: outcome))
    }

    /// Sets 2, goes wrong before everybody's eyes, prints and answers 2; asked for was 5.
    private var wrong: Trajectory {
        var trajectory = Trajectory(
            task: AgentTask(id: "t", question: "How much?", answers: ["5"], family: .math),
            provenance: Provenance(policy: "agent", model: "student", seed: 3))
        trajectory.append(step("x = 2", "(no output)"))
        trajectory.append(step("oops", "Bad oops", .executionError(type: "Bad", message: "bad")))
        trajectory.append(step("print x", "2"))
        trajectory.append(step("final x", "", .final(2)))
        trajectory.end(.answered(2))
        return trajectory
    }

    private func repair(
        student: ScriptedModel, teacher: ScriptedModel, starting x: Int = 0
    ) -> StepRepair {
        let log = log
        let rollout = Rollout(
            policy: CodeAgent(model: student, view: view), maximumSteps: 5, seed: 3
        ) { CounterEnvironment(x: x, log: log) }
        return StepRepair(rollout, teacher: CodeAgent(name: "teacher", model: teacher, view: view))
    }

    @Test("the first failure is looked at first, then what follows, then what lies before, nearest first")
    func order() {
        #expect(StepRepair.candidates(of: wrong) == [1, 2, 3, 0])
        let silent = wrong.with(steps: [wrong.steps[0], wrong.steps[2], wrong.steps[3]])
        #expect(StepRepair.candidates(of: silent) == [0, 1, 2])
        var refused = wrong.steps[2]
        refused.observation.toolCalls = [ToolCall(name: "s", arguments: [:], error: "no")]
        #expect(StepRepair.candidates(of: wrong.with(steps: [wrong.steps[0], refused])) == [1, 0])
        // An answer that was asked for is no step of its own accord.
        var forced = Trajectory(task: wrong.task, provenance: wrong.provenance)
        forced.append(wrong.steps[0])
        forced.append(Step(thought: "", action: .answer(1), observation: Observation(text: "", outcome: .final(1))))
        forced.end(.forced(1))
        #expect(StepRepair.candidates(of: forced) == [0])
        let fetched = wrong.with(steps: [.retrieval("search", query: "q", passages: "p")] + wrong.steps)
        #expect(StepRepair.candidates(of: fetched) == [2, 3, 4, 1])
    }

    @Test("the steps before are done again, the teacher writes one, and the student goes on")
    func repaired() async throws {
        let student = ScriptedModel([[turn("final x")]])
        let teacher = ScriptedModel([[turn("x += 3", thought: "Three more.")]])
        let result = try await repair(student: student, teacher: teacher)(wrong, step: 1)
        #expect(result.id == "t/repair/1" && result.provenance.attempt == 1 && result.provenance.model == "student")
        #expect(result.steps.map(\.action) == [.code("x = 2"), .code("x += 3"), .code("final x")])
        #expect(result.ending == .answered(5))
        #expect(log.performed.withLock { $0 } == ["x = 2", "x += 3", "final x"] && log.openCount == 0)
        let step = result.steps[1]
        #expect(step.thought == "Three more." && step.usage == ScriptedModel.cost)
        #expect(step.candidates.map(\.action) == [.code("oops"), .code("x += 3")])
        #expect(step.candidates.map(\.chosen) == [false, true])
        #expect(step.candidates[0].observation == wrong.steps[1].observation)
        // What the task is stays as it was.
        #expect(result.task == wrong.task)
    }

    @Test("the teacher sees the question and what came before: neither the mistake, nor its error, nor the reference")
    func unseen() async throws {
        let teacher = ScriptedModel([[turn("x += 3")]])
        _ = try await repair(student: ScriptedModel([[turn("final x")]]), teacher: teacher)(wrong, step: 1)
        let shown = teacher.requests.flatMap(\.messages)
        let before = Trajectory(task: wrong.task, provenance: wrong.provenance)
        var prefix = before
        prefix.append(wrong.steps[0])
        #expect(shown == view.messages(for: prefix))
        let text = shown.dropFirst().map(\.text).joined()
        for secret in ["oops", "Bad", "5", "print x"] { #expect(!text.contains(secret)) }
        // A policy that looks at the task itself finds no reference there.
        let spy = Spy()
        let log = log
        let rollout = Rollout(policy: spy, maximumSteps: 3, seed: 3) { CounterEnvironment(log: log) }
        _ = try await StepRepair(rollout, teacher: spy)(wrong, step: 0)
        #expect(await spy.seen.first?.task.answers == [])
    }

    @Test("where the world shows something else now, nobody is asked")
    func changed() async throws {
        let teacher = ScriptedModel([[String]]())
        let moved = wrong.with(steps: [wrong.steps[2], wrong.steps[3]])
        let result = try await repair(student: ScriptedModel([[String]]()), teacher: teacher, starting: 7)(
            moved, step: 1)
        #expect(result.ending == .gaveUp("step 1 showed something else when it was done again"))
        #expect(result.steps.isEmpty && teacher.requests.isEmpty && log.openCount == 0)
    }

    @Test("a teacher that does what the student did changes nothing, and the student is not asked")
    func same() async throws {
        let student = ScriptedModel([[String]]())
        let teacher = ScriptedModel([[turn("oops   # surely")]])
        let result = try await repair(student: student, teacher: teacher)(wrong, step: 1)
        #expect(result.ending == .gaveUp("the teacher did the same"))
        #expect(student.requests.isEmpty && log.count("oops") == 0)
        // What the teacher took is known all the same.
        #expect(result.usage == ScriptedModel.cost)
    }

    @Test("a teacher that answers ends the run")
    func answered() async throws {
        let student = ScriptedModel([[String]]())
        let result = try await repair(student: student, teacher: ScriptedModel([[turn("final 5")]]))(wrong, step: 0)
        #expect(result.ending == .answered(5) && result.steps.count == 1)
    }

    @Test("a teacher that breaks makes a failed trajectory, one that halts the run ends it")
    func broken() async throws {
        let log = log
        let rollout = Rollout(policy: CodeAgent(model: ScriptedModel(always: ""), view: view), maximumSteps: 3, seed: 3)
        {
            CounterEnvironment(log: log)
        }
        let failing = CodeAgent(model: FailingModel(failures: 9, text: ""), view: view)
        let result = try await StepRepair(rollout, teacher: failing)(wrong, step: 1)
        guard case .failed = result.ending else {
            Issue.record("\(result.ending as Any)")
            return
        }
        let halting = CodeAgent(model: FailingModel(failures: 9, text: "", halts: true), view: view)
        await #expect(throws: FailingModel.Failure.self) {
            try await StepRepair(rollout, teacher: halting)(wrong, step: 1)
        }
        #expect(log.openCount == 0)
    }
}

/// Answers at once, and remembers what it was shown.
private actor Spy: Policy {
    nonisolated let name = "spy"
    nonisolated let modelIdentity = "spy"
    private(set) var seen: [Trajectory] = []

    func propose(
        for trajectory: Trajectory, _ request: ProposalRequest, emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> [Proposal] {
        seen.append(trajectory)
        return [Proposal(thought: "", action: .code("final 1"))]
    }

    func conclude(
        _ trajectory: Trajectory, seed: UInt64, emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> Proposal? { nil }
}
