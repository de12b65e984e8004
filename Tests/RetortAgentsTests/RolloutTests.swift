import RetortAgents
import RetortCore
import RetortTesting
import Synchronization
import Testing

let task = AgentTask(id: "t", question: "What is x?", answers: ["42"], family: .math)
let bareView = CodeAgentView(instructions: .brief, tools: [])

func rollout(
    _ model: any LanguageModel, search: any Search = GreedySearch(), steps: Int = 5, seed: UInt64 = 0,
    log: CounterEnvironment.Log = .init()
) -> Rollout {
    Rollout(policy: CodeAgent(model: model, view: bareView), search: search, maximumSteps: steps, seed: seed) {
        CounterEnvironment(log: log)
    }
}

@Suite("The run loop")
struct RolloutTests {
    @Test("acts and observes until the final answer")
    func greedy() async throws {
        let log = CounterEnvironment.Log()
        let model = ScriptedModel([[turn("x = 42")], [turn("print x")], [turn("final x")]])
        let trajectory = try await rollout(model, log: log).trajectory(for: task, attempt: 3)
        #expect(trajectory.ending == .answered(42))
        #expect(trajectory.steps.map(\.observation.text) == ["(no output)", "42", ""])
        #expect(trajectory.usage == Usage(promptTokens: 3, completionTokens: 30, seconds: 1.5))
        #expect(trajectory.id == "t/agent/3")
        #expect(log.openCount == 0)
    }

    @Test("text without a program is an observation that says what is expected, and nothing is run")
    func parseError() async throws {
        let log = CounterEnvironment.Log()
        let trajectory = try await rollout(ScriptedModel([["I do not know."], [turn("final 1")]]), log: log)
            .trajectory(for: task)
        guard case .unparsable("I do not know.", _) = trajectory.steps[0].action,
            case .parseError = trajectory.steps[0].observation.outcome
        else {
            Issue.record("\(trajectory.steps[0])")
            return
        }
        #expect(trajectory.steps[0].observation.text.contains("```py"))
        #expect(log.performed.withLock { $0 } == ["final 1"])
        #expect(trajectory.ending == .answered(1))
    }

    @Test("a step tells whether its text can be written again, and keeps the server's tokens")
    func transcripts() async throws {
        let loose = "I add.\n```python\nx = 1\n```\n"
        let tokens = TokenIDs(prompt: [1, 2], completion: [3])
        let model = ScriptedModel(completions: [
            [Completion(text: turn("x = 42"), finish: .endOfTurn)], [Completion(text: loose, finish: .endOfTurn)],
            [Completion(text: turn("final x"), finish: .endOfTurn, tokens: tokens)],
        ])
        let trajectory = try await rollout(model).trajectory(for: task)
        #expect(trajectory.steps.map(\.transcript) == [.same, .drifted(text: loose), .tokens(tokens)])
        #expect(trajectory.provenance.prompt == bareView.identity)
        #expect(trajectory.provenance.version == Retort.version)
        let other = CodeAgentView(instructions: .full, tools: [])
        #expect(other.identity != bareView.identity)
    }

    @Test("an error of a program is observed, and the run goes on")
    func executionError() async throws {
        let trajectory = try await rollout(ScriptedModel([[turn("oops")], [turn("final 1")]])).trajectory(for: task)
        #expect(trajectory.steps[0].observation.text == "Bad oops")
        #expect(trajectory.ending == .answered(1))
    }

    @Test("a turn cut at the token limit holds no action, even when it seems whole")
    func cut() async throws {
        let cut = Completion(text: turn("final 1"), finish: .length)
        let model = ScriptedModel(completions: [[cut], [Completion(text: turn("final 2"), finish: .endOfTurn)]])
        let trajectory = try await rollout(model).trajectory(for: task)
        #expect(trajectory.steps[0].observation.text.contains("cut at the token limit"))
        #expect(trajectory.ending == .answered(2))
    }

    @Test("at the step limit the agent is asked for its answer, in the same chat")
    func forced() async throws {
        let model = ScriptedModel([[turn("x = 1")], [turn("print x")], ["Answer: 7"]])
        let trajectory = try await rollout(model, steps: 2).trajectory(for: task)
        #expect(trajectory.ending == .forced("7"))
        let prompts = model.requests.map(\.messages)
        let whole = bareView.messages(for: trajectory)
        for prompt in prompts { #expect(Array(whole.prefix(prompt.count)) == prompt) }
        #expect(prompts.last == whole.dropLast())
    }

    @Test("an agent that has no answer when asked gave up; its words and their cost are kept")
    func gaveUp() async throws {
        let trajectory = try await rollout(ScriptedModel([[turn("x = 1")], [" "]]), steps: 1).trajectory(for: task)
        guard case .gaveUp = trajectory.ending else {
            Issue.record("ended as \(String(describing: trajectory.ending))")
            return
        }
        #expect(trajectory.answer == nil)
        #expect(trajectory.usage.completionTokens == 20)
    }

    @Test("a model that breaks ends the run as failed, never as answered")
    func modelFails() async throws {
        let log = CounterEnvironment.Log()
        let trajectory = try await rollout(ScriptedModel([[turn("x = 1")]]), log: log).trajectory(for: task)
        #expect(trajectory.ending == .failed("\(ScriptEnded(replies: 1))"))
        #expect(trajectory.answer == nil)
        #expect(trajectory.steps.count == 1)
        #expect(log.openCount == 0)
    }

    @Test("an environment that breaks, or cannot be made, ends the run as failed")
    func environmentFails() async throws {
        let log = CounterEnvironment.Log()
        let broken = try await rollout(ScriptedModel(always: turn("break")), log: log).trajectory(for: task)
        #expect(broken.ending == .failed("Broken()"))
        #expect(log.openCount == 0)
        let policy = CodeAgent(model: ScriptedModel(always: turn("final 1")), view: bareView)
        let missing = try await Rollout(policy: policy) { throw CounterEnvironment.Broken() }.trajectory(for: task)
        #expect(missing.ending == .failed("Broken()"))
    }

    @Test("a cancelled run throws, and leaves no record of a failure that was none")
    func cancelled() async throws {
        let (asked, continuation) = AsyncStream<Void>.makeStream()
        let log = CounterEnvironment.Log()
        let run = Task { try await rollout(SilentModel(asked: continuation), log: log).trajectory(for: task) }
        for await _ in asked { break }
        run.cancel()
        await #expect(throws: CancellationError.self) { try await run.value }
        #expect(log.openCount == 0)
    }

    @Test("events tell of each step, its text first, and end with the trajectory")
    func events() async throws {
        var told: [String] = []
        let model = ScriptedModel([[turn("x = 1")], [turn("final x")]])
        for try await event in rollout(model).run(task) {
            switch event {
            case .stepStarted(let index): told.append("started \(index)")
            case .text: told.append("text")
            case .stepFinished(let step): told.append("finished \(step.action.code ?? "")")
            case .finished(let trajectory): told.append("answered \(trajectory.answer ?? "nothing")")
            }
        }
        #expect(
            told == ["started 0", "text", "finished x = 1", "started 1", "text", "finished final x", "answered 1"])
    }

    @Test("a step's seed depends on run, task, attempt and step alone")
    func seeds() async throws {
        func seeds(seed: UInt64, attempt: Int) async throws -> [UInt64] {
            let model = ScriptedModel([[turn("x = 1")], [turn("final x")]])
            _ = try await rollout(model, seed: seed).trajectory(for: task, attempt: attempt)
            return model.requests.map(\.sampling.seed)
        }
        let first = try await seeds(seed: 1, attempt: 0)
        #expect(try await seeds(seed: 1, attempt: 0) == first)
        #expect(Set(first).count == 2)
        #expect(try await Set(first + seeds(seed: 2, attempt: 0) + seeds(seed: 1, attempt: 1)).count == 6)
    }
}

@Suite("Many tasks")
struct RolloutRunnerTests {
    private let tasks = (0..<30).map { AgentTask(id: "\($0)", question: "?", answers: [], family: .math) }

    @Test("each is worked on once, and no more at once than allowed")
    func bounded() async throws {
        let log = CounterEnvironment.Log()
        let run = rollout(ScriptedModel(always: turn("final 1")), log: log)
        let ids = Mutex<[String]>([])
        try await run.run(tasks.map { RolloutJob($0) }, concurrency: 4) { done in
            ids.withLock { $0 += done.map(\.task.id) }
        }
        #expect(ids.withLock { $0.count } == 30)
        #expect(Set(ids.withLock { $0 }).count == 30)
        #expect(log.mostOpen.withLock { $0 } <= 4)
        #expect(log.openCount == 0)
    }

    @Test("a failing task is a result, and the others go on")
    func failing() async throws {
        let run = rollout(ScriptedModel([[turn("final 1")], [turn("final 1")]]))
        let endings = Mutex<[Ending?]>([])
        try await run.run(tasks.prefix(3).map { RolloutJob($0) }, concurrency: 1) { done in
            endings.withLock { $0 += done.map(\.ending) }
        }
        #expect(endings.withLock { $0 } == [.answered(1), .answered(1), .failed("\(ScriptEnded(replies: 2))")])
    }

    @Test("only what failed is tried again")
    func tries() async throws {
        let model = FailingModel(failures: 3, text: turn("final 1"))
        let endings = Mutex<[Ending?]>([])
        try await rollout(model).run(tasks.prefix(4).map { RolloutJob($0) }, concurrency: 1, tries: 3) { done in
            endings.withLock { $0 += done.map(\.ending) }
        }
        #expect(endings.withLock { $0 }.count { $0 == .answered(1) } == 3)
        #expect(endings.withLock { $0 }.count == 4 && model.asked.withLock { $0 } == 6)
    }

    @Test("an error that says nothing about the task ends the run, and no task is recorded as failed")
    func halted() async throws {
        let model = FailingModel(failures: .max, text: "", halts: true)
        let count = Mutex(0)
        await #expect(throws: FailingModel.Failure.self) {
            try await rollout(model).run(tasks.map { RolloutJob($0) }, concurrency: 4, tries: 3) { done in
                count.withLock { $0 += done.count }
            }
        }
        #expect(count.withLock { $0 } == 0)
    }

    @Test("agents wait for a slow store")
    func backpressure() async throws {
        let model = FailingModel(failures: 0, text: turn("final 1"))
        let saved = Mutex(0)
        try await rollout(model).run(tasks.map { RolloutJob($0) }, concurrency: 3) { done in
            let before = saved.withLock { $0 }
            await Task.yield()
            #expect(model.asked.withLock { $0 } <= before + 3)
            saved.withLock { $0 += done.count }
        }
        #expect(saved.withLock { $0 } == 30)
    }

    @Test("what had finished before a cancellation is handed over")
    func handedOver() async throws {
        let log = CounterEnvironment.Log()
        let saved = Mutex<[String]>([])
        let model = AnsweringModel(answers: 3, text: turn("final 1"))
        let consumer = Task { [tasks] in
            try await rollout(model, log: log).run(tasks.map { RolloutJob($0) }, concurrency: 4) { done in
                let isFirst = saved.withLock { saved in
                    saved += done.map(\.task.id)
                    return saved.count == done.count
                }
                guard isFirst else { return }
                // A slow store: the others finish meanwhile, one never does, and then the run is cancelled.
                for _ in 0..<500 where model.asked.withLock({ $0 }) < 4 || log.openCount > 1 {
                    try await Task.sleep(for: .milliseconds(10))
                }
                try await Task.sleep(for: .milliseconds(50))
                withUnsafeCurrentTask { $0?.cancel() }
            }
        }
        await #expect(throws: CancellationError.self) { try await consumer.value }
        #expect(saved.withLock { Set($0).count } == 3)
    }

    @Test("cancelling ends the iteration")
    func cancelled() async throws {
        let (asked, continuation) = AsyncStream<Void>.makeStream()
        let run = rollout(SilentModel(asked: continuation))
        let consumer = Task { [tasks] in
            try await run.run(tasks.map { RolloutJob($0) }, concurrency: 2) { _ in Issue.record("nothing can finish") }
        }
        for await _ in asked { break }
        consumer.cancel()
        await #expect(throws: CancellationError.self) { try await consumer.value }
    }
}
