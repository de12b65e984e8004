import Foundation
import RetortAgents
import RetortCore
import RetortDomains
import RetortLLM
import RetortStore
import RetortTraining
import Testing

@testable import RetortRecipes

private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

private func recipe(_ training: String, more: String = "") throws -> Recipe {
    try Recipe(
        yaml: """
            name: small
            domain: {world: {people: 50, train: {factual: 5, math: 5}}}
            students: [{name: a, base: seedlings/3m}]
            \(more)
            training: {cot: {\(training)}, agent: {}}
            evaluation: {systems: [cot]}
            """, file: "r.yaml")
}

private func plan(_ training: String, more: String = "") throws -> Recipe.TrainingPlan {
    try #require(try recipe(training, more: more).training[.cot])
}

private func message(_ body: () throws -> some Any) -> String {
    let error = #expect(throws: RecipeError.self) { try body() }
    return error.map(String.init(describing:)) ?? ""
}

@Suite("Plans that a recipe leaves open")
struct TrainingPlanTests {
    @Test("what is not said is chosen by size, said with its reason, and overridden key by key")
    func bySize() throws {
        let open = try plan("lora: {}").settled("training.cot", width: 576, samples: 1200)
        #expect(
            open.choice
                == "rank 32, rate 0.001, 2 epochs: width 576, 1200 samples, adapters; override with training.cot.lora.rank, "
                + "training.cot.learningRate, training.cot.epochs")
        guard case .lora(let lora) = open.configuration.method else {
            Issue.record("no adapter")
            return
        }
        #expect(lora.rank == 32 && lora.alpha == 64)
        let said = try plan("epochs: 5, lora: {rank: 8}").settled("k", width: 576, samples: 1200)
        #expect(said.configuration.epochs == 5 && said.choice?.hasPrefix("rate 0.001: width 576") == true)
        #expect(said.configuration.method == .lora(LoRAConfiguration(rank: 8, alpha: 16)))
        let alpha = try plan("lora: {alpha: 5, rank: bySize}").settled("k", width: 576, samples: 1200)
        #expect(alpha.configuration.method == .lora(LoRAConfiguration(rank: 32, alpha: 5)))
    }

    @Test("a recipe that says everything is trained as it says")
    func said() throws {
        let plan = try plan("epochs: 2, learningRate: 5e-4")
        #expect(plan.open == nil && plan.settled("k", width: 64, samples: 3).choice == nil)
        let settled = plan.settled("k", width: 64, samples: 3).configuration
        #expect(settled.epochs == 2 && settled.learningRate == 5e-4 && settled.method == .full)
    }

    @Test("a rate is a number, by size, or found by a range test around that")
    func rate() throws {
        #expect(try plan("learningRate: auto").open?.learningRate == .byRangeTest)
        #expect(try plan("learningRate: bySize").open?.learningRate == .bySize)
        #expect(try plan("learningRate: 1").configuration.learningRate == 1)
        let tested = try plan("learningRate: auto, epochs: 1").settled("k", width: 224, samples: 10)
        #expect(tested.configuration.learningRate == 1.5e-3 && tested.choice == nil)
        #expect(
            message { try plan("learningRate: atuo") }.contains("must be a number, auto (a short range test) or bySize")
        )
        #expect(message { try plan("epochs: auto") }.contains("'epochs' must be a whole number"))
        #expect(message { try plan("lora: {rank: big}") }.contains("'rank' must be a whole number"))
    }

    @Test("a curriculum's full weights have the paper's plan; adapters have the general one, by size")
    func curricula() throws {
        let stages =
            try Recipe(
                yaml: """
                    name: small
                    domain: {apis: {people: 60, train: 6}}
                    students: [{name: a, base: b}]
                    curricula:
                      - name: umi
                        stages:
                          - {name: global, roles: [backbone], training: {rowTokens: 512}}
                          - {name: planner, from: global, roles: [planner], training: {lora: {}}}
                          - {name: caller, from: global, roles: [caller], training: {epochs: bySize, learningRate: auto}}
                          - {name: summarizer, roles: [summarizer], training: {learningRate: bySize}}
                    evaluation: {searches: [greedy]}
                    """, file: "r.yaml"
            ).curricula?[0].stages.map(\.plan) ?? []
        #expect(stages[0].open == nil && stages[0].configuration.learningRate == 5e-5)
        #expect(stages[1].settled("k", width: 576, samples: 1200).configuration.learningRate == 1e-3)
        #expect(stages[0].configuration.warmup == 0.4 && stages[0].configuration.accumulation == 6)
        #expect(stages[1].configuration.warmup == 0 && stages[1].configuration.accumulation == 1)
        // A stage that goes on from another with all weights is gentler; one from the base is not.
        #expect(stages[2].settled("k", width: 224, samples: 1).configuration.learningRate == 5e-4)
        #expect(stages[2].open?.learningRate == .byRangeTest && stages[2].open?.epochs == .bySize)
        #expect(stages[3].settled("k", width: 224, samples: 1).configuration.learningRate == 1.5e-3)
    }

    @Test("plans of earlier manifests are read as they were: everything said, nothing held out")
    func earlier() throws {
        let json = try JSONCoding.decoder.decode(
            JSONValue.self,
            from: JSONCoding.encoder.encode(try plan("epochs: 2, learningRate: 5e-4", more: "validation: none")))
        var members = try #require(json.object)
        members["open"] = nil
        members["validation"] = nil
        let old = try JSONCoding.decoder.decode(
            Recipe.TrainingPlan.self, from: JSONCoding.encoder.encode(JSONValue.object(members)))
        #expect(old.open == nil && old.validation == nil && old.configuration.epochs == 2)
    }
}

@Suite("What is held out")
struct HeldOutTests {
    private func trajectories(_ tasks: Int, each: Int = 2) -> [Lesson] {
        (0..<tasks).flatMap { number in
            (0..<each).map { attempt in
                // The same question in other writing is the same task, whatever its id.
                let question = attempt == 0 ? "How much is \(number)?" : "how  much is \(number)? "
                var trajectory = Trajectory(
                    task: AgentTask(id: "\(number)/\(attempt)", question: question, answers: [], family: .math),
                    provenance: Provenance(policy: "p", model: "m"))
                trajectory.id = "\(number)-\(attempt)"
                return Lesson(trajectory)
            }
        }
    }

    private func number(_ lesson: Lesson) -> String { String(lesson.trajectory.id.prefix { $0 != "-" }) }

    @Test("a share of the tasks, all of one question together, whatever the order")
    func share() throws {
        let choice = ValidationChoice(share: 0.25)
        let all = trajectories(40)
        let divided = try HeldOut(all, choice, seed: 1, style: "cot")
        #expect(divided.tasks == 10 && divided.held.count == 20 && divided.learned.count == 60)
        #expect(Set(divided.held.map(number)).isDisjoint(with: divided.learned.map(number)))
        let turned = try HeldOut(all.reversed(), choice, seed: 1, style: "cot")
        #expect(Set(turned.held.map(\.trajectory.id)) == Set(divided.held.map(\.trajectory.id)))
        let other = try HeldOut(all, choice, seed: 2, style: "cot")
        #expect(Set(other.held.map(\.trajectory.id)) != Set(divided.held.map(\.trajectory.id)))
        // A larger share holds out the same and more.
        let more = try HeldOut(all, ValidationChoice(share: 0.5), seed: 1, style: "cot")
        #expect(Set(more.held.map(\.trajectory.id)).isSuperset(of: divided.held.map(\.trajectory.id)))
    }

    @Test(
        "unasked: a twentieth, eight tasks to a hundred, and none of few",
        arguments: [(79, 0), (80, 8), (400, 20), (5000, 100)])
    func usual(tasks: Int, held: Int) throws {
        let divided = try HeldOut(trajectories(tasks, each: 1), ValidationChoice(), seed: 1, style: "cot")
        #expect(divided.tasks == held && divided.held.count == held && divided.learned.count == tasks - held)
        #expect(divided.note?.contains(held == 0 ? "too few" : "\(held) of \(tasks)") == true)
    }

    @Test("asked: at least one, never all, and one task alone is refused by name")
    func asked() throws {
        #expect(try HeldOut(trajectories(2), ValidationChoice(share: 0.001), seed: 1, style: "cot").tasks == 1)
        #expect(try HeldOut(trajectories(3), ValidationChoice(share: 0.5), seed: 1, style: "cot").tasks == 2)
        #expect(
            try HeldOut(trajectories(90), ValidationChoice(share: 0.5, mostTasks: 7), seed: 1, style: "c").tasks == 7)
        let error = #expect(throws: RunError.self) {
            try HeldOut(trajectories(1, each: 3), ValidationChoice(share: 0.5), seed: 1, style: "cot")
        }
        #expect("\(error.map(String.init(describing:)) ?? "")".contains("'cot' has nothing to validate on"))
    }

    @Test("the recipe's key holds for all trainings, and a training's own for it")
    func reading() throws {
        #expect(try plan("").validation == ValidationChoice())
        #expect(try plan("", more: "validation: none").validation == nil)
        #expect(try plan("validation: none").validation == nil)
        #expect(try recipe("validation: none").training[.agent]?.validation == ValidationChoice())
        #expect(try plan("", more: "validation: 0.2").validation == ValidationChoice(share: 0.2))
        #expect(
            try plan("validation: {every: 7}", more: "validation: 0.2").validation
                == ValidationChoice(share: 0.2, every: 7))
        #expect(
            try plan("validation: {share: 0.1, mostTasks: 9, every: 5, patience: none, keep: last}").validation
                == ValidationChoice(share: 0.1, mostTasks: 9, every: 5, patience: nil, keeps: .last))
        #expect(
            try plan("validation: {patience: 2}", more: "validation: none").validation == ValidationChoice(patience: 2))
        #expect(ValidationChoice().plan(updates: 95) == ValidationPlan(every: 10, patience: 4, keeps: .best))
        #expect(
            ValidationChoice(every: 3).plan(updates: 95).every == 3 && ValidationChoice().plan(updates: 1).every == 1)
    }

    @Test(
        "faults are named",
        arguments: [
            ("validation: some", "must be none, a share of the tasks"), ("validation: 0", "must be none, a share"),
            ("validation: 0.9", "up to 0.5"), ("validation: {patients: 3}", "did you mean 'patience'"),
            ("validation: {patience: 0}", "'patience' must be 1 to"),
            ("validation: {keep: bets}", "did you mean 'best'"),
            ("validation: {share: 0.7}", "'share' must be from"), ("validation: [1]", "must be a text or a mapping"),
        ])
    func faults(key: String, said: String) {
        let told = message { try plan(key) }
        #expect(told.contains(said), "\(told)")
        #expect(message { try plan("", more: key) }.contains(said))
    }

    @Test("stages of curricula hold out the same tasks, so a share there is refused with the reason")
    func curricula() throws {
        func umi(_ stage: String, _ more: String = "") throws -> [Curriculum.Stage] {
            try Recipe(
                yaml: """
                    name: small
                    domain: {apis: {people: 60, train: 6}}
                    students: [{name: a, base: b}]
                    \(more)
                    curricula: [{name: one, stages: [{name: global, roles: [backbone], training: {\(stage)}}]}]
                    evaluation: {searches: [greedy]}
                    """, file: "r.yaml"
            ).curricula?[0].stages ?? []
        }
        #expect(try umi("validation: {every: 3}")[0].plan.validation == ValidationChoice(every: 3))
        #expect(try umi("validation: none")[0].plan.validation == nil)
        #expect(try umi("epochs: 1", "validation: 0.3")[0].plan.validation == ValidationChoice(share: 0.3))
        for key in ["validation: 0.2", "validation: {share: 0.2}", "validation: {mostTasks: 2}"] {
            #expect(message { try umi(key) }.contains("all hold out the same tasks"))
        }
        #expect(
            message { try umi("validation: {every: 2}", "validation: none") }.contains(
                "there are no tasks to look at here"))
    }
}

@Suite("Training that finds its plan", .serialized, .timeLimit(.minutes(30)))
struct FoundPlanTests {
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("retort-\(UUID().uuidString)")
    private var run: URL { folder.appendingPathComponent("run") }
    private var base: URL { folder.appendingPathComponent("base") }

    private func prepare() throws {
        try AgentBench.writeBase(to: base, seed: 3, positions: 2048)
    }

    private func world(_ training: String, more: String = "") throws -> Recipe {
        try Recipe(
            yaml: """
                name: small
                seed: 7
                domain: {world: {seed: 1, people: 60, passages: 1, train: {factual: 0, math: 10}}}
                students: [{name: s, base: '\(base.path)'}]
                \(more)
                training: {\(training)}
                evaluation: {systems: [cot], tasks: 1, maxSteps: 1, maxTokens: 8}
                """, file: "r.yaml")
    }

    private func record(_ stage: String) throws -> TrainingRecord {
        try #require(TrainingRecord.of(stage: stage, in: run))
    }

    @Test(
        "a run holds tasks out, finds its rate, keeps its best update, and says all of it",
        arguments: ["", ", lora: {}"])
    func whole(method: String) async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try prepare()
        let recipe = try world(
            "cot: {learningRate: auto, epochs: 2, rowTokens: 64, validation: {share: 0.2, every: 8}\(method)}")
        try await RecipeRun(recipe, folder: run).run()
        let record = try record("train/s/cot")
        #expect(record.heldOutTasks == 2 && record.heldOutSamples == 2 && record.samples == 8)
        let curve = try #require(record.validation)
        #expect(curve.points.first?.update == 0 && curve.points.last?.update == record.updates)
        #expect(record.kept == curve.best?.update)
        #expect(record.rangeTest?.hasPrefix("rate ") == true && record.plan?.validation?.every == 8)
        #expect((record.choice == nil) == method.isEmpty)
        let trial = try JSONCoding.decoder.decode(
            RateTrial.self, from: Data(contentsOf: run.appendingPathComponent("results/rate-s-cot.json")))
        #expect(trial.rate == record.plan?.learningRate && trial.test.points.count > 1)
        let report = try String(contentsOf: run.appendingPathComponent("report.md"), encoding: .utf8)
        let page = try String(contentsOf: run.appendingPathComponent("report.html"), encoding: .utf8)
        for text in [report, page] { #expect(text.contains("Tasks held out") && text.contains("kept, held-out loss")) }
        #expect(page.contains("s cot, held out"))
        // What was chosen changes nothing of what the stage depends on.
        #expect(try await RecipeRun(recipe, folder: run).plan().isDone)
        let names = try FileManager.default.contentsOfDirectory(
            atPath: run.appendingPathComponent("checkpoints/s/cot").path)
        #expect(!names.contains("training.safetensors"))
    }

    @Test("the new keys are inputs of their training and of nothing else")
    func inputs() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try prepare()
        func inputs(_ training: String, _ more: String = "") async throws -> [String: Set<StageInput>] {
            let opened = try await RecipeRun(world(training, more: more), folder: run)
            var all: [String: Set<StageInput>] = [:]
            for stage in try await RecipeStages(opened.context).upTo(.evaluate) {
                all[stage.name] = Set(try await stage.inputs() + stage.sources.map { .text("source", $0) })
            }
            return all
        }
        let plain = try await inputs("cot: {lora: {}}, agent: {}")
        for keys in [
            "epochs: 2, lora: {}", "learningRate: auto, lora: {}", "learningRate: 1e-3, lora: {}", "lora: {rank: 8}",
            "lora: {alpha: 8}", "lora: {}, validation: none", "lora: {}, validation: 0.2",
            "lora: {}, validation: {every: 3}", "lora: {}, validation: {patience: none}",
            "lora: {}, validation: {patience: 3}", "lora: {}, validation: {keep: last}",
            "lora: {}, validation: {mostTasks: 3}",
        ] {
            let changed = try await inputs("cot: {\(keys)}, agent: {}")
            #expect(changed.filter { plain[$0.key] != $0.value }.keys.sorted() == ["train/s/cot"], "\(keys)")
        }
        let all = try await inputs("cot: {lora: {}}, agent: {}", "validation: 0.3")
        #expect(all.filter { plain[$0.key] != $0.value }.keys.sorted() == ["train/s/agent", "train/s/cot"])
    }

    /// A domain of questions with recorded answers, two of them validation tasks.
    private func bring(validation: String = "[5, 6]") throws -> (String) throws -> Recipe {
        try prepare()
        func line(_ number: Int) -> String {
            #"{"id": "q\#(number)", "question": "How much is \#(number) and 1?", "answer": "\#(number + 1)"}"# + "\n"
        }
        let numbers = try JSONCoding.decoder.decode([Int].self, from: Data(validation.utf8))
        try Data((1...4).map(line).joined().utf8).write(to: folder.appendingPathComponent("train.jsonl"))
        try Data(numbers.map(line).joined().utf8).write(to: folder.appendingPathComponent("validation.jsonl"))
        try Data(line(9).utf8).write(to: folder.appendingPathComponent("test.jsonl"))
        let told = try (1...6).map { number in
            var trajectory = Trajectory(
                task: AgentTask(
                    id: "q\(number)", question: "How much is \(number) and 1?", answers: ["\(number + 1)"],
                    family: .math),
                provenance: Provenance(policy: "p", model: "m"))
            trajectory.id = "t\(number)"
            trajectory.append(
                Step(
                    speaker: "reasoner", thought: "It is \(number + 1).", action: .answer(.string("\(number + 1)")),
                    observation: Observation(text: "", outcome: .final(.string("\(number + 1)")))))
            trajectory.end(.answered(.string("\(number + 1)")))
            return String(decoding: try JSONCoding.encoder.encode(trajectory), as: UTF8.self) + "\n"
        }
        try Data(told.joined().utf8).write(to: folder.appendingPathComponent("told.jsonl"))
        return { training in
            try Recipe(
                yaml: """
                    name: own
                    domain: {tasks: {train: train.jsonl, validation: validation.jsonl, test: {out: test.jsonl}}}
                    teacher: {trajectories: told.jsonl, format: trajectories}
                    students: [{name: s, base: base}]
                    training: {cot: {epochs: 2\(training)}}
                    evaluation: {systems: [cot], tasks: 1, maxTokens: 8}
                    """, file: folder.appendingPathComponent("r.yaml").path)
        }
    }

    @Test("a domain's own validation tasks are taught apart and choose among the updates")
    func own() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let recipe = try bring()
        try await RecipeRun(recipe(""), folder: run).run(until: .train)
        let store = try TrajectoryStore(run.appendingPathComponent("trajectories.sqlite"))
        #expect(try await store.entries(in: "teach/cot").count == 4)
        #expect(try await store.entries(in: "teach/cot/validation").map(\.trajectory.task.id).sorted() == ["q5", "q6"])
        #expect(try record("train/s/cot").heldOutTasks == 2 && record("train/s/cot").samples == 4)
        // Other validation tasks are taught and looked at anew; what is learned from is kept.
        let lines = try String(contentsOf: folder.appendingPathComponent("validation.jsonl"), encoding: .utf8)
        try Data(lines.split(separator: "\n")[0].utf8).write(to: folder.appendingPathComponent("validation.jsonl"))
        let plan = try await RecipeRun(recipe(""), folder: run).plan(until: .train)
        #expect(plan["teach/cot"] == .keep && plan["teach/cot/validation"] != .keep && plan["train/s/cot"] != .keep)
        // A share, or none, leaves them alone.
        for other in [", validation: 0.25", ", validation: none"] {
            let stages = try await RecipeRun(recipe(other), folder: run).plan(until: .train)
            #expect(stages["teach/cot/validation"] == nil && stages["teach/cot"] == .keep)
        }
        try await RecipeRun(recipe(", validation: 0.25"), folder: run).run(until: .train)
        #expect(try record("train/s/cot").heldOutTasks == 1 && record("train/s/cot").samples == 3)
        try await RecipeRun(recipe(", validation: none"), folder: run).run(until: .train)
        #expect(try record("train/s/cot").heldOutTasks == nil && record("train/s/cot").samples == 4)
    }

    @Test("validation tasks that are trained on or tested on are refused, and so are some that nobody has solved")
    func refused() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        for (numbers, said) in [("[4]", "training tasks, too"), ("[9]", "test tasks, too")] {
            let recipe = try bring(validation: numbers)
            let lines = try String(contentsOf: folder.appendingPathComponent("validation.jsonl"), encoding: .utf8)
            try Data(lines.replacing("\"id\": \"q", with: "\"id\": \"v").utf8).write(
                to: folder.appendingPathComponent("validation.jsonl"))
            let error = await #expect(throws: (any Error).self) { try await RecipeRun(recipe(""), folder: run) }
            #expect("\(error.map(String.init(describing:)) ?? "")".contains(said))
        }
        let recipe = try bring(validation: "[7]")
        let error = await #expect(throws: RunError.self) {
            try await RecipeRun(recipe(""), folder: run).run(until: .train)
        }
        #expect("\(error.map(String.init(describing:)) ?? "")".contains("nothing to validate on"))
    }

    @Test(
        "a plan of few updates is named when more samples come in each than are needed, and not when there are few samples"
    )
    func fewUpdates() {
        var plan = TrainingConfiguration(epochs: 2, rowTokens: 4096, accumulation: 6)
        let said = TrainingThread.fewUpdates(14, samples: 1333, plan)
        #expect(said?.contains("14 updates, of about 190 samples") == true)
        #expect(said?.contains("'accumulation' (6)") == true && said?.contains("'rowTokens' (4096)") == true)
        plan.accumulation = 1
        #expect(TrainingThread.fewUpdates(83, samples: 1333, plan) == nil)
        #expect(TrainingThread.fewUpdates(4, samples: 40, plan) == nil)
    }
}
