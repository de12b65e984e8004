import Foundation
import RetortAgents
import RetortCore
import RetortDomains
import RetortLLM
import RetortStore
import RetortTesting
import RetortTraining
import RetortWorld
import Synchronization
import Testing

@testable import RetortRecipes

private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

@Suite("Rounds")
struct RoundTests {
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("retort-\(UUID().uuidString)")

    private func recipe(
        _ rounds: String, style: String = "agent", base: String = "seedlings/1m", more: String = ""
    ) throws -> Recipe {
        try Recipe(
            yaml: """
                name: small
                seed: 7
                domain: {world: {seed: 1, people: 60, passages: 1, train: {factual: 2, math: 2}}}
                students: [{name: s, base: '\(base)'}]
                training: {\(style): {epochs: 1, rounds: \(rounds)}}
                \(more)
                evaluation: {systems: [\(style)], tasks: 1, maxSteps: 4, maxTokens: 8}
                """, file: "r.yaml")
    }

    /// A small base that knows nothing.
    private func base() throws -> URL {
        let base = folder.appendingPathComponent("base")
        try AgentBench.writeBase(to: base, seed: 3, positions: 2048)
        return base
    }

    // MARK: Reading

    @Test("a round is a mapping, several are a list, and the same one may be said once for several")
    func reading() throws {
        let one = try recipe("{rejection: {samples: 3, distinct: 1}}").rounds(of: .agent)
        #expect(one.count == 1 && one[0].repair == nil)
        #expect(one[0].rejection?.samples == 3 && one[0].rejection?.most == 8 && one[0].rejection?.distinct == 1)
        let list = try recipe("[{rejection: {}, times: 2}, {repair: {learn: trajectory}}]").rounds(of: .agent)
        #expect(list.count == 3 && list[0] == list[1] && list[2].rejection == nil)
        #expect(list[2].repair?.learn == .trajectory && list[2].repair?.candidates == 5)
        #expect(try recipe("{rejection: {samples: 20}}").rounds(of: .agent)[0].rejection?.most == 20)
        #expect(try recipe("{rejection: {}}", style: "cot").rounds(of: .cot).count == 1)
    }

    @Test(
        "faults are named",
        arguments: [
            ("{}", "a round names what is done in it"), ("reject", "a round is a mapping such as"),
            ("{rejection: {sample: 3}}", "did you mean 'samples'"), ("{rejections: {}}", "did you mean 'rejection'"),
            ("{rejection: {samples: 5, most: 4}}", "'most' must be at least 'samples', 5"),
            ("{preference: {}}", "a 'preference' needs a round with"),
            ("{preference: {}, repair: {}}", "'preference' is a round of its own"),
            ("[{repair: {}}, {preference: {loss: ppo}}]", "'loss' must be one of dpo, kto"),
            ("{policy: {}, preference: {}}", "is a round of its own"),
            ("{policy: {samples: 1}}", "'samples' must be 2 to"),
            ("{distance: {}}", "'distance' needs a teacher's probabilities"),
            ("{distance: {best: 4}}", "'best' is for 'divergence: forward'"),
            ("[{repair: {}}, {preference: {teacher: true}}]", "a round with 'rejection' must be before it"),
            ("{repair: {learn: steps}}", "did you mean 'step'"), ("{repair: {}, times: 0}", "'times' must be 1 to"),
        ])
    func faults(rounds: String, said: String) {
        let error = #expect(throws: RecipeError.self) { try recipe(rounds) }
        #expect("\(error as Any)".contains(said), "\(error as Any)")
    }

    @Test("repair is refused where there is no step, or nobody to ask")
    func refusals() {
        let words = #expect(throws: RecipeError.self) { try recipe("{repair: {}}", style: "cot") }
        #expect("\(words as Any)".contains("'cot' answers in one"))
        let recorded = #expect(throws: RecipeError.self) {
            try recipe("{repair: {}}", more: "teacher: {trajectories: a.jsonl}")
        }
        #expect("\(recorded as Any)".contains("'repair' needs a teacher that can be asked"))
    }

    // MARK: Stages

    @Test("rounds follow the first training, and what is handed on is the last one's")
    func stages() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let recipe = try recipe("[{rejection: {}}, {rejection: {}, repair: {}}]")
        let run = try await RecipeRun(recipe, folder: folder)
        let stages = try await RecipeStages(run.context)
        #expect(
            stages.training.map(\.name) == [
                "train/s/agent", "rejection/s/agent@1", "train/s/agent@1", "rejection/s/agent@2", "acts/s/agent@2",
                "repair/s/agent@2", "train/s/agent@2",
            ])
        #expect(
            stages.evaluation.map(\.name) == ["evaluate/s/agent@0", "evaluate/s/agent@1", "evaluate/s/agent"])
        #expect(stages.evaluation.map(\.sources) == [["train/s/agent"], ["train/s/agent@1"], ["train/s/agent@2"]])
        #expect(stages.agents.map(\.name) == ["agent/s/agent"] && stages.agents[0].sources == ["train/s/agent@2"])
        #expect(
            stages.training[6].sources
                == ["teach/agent", "rejection/s/agent@1", "rejection/s/agent@2", "repair/s/agent@2"])
        await run.close()
    }

    @Test("a student that gets nothing right ends its rounds as it began them, and says so")
    func nothing() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let recipe = try recipe(
            "[{rejection: {samples: 2, most: 4}, repair: {candidates: 2}}, {preference: {}}]", base: base().path)
        let place = folder.appendingPathComponent("run")
        let run = try await RecipeRun(recipe, folder: place)
        try await run.run()
        let store = run.context.store
        // Every task was drawn from as often as may be, and every wrong one was tried to be repaired.
        #expect(try await store.count(in: "rejection/s/agent@1") == 16)
        #expect(try await store.count(in: "acts/s/agent@1") == 4)
        let repairs = try await store.entries(in: "repair/s/agent@1")
        #expect(repairs.count == 8 && repairs.allSatisfy { $0.trajectory.provenance.policy == "repair" })
        let record = try #require(TrainingRecord.of(stage: "train/s/agent@1", in: place))
        #expect(record.ending == "round 1 found nothing new to learn from; the student stays as it was")
        #expect(record.origins == ["teacher": 4])
        let digests = run.context.digests
        #expect(
            try digests.model(place.appendingPathComponent("checkpoints/s/agent"))
                == digests.model(place.appendingPathComponent("checkpoints/s/agent@1")))
        let preferring = try #require(TrainingRecord.of(stage: "train/s/agent@2", in: place))
        #expect(preferring.ending == "no pair of steps to prefer one of was found; the student stays as it was")
        let report = try String(contentsOf: place.appendingPathComponent("report.md"), encoding: .utf8)
        #expect(report.contains("| s | agent | 0 | the teacher alone |") && report.contains("| s | agent | 1 |"))
        #expect(report.contains("rejection, k = 2 | 4 | 16 | 0 | 0.0 | 0.0"))
        #expect(try await run.plan().isDone)
        await run.close()
    }

    @Test(
        "pairs are learned from the round before on, once with each loss, and a second run keeps everything",
        arguments: [("dpo", 8, 0.6931), ("kto", 16, 0.5), ("dpo, imitation: 0.5", 12, 0.6931)])
    func preferring(loss: String, samples: Int, start: Double) async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let base = try base()
        let recipe = try recipe(
            "[{rejection: {samples: 1, most: 1}}, {preference: {loss: \(loss), learningRate: 1e-2}}]", base: base.path)
        let place = folder.appendingPathComponent("run")
        let run = try await RecipeRun(recipe, folder: place)
        try await run.run(until: .teach)
        let (context, student) = (run.context, recipe.students[0])
        let plan = try #require(recipe.training[.agent])
        let preference = try #require(recipe.rounds(of: .agent)[1].preference)
        let first = TrainStage(context: context, student: student, style: .agent, plan: plan)
        _ = try await first.run()
        let entries = try await context.store.entries(in: "teach/agent").map(\.trajectory)
        let pairs = entries.map { trajectory in
            PreferencePair(
                "repair", trajectory, at: 0, better: trajectory.steps[0],
                worse: Step(
                    thought: "No.", action: .code("print(0)"), observation: Observation(text: "0", outcome: .success)))
        }
        let last = TrainStage(context: context, student: student, style: .agent, plan: plan, round: 2)
        let files = TrainingFiles(place, "s-agent@2")
        func job() -> TrainingJob {
            TrainingJob(
                name: last.name, key: "training.agent", base: first.trained.folder, divided: HeldOut(learning: []),
                views: [context.view(.agent)], plan: plan, target: last.trained.folder, files: files,
                keepsSamples: false,
                origins: ["pairs of repair": pairs.count])
        }
        try await TrainingThread().prefer(job(), preference, pairs)
        let record = try #require(TrainingRecord.of(stage: last.name, in: place))
        #expect(record.samples == samples && record.origins == ["pairs of repair": 4])
        #expect(record.plan?.learningRate == 1e-2 && record.updates == 1)
        let losses = try JSONCoding.decoder.decode([Double].self, from: Data(contentsOf: files.loss))
        // Nothing is preferred before the first update: ln 2 for a pair, a half for a text.
        let imitated = try preference.imitation.map {
            try $0 * -mean(pairs.map(\.chosen), first.trained.folder, context.view(.agent))
        }
        #expect(abs(losses[0] - start - (imitated ?? 0)) < 2e-3, "\(losses), of which imitation is \(imitated ?? 0)")
        let digests = context.digests
        #expect(try digests.model(first.trained.folder) != digests.model(last.trained.folder))
        // References are read again: another student's would be other numbers.
        let stored = try Data(contentsOf: files.references)
        let weights = try digests.model(last.trained.folder)
        try context.folder.remove(last.trained.folder)
        try await TrainingThread().prefer(job(), preference, pairs)
        #expect(try Data(contentsOf: files.references) == stored)
        #expect(try digests.model(last.trained.folder) == weights)
        let lines = try String(contentsOf: files.pairs, encoding: .utf8).split(separator: "\n")
        #expect(lines.count == 4 && lines[0].contains("print(0)"))
        await run.close()
    }

    /// The scores that a checkpoint gives to what trajectories' agents wrote, in nats a token.
    private func mean(_ trajectories: [Trajectory], _ folder: URL, _ view: any View) throws -> Double {
        let checkpoint = try Checkpoint(folder: folder)
        let set = try TrainingSet(
            trajectories, view: view, template: checkpoint.template, tokenizer: checkpoint.tokenizer, limit: 4096,
            overlong: .drop)
        let values = try TextScores.logProbabilities(
            of: set.examples, by: checkpoint.network(dtype: .float32, device: .cpu), rowTokens: 4096)
        return Double(values.joined().reduce(0, +)) / Double(set.examples.reduce(0) { $0 + $1.targetCount })
    }

    @Test("right draws become more probable than wrong ones, and a student comes closer to a teacher's probabilities")
    func reinforcing() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let base = try base()
        let recipe = try recipe("[{policy: {epochs: 6, learningRate: 1e-2}}]", base: base.path)
        let place = folder.appendingPathComponent("run")
        let run = try await RecipeRun(recipe, folder: place)
        try await run.run(until: .teach)
        let (context, view) = (run.context, run.context.view(.agent))
        let entries = try await context.store.entries(in: "teach/agent")
        let wrong = entries.map { entry in
            var entry = entry
            let answer = Step(
                thought: "No.", action: .code("final_answer(0)"), observation: Observation(text: "", outcome: .final(0))
            )
            entry.trajectory = entry.trajectory.with(steps: [answer])
            entry.verdict = Verdict(isCorrect: false, reason: "")
            return entry
        }
        func train(_ name: String, _ work: PolicyWork, _ draws: Int) async throws -> URL {
            let target = folder.appendingPathComponent(name)
            let job = TrainingJob(
                name: name, key: "training.agent", base: base, divided: HeldOut(learning: []), views: [view],
                plan: try #require(recipe.training[.agent]), target: target, files: TrainingFiles(place, name),
                keepsSamples: false, origins: ["draws": draws])
            try await TrainingThread().reinforce(job, work)
            let record = try #require(TrainingRecord.of(stage: "train/s/\(name.dropFirst(2))", in: place))
            #expect(record.samples == draws && (record.standing == nil) == (draws > 0))
            return target
        }
        func gap(_ folder: URL) throws -> Double {
            try mean(entries.map(\.trajectory), folder, view) - mean(wrong.map(\.trajectory), folder, view)
        }
        var policy = try #require(recipe.rounds(of: .agent)[0].policy)
        let learned = try await train("s-policy", PolicyWork(judge: .grader(policy), draws: entries + wrong), 8)
        #expect(try gap(learned) > gap(base) + 0.01)
        // Groups of one mind say nothing.
        let idle = try await train("s-idle", PolicyWork(judge: .grader(policy), draws: entries), 0)
        #expect(try gap(idle) == gap(base))
        // Held to what it was, it moves less.
        policy.penalty = 50
        let held = try await train("s-held", PolicyWork(judge: .grader(policy), draws: entries + wrong), 8)
        #expect(try gap(held) < gap(learned))

        // A teacher to whom the draws are more probable: what it scored is in the folder, once.
        var distance = RoundPlan.Distance()
        (distance.epochs, distance.learningRate) = (6, 1e-2)
        let judge = PolicyWork.Judge.teacher(distance, .folder(learned))
        let near = try await train("s-near", PolicyWork(judge: judge, draws: entries), 4)
        let before = try mean(entries.map(\.trajectory), base, view)
        let teacher = try mean(entries.map(\.trajectory), learned, view)
        #expect(teacher > before)
        #expect(try mean(entries.map(\.trajectory), near, view) > before + 0.2 * (teacher - before))
        let scores = TrainingFiles(place, "s-near").scores
        let stored = try Data(contentsOf: scores)
        _ = try await train("s-near", PolicyWork(judge: judge, draws: entries), 4)
        #expect(try Data(contentsOf: scores) == stored)

        // The same teacher behind an endpoint says the same, and is asked for each text once.
        let asked = AskedModel(try LocalModel(folder: learned, options: .init(weights: .float32)))
        let file = folder.appendingPathComponent("told.jsonl")
        func told(best: Int = 0) async throws -> TeacherScores {
            let draws = try PolicyDraws(
                PolicyWork(judge: judge, draws: entries),
                TrainingJob(
                    name: "told", key: "training.agent", base: base, divided: HeldOut(learning: []), views: [view],
                    plan: try #require(recipe.training[.agent]), target: folder, files: TrainingFiles(place, "s-told"),
                    keepsSamples: false, origins: [:]), Checkpoint(folder: base))
            return try await EndpointScores(teacher: asked, file: file, width: 2, best: best)
                .scores(of: draws.examples, progress: ProgressLine("told"))
        }
        let answers = try await told()
        let computed = try JSONCoding.decoder.decode(StoredScores.self, from: stored)
        for (told, (own, student)) in zip(
            answers.logProbabilities, zip(computed.teacher?.logProbabilities ?? [], computed.student))
        {
            // Only weighted tokens have been computed; the endpoint tells all.
            for (place, value) in own.enumerated() where student[place] != 0 {
                #expect(abs(told[place] - value) < 1e-3)
            }
        }
        #expect(answers.logProbabilities.count == 4 && answers.choices == nil && asked.count.withLock { $0 } == 4)
        // A line that a kill cut off is asked for again, and no other.
        try Data(contentsOf: file).dropLast(40).write(to: file)
        #expect(try await told().logProbabilities == answers.logProbabilities)
        #expect(asked.count.withLock { $0 } == 5)
        _ = try await train("s-told", PolicyWork(judge: .teacher(distance, .told(answers)), draws: entries), 4)

        // The forward divergence, over what the teacher would have written, brings the student nearer, too; and an endpoint tells the same.
        distance.divergence = .forward
        distance.best = 4
        let forward = PolicyWork.Judge.teacher(distance, .folder(learned))
        let led = try await train("s-forward", PolicyWork(judge: forward, draws: entries), 4)
        #expect(try mean(entries.map(\.trajectory), led, view) > before + 0.2 * (teacher - before))
        let own = try JSONCoding.decoder.decode(
            StoredScores.self, from: Data(contentsOf: TrainingFiles(place, "s-forward").scores))
        let heard = try await told(best: 4)
        for (own, heard) in zip(own.teacher?.choices ?? [], heard.choices ?? []) {
            for (own, heard) in zip(own, heard) where !own.isEmpty {
                #expect(own.count == 4 && heard.count == 4)
                #expect(zip(own, heard).allSatisfy { abs($0.logProbability - $1.logProbability) < 1e-3 })
            }
        }
        #expect(heard.choices?.count == 4 && own.teacher?.choices?.count == 4)
        await run.close()
    }

    @Test("a teacher that does not tell probabilities, or in other tokens, is refused by name")
    func otherTeachers() async throws {
        let tokenizer = try Tokenizer(root.appendingPathComponent("seedlings/tokenizer"))
        let file = folder.appendingPathComponent("told.jsonl")
        func fault(_ spelling: (@Sendable ([UInt8]) -> [UInt8])?) async -> String {
            let teacher = TellingModel(tokenizer: tokenizer, spelling: spelling)
            let error = await #expect(throws: EndpointScoresError.self) {
                try await EndpointScores(teacher: teacher, file: file, width: 1).check(tokenizer)
            }
            return "\(error as Any)"
        }
        #expect(await fault(nil).contains("does not tell them"))
        #expect(await fault { $0 + [UInt8(ascii: "e")] }.contains("has another tokenizer"))
        let own = TellingModel(tokenizer: tokenizer) { $0 }
        try await EndpointScores(teacher: own, file: file, width: 1).check(tokenizer)
    }

    @Test("a teacher behind an endpoint repairs within its budget, and is asked for nothing twice")
    func budget() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let world = World(seed: 1, people: 60)
        let questions = FactualQuestions(world, seed: 1).items("train", count: 2)
        let problems = WordProblems(seed: 1).items("train", count: 2)
        let model = ScriptedTeacherModel(
            ScriptedTeacher(world: world, factual: questions, problems: problems),
            tasks: questions.map(\.task) + problems.map(\.task))
        let endpoint = try await FaultyEndpoint(.init()) { try await CannedAnswer(of: model, to: $0) }
        let base = try base()
        func run(_ budget: String) throws -> Recipe {
            let place = "endpoint: '\(endpoint.address)', model: canned, concurrency: 1, tries: 1"
            return try recipe("{repair: {candidates: 2}}", base: base.path, more: "teacher: {\(place)\(budget)}")
        }
        let place = folder.appendingPathComponent("run")
        let set = "repair/s/agent@1"
        // A run that is let go of lets go of its folder.
        func carry(_ budget: String, until goal: RecipeRun.Goal) async throws -> (tokens: Int, steps: Int?) {
            let run = try await RecipeRun(run(budget), folder: place)
            try await run.run(until: goal)
            let spent = try SpendingLedger(run.context.folder.spendingFile).spent(for: "teacher")
            let steps = try await run.estimate().repairs?.steps
            await run.close()
            return (spent.promptTokens + spent.completionTokens, steps)
        }
        func tries() async throws -> Int {
            try await TrajectoryStore(place.appendingPathComponent("trajectories.sqlite"), .existing).count(in: set)
        }
        let taught = try await carry("", until: .teach)
        #expect(taught.steps == 8)
        let before = try await endpoint.tally().requests
        await #expect(throws: BudgetError.self) {
            _ = try await carry(", budget: {tokens: \(taught.tokens + 500)}", until: .train)
        }
        let first = try await tries()
        #expect(first > 0 && first < 8)
        _ = try await carry("", until: .train)
        #expect(try await tries() == 8)
        // What was asked for when the budget ended may have been paid and lost, once.
        #expect(try await endpoint.tally().requests <= before + 8 + 1)
        try await endpoint.close()
    }

    // MARK: What is learned

    private func work(
        _ task: AgentTask, _ programs: [String], attempt: Int, policy: String = "agent", isRight: Bool = true
    ) -> StoredTrajectory {
        var trajectory = Trajectory(
            task: task, provenance: Provenance(policy: policy, model: "s", seed: 7, attempt: attempt))
        for (index, program) in programs.enumerated() {
            let isLast = index == programs.count - 1
            trajectory.append(
                Step(
                    thought: "t\(attempt)", action: .code(program),
                    observation: Observation(
                        text: isLast ? "" : task.answers[0],
                        outcome: isLast ? .final(.string(task.answers[0])) : .success)))
        }
        trajectory.end(.answered(.string(task.answers[0])))
        return StoredTrajectory(trajectory: trajectory, verdict: Verdict(isCorrect: isRight, reason: ""))
    }

    @Test("a repair that came to nothing is no giving up, which would be right where a task cannot be solved")
    func undecided() {
        let task = AgentTask(id: "t", question: "q", answers: [], family: .math)
        func work(_ actions: [Action], _ ending: Ending) -> Trajectory {
            var trajectory = Trajectory(task: task, provenance: Provenance(policy: "repair", model: "m"))
            for action in actions {
                trajectory.append(
                    Step(thought: "", action: action, observation: Observation(text: "", outcome: .success)))
            }
            trajectory.end(ending)
            return trajectory
        }
        #expect(work([], .gaveUp("step 1 showed something else")).isUndecided(behind: 1))
        #expect(work([.code("a"), .code("b")], .gaveUp("the teacher did the same")).isUndecided(behind: 1))
        #expect(!work([.code("a"), .giveUp(reason: "no")], .gaveUp("no")).isUndecided(behind: 1))
        #expect(!work([.code("a"), .code("b"), .giveUp(reason: "no")], .gaveUp("no")).isUndecided(behind: 1))
        #expect(!work([.code("a"), .code("b")], .answered(1)).isUndecided(behind: 1))
    }

    @Test("right answers that differ are learned, so many a task over all rounds, and repairs by their step")
    func lessons() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let recipe = try recipe("[{rejection: {distinct: 2}}, {rejection: {distinct: 3}, repair: {}}]")
        let run = try await RecipeRun(recipe, folder: folder)
        let (store, tasks) = (run.context.store, run.context.source.train)
        let taught = work(tasks[0], ["print(1)", "final_answer(total)"], attempt: 0).trajectory
        try await store.save(
            [
                // Does what the teacher did.
                work(tasks[0], ["print( 1 )", "final_answer(total)  # so"], attempt: 0),
                work(tasks[0], ["print(2)", "final_answer(total)"], attempt: 1),
                work(tasks[0], ["print(2)  # again", "final_answer(total)"], attempt: 2),
                work(tasks[0], ["print(3, 4)", "final_answer(total)"], attempt: 3),
                work(tasks[0], ["print(5)", "final_answer(total)"], attempt: 4),
                work(tasks[1], ["print(9)", "final_answer(total)"], attempt: 0, isRight: false),
            ], in: "rejection/s/agent@1")
        try await store.save(
            [
                work(tasks[0], ["print(6)", "final_answer(total)"], attempt: 0),
                work(tasks[0], ["print(7)", "final_answer(total)"], attempt: 1),
                work(tasks[2], ["print(8)", "final_answer(total)"], attempt: 0),
            ], in: "rejection/s/agent@2")
        try await store.save(
            [
                work(tasks[1], ["print(1)", "print(2)", "final_answer(total)"], attempt: 1, policy: "repair"),
                work(tasks[3], ["final_answer(total)"], attempt: 0, policy: "repair", isRight: false),
            ], in: "repair/s/agent@2")
        func round(_ number: Int) -> StudentRound {
            StudentRound(context: run.context, student: recipe.students[0], style: .agent, number: number)
        }
        let first = try await round(1).lessons(besides: HeldOut(learning: [Lesson(taught)]))
        #expect(first.counts == ["teacher": 1, "rejection of round 1": 2])
        let second = try await round(2).lessons(besides: HeldOut(learning: [Lesson(taught)]))
        #expect(
            second.counts == [
                "teacher": 1, "rejection of round 1": 2, "rejection of round 2": 2, "repair of round 2": 1,
            ])
        let repaired = second.origins.first { $0.origin == "repair" }
        #expect(repaired?.steps == [1] && repaired?.set == "repair/s/agent@2")
        #expect(second.origins.first { $0.origin == "rejection" }?.steps == nil)
        // Three of the first task in all.
        #expect(second.lessons.filter { $0.trajectory.task == tasks[0] }.count == 1 + 3)
        // A task that is held out is not learned from.
        var divided = HeldOut(learning: [Lesson(taught)])
        divided.held = [Lesson(work(tasks[1], ["final_answer(1)"], attempt: 0).trajectory)]
        #expect(try await round(2).lessons(besides: divided).counts["repair of round 2"] == nil)
        await run.close()
    }

    @Test("harder tasks are drawn from again, and what was drawn later counts only then")
    func harder() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let recipe = try recipe("{rejection: {samples: 2, most: 6, distinct: 2}}")
        let run = try await RecipeRun(recipe, folder: folder)
        let (store, tasks) = (run.context.store, run.context.source.train)
        let round = StudentRound(context: run.context, student: recipe.students[0], style: .agent, number: 1)
        let stage = RejectionStage(round: round, plan: try #require(recipe.rounds(of: .agent)[0].rejection))
        try await store.save(
            [
                work(tasks[0], ["print(1)", "final_answer(total)"], attempt: 0),
                work(tasks[0], ["print(2)", "final_answer(total)"], attempt: 1),
                // The same twice.
                work(tasks[1], ["print(1)", "final_answer(total)"], attempt: 0),
                work(tasks[1], ["print( 1)", "final_answer(total)"], attempt: 1),
                work(tasks[1], ["print(2)", "final_answer(total)"], attempt: 2),
                work(tasks[2], ["print(1)", "final_answer(total)"], attempt: 0, isRight: false),
            ], in: stage.name)
        #expect(try await stage.hard(after: 2) == Array(tasks[1...]))
        #expect(try await stage.hard(after: 4) == Array(tasks[2...]))
        await run.close()
    }
}

/// A model that counts what it is asked.
private final class AskedModel: LanguageModel {
    let identity = "asked"
    let count = Mutex(0)
    private let inner: any LanguageModel

    init(_ inner: any LanguageModel) { self.inner = inner }

    func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
        count.withLock { $0 += 1 }
        return inner.stream(request)
    }
}

/// A model that says how probable a prompt's tokens are, and how they are spelled; or says neither.
private struct TellingModel: LanguageModel {
    let identity = "telling"
    let tokenizer: Tokenizer
    let spelling: (@Sendable ([UInt8]) -> [UInt8])?

    func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
        AsyncThrowingStream { continuation in
            var completion = Completion(text: "", finish: .length)
            if case .tokens(let tokens) = request.plain, let spelling {
                completion.promptReport = tokens.enumerated().map { place, id in
                    let bytes = spelling(Array(tokenizer.decode([id]).utf8))
                    return GeneratedToken(id: id, bytes: bytes, logprob: place == 0 ? nil : -1)
                }
            }
            continuation.yield(.finished(sample: 0, completion))
            continuation.finish()
        }
    }
}
