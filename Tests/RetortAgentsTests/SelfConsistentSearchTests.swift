import RetortAgents
import RetortCore
import RetortTesting
import Testing

@Suite("Self-consistent search")
struct SelfConsistentSearchTests {
    private let search = SelfConsistentSearch(samples: 4)
    private let log = CounterEnvironment.Log()

    /// Runs programs as the samples of one step each; text without a program is given as `!text`.
    private func run(_ steps: [String]...) async throws -> Trajectory {
        let script = steps.map { programs in
            programs.enumerated().map { $1.hasPrefix("!") ? String($1.dropFirst()) : turn($1, thought: "Way \($0).") }
        }
        return try await rollout(ScriptedModel(script), search: search, log: log).trajectory(for: task)
    }

    private let end = Array(repeating: "final x", count: 4)

    @Test("the most frequent final answer wins")
    func finals() async throws {
        let trajectory = try await run(["final 41", "final 42", "final 42", "final 42"])
        #expect(trajectory.ending == .answered(42))
        #expect(trajectory.steps[0].thought == "Way 1.")
        #expect(trajectory.steps[0].candidates.map(\.votes) == [1, 3, 3, 3])
        #expect(trajectory.steps[0].candidates.map(\.chosen) == [false, true, false, false])
    }

    @Test("one request gives all samples, and the step records what all of them cost")
    func usage() async throws {
        let trajectory = try await run(["final 1", "final 1", "final 1", "final 2"])
        #expect(trajectory.usage == Usage(promptTokens: 4, completionTokens: 40, seconds: 2))
    }

    @Test("candidates do not see each other's state, and the winner's becomes the session's")
    func isolation() async throws {
        // The trailing blank makes three different programs of one meaning.
        let trajectory = try await run(["x += 1", "x += 1 ", "x += 1  ", "oops"], end)
        #expect(trajectory.steps[0].candidates.map(\.votes) == [3, 3, 3, 0])
        #expect(trajectory.ending == .answered(1))
        #expect(log.openCount == 0)
    }

    @Test("the loser's changes are gone")
    func loser() async throws {
        let trajectory = try await run(["say a", "x = 5", "x = 6", "say b"], end)
        #expect(trajectory.ending == .answered(5))
        #expect(log.openCount == 0)
    }

    @Test("identical programs run once, and so do their tool calls")
    func once() async throws {
        let trajectory = try await run(["call 7", "call 7", "call 7", "call 7"], end)
        #expect(log.count("call 7") == 1)
        #expect(trajectory.toolCallCount == 1)
        #expect(trajectory.steps[0].candidates.map(\.votes) == [4, 4, 4, 4])
    }

    @Test(
        "numbers and white space that mean the same vote together",
        arguments: [
            ("2.0", "2"), ("a \r\nb", "a\nb  "), ("[1, 2.0]", "[1.0, 2]"), ("0.30000000000000004", "0.3"),
            ("1e3", "1000"), ("a  b\n", "a b"),
        ])
    func canonical(left: String, right: String) async throws {
        let trajectory = try await run(["say other", "say \(left)", "say \(right)", "oops"], end)
        #expect(trajectory.steps[0].candidates.map(\.votes) == [1, 2, 2, 0])
        #expect(trajectory.steps[0].observation.text == left)
    }

    @Test(
        "what differs votes apart",
        arguments: [
            ("12345678901234567890", "12345678901234567891"), ("x²", "x2"), ("a b", "a\nb"), ("007", "7"),
            ("infinity", "inf"),
        ])
    func different(left: String, right: String) async throws {
        let trajectory = try await run(["say \(left)", "say \(right)", "oops", "oops"], end)
        #expect(trajectory.steps[0].candidates.map(\.votes) == [1, 1, 0, 0])
    }

    @Test("final answers vote by value, whatever their type")
    func types() async throws {
        let trajectory = try await run(["final 3", "final 2.0", "final 2", "oops"])
        #expect(trajectory.ending == .answered(2.0))
    }

    @Test("final answers and printed outputs never pool, and ties go to the lowest sample")
    func tie() async throws {
        let trajectory = try await run(["say 2", "final 2", "say 2", "final 2"], ["final 9", "final 8", "oops", "!"])
        #expect(trajectory.steps[0].candidates.map(\.votes) == [2, 2, 2, 2])
        #expect(trajectory.steps[0].observation.outcome == .success)
        #expect(trajectory.ending == .answered(9))
    }

    @Test("when all fail, the first sample's failure is observed")
    func allFail() async throws {
        let trajectory = try await run(["oops 1", "!nothing", "oops 2", "oops 2"], end)
        #expect(trajectory.steps[0].observation.text == "Bad oops 1")
        #expect(trajectory.steps[0].candidates.map(\.votes) == [0, 0, 0, 0])
        #expect(trajectory.steps[0].candidates.map(\.chosen) == [true, false, false, false])
    }

    @Test("when no sample holds a program, nothing is run and the session stands")
    func noProgram() async throws {
        let trajectory = try await run(["x = 3", "x = 3", "x = 3", "x = 3"], ["!a", "!b", "!c", "!d"], end)
        #expect(trajectory.steps[1].observation.outcome.isFailure)
        #expect(trajectory.ending == .answered(3))
        #expect(log.performed.withLock { $0 } == ["x = 3", "final x"])
        #expect(log.openCount == 0)
    }

    @Test("an environment that breaks ends the run as failed, and all forks are closed")
    func broken() async throws {
        let trajectory = try await run(["x = 1", "break", "x = 2", "say 1"])
        #expect(trajectory.ending == .failed("Broken()"))
        #expect(log.openCount == 0)
    }

    @Test("cancellation closes all forks")
    func cancelled() async throws {
        let programs = ["x = 1", "wait", "wait ", "x = 2"].map { turn($0) }
        let run = Task { [search, log] in
            try await rollout(ScriptedModel([programs]), search: search, log: log).trajectory(for: task)
        }
        for await _ in log.waiting.stream { break }
        run.cancel()
        await #expect(throws: CancellationError.self) { try await run.value }
        #expect(log.openCount == 0)
    }

    @Test("what can no longer change the vote is not run, and the record says so")
    func earlyEnd() async throws {
        let programs = ["say 1", "say 1 ", "say 1  ", "say 2"].map { turn($0) }
        let search = SelfConsistentSearch(samples: 4, concurrency: 1)
        let steps = try await rollout(ScriptedModel([programs]), search: search, steps: 1, log: log)
            .trajectory(for: task).steps
        #expect(log.performed.withLock { $0 } == ["say 1", "say 1 ", "say 1  "])
        #expect(steps[0].candidates.map(\.votes) == [3, 3, 3, 0])
        #expect(steps[0].candidates[3].observation == nil)
        #expect(log.openCount == 0)
    }

    @Test("by the paper's rule silent programs are of one mind, final answers among them")
    func paperRule() async throws {
        let search = SelfConsistentSearch(samples: 4, rule: .paper)
        func ending(_ programs: String...) async throws -> Ending? {
            let model = ScriptedModel([programs.map { turn($0) }, Array(repeating: turn("final x"), count: 4)])
            return try await rollout(model, search: search, log: log).trajectory(for: task).ending
        }
        #expect(try await ending("final 1", "final 2", "final 2 ", "final 2  ") == .answered(1))
        #expect(try await ending("oops", "say 2", "say 2.0", "final 3") == .answered(0))
    }

    @Test("no more forks run at once than allowed")
    func bounded() async throws {
        let programs = (0..<12).map { turn("say \($0)") }
        let search = SelfConsistentSearch(samples: 12, concurrency: 1)
        _ = try await rollout(ScriptedModel([programs]), search: search, steps: 1, log: log).trajectory(for: task)
        #expect(log.performed.withLock { $0 } == (0..<12).map { "say \($0)" })
    }

    @Test("answers given without a program vote too, and need no fork")
    func reasoned() async throws {
        let model = ScriptedModel([["Answer: 41", "Answer: 42", "So.\nAnswer: 42.0", "no"]])
        let policy = ChainOfThought(model: model, view: ChainOfThoughtView(instructions: .brief))
        let run = Rollout(policy: policy, search: search, maximumSteps: policy.maximumSteps) { [log] in
            CounterEnvironment(log: log)
        }
        #expect(try await run.trajectory(for: task).ending == .answered("42"))
        #expect(log.mostOpen.withLock { $0 } == 1)
    }
}
