import Foundation
import RetortAgents
import RetortCore
import RetortLLM
import RetortStore
import RetortTensor
import Testing

@testable import RetortRecipes

private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

/// Recipes over real files, of which one byte is changed at a time.
@Suite("Stages follow their inputs", .serialized, .timeLimit(.minutes(30)))
struct StageDependencyTests {
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("retort-\(UUID().uuidString)")
    private var base: URL { folder.appendingPathComponent("base") }
    private var run: URL { folder.appendingPathComponent("run") }
    private var tests: URL { folder.appendingPathComponent("tests.json") }
    private var recorded: URL { folder.appendingPathComponent("tora.jsonl") }

    /// A base in two shards, questions, and recorded trajectories.
    private func prepare() throws {
        try AgentBench.writeBase(to: base, seed: 3, positions: 2048)
        try Data(#"[{"question": "What is 2 + 3 ?", "answer": "5"}]"#.utf8).write(to: tests)
        let lines = (1...4).map { number in
            """
            {"question": "What is \(number) + 1 ?", "gt": "\(number + 1)", "answer": "\(number + 1)", "idx": \(number), \
            "code": ["```python\\nprint(\(number) + 1)\\n```\\n```output\\n\(number + 1)\\n```\\nIt is \\\\boxed{\(number + 1)}."]}
            """
        }
        try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: recorded)
    }

    private func world(
        training: String = "cot: {epochs: 1}, agent: {epochs: 1}", systems: String = "cot, agent, cot-prompt",
        more: String = "", noise: String = "", steps: Int = 1, limits: String = ""
    ) throws -> Recipe {
        try Recipe(
            yaml: """
                name: small
                seed: 7
                domain: {world: {seed: 1, people: 60, passages: 1, train: {factual: 2, math: 2}\(noise)}}
                students: [{name: s, base: '\(base.path)'}]
                training: {\(training)}
                \(more)
                evaluation: {systems: [\(systems)], tasks: 1, maxSteps: \(steps), maxTokens: 8\(limits)}
                """, file: "r.yaml")
    }

    /// What a run of the recipe would do now, and why.
    private func changed(_ recipe: Recipe) async throws -> Set<String> {
        Set(try await RecipeRun(recipe, folder: run).plan().entries.filter { $0.action != .keep }.map(\.stage))
    }

    private func flip(_ file: URL, at offset: UInt64 = 40) throws {
        let handle = try FileHandle(forUpdating: file)
        try handle.seek(toOffset: offset)
        let byte = try handle.read(upToCount: 1)?.first ?? 0
        try handle.seek(toOffset: offset)
        try handle.write(contentsOf: Data([byte ^ 1]))
        try handle.close()
    }

    /// Marks everything as made, without the work: what a finished run's manifest says.
    private func finish(_ recipe: Recipe) async throws {
        let opened = try await RecipeRun(recipe, folder: run)
        if let documents = opened.context.source.documents { try opened.context.folder.link(documents) }
        var records: [String: StageRecord] = [:]
        for stage in try await RecipeStages(opened.context).upTo(.evaluate) {
            let inputs = try await stage.inputs().map { ($0.name, $0.value) }
            let sources = stage.sources.map { ("stage \($0)", records[$0]?.output ?? "none") }
            var record = StageRecord(Dictionary(inputs + sources, uniquingKeysWith: { first, _ in first }))
            if stage.name.hasPrefix("train/") {
                let target = opened.context.folder.url.appendingPathComponent("checkpoints/\(stage.name.dropFirst(6))")
                try FileManager.default.createDirectory(at: target, withIntermediateDirectories: true)
                try Data("{}".utf8).write(to: target.appendingPathComponent("config.json"))
            }
            if let agent = stage as? AgentStage { _ = try await agent.run() }
            try Data("1".utf8).write(to: opened.context.folder.result("size-s"))
            record.end(.complete, content: try await stage.output(), seconds: 0)
            records[stage.name] = record
        }
        try AtomicFile.write(
            JSONCoding.prettyEncoder.encode(Manifest(recipe: recipe, stages: records)),
            to: opened.context.folder.manifestFile)
    }

    private static let trained: Set = [
        "train/s/cot", "train/s/agent", "agent/s/cot", "agent/s/agent", "evaluate/s/cot", "evaluate/s/agent",
    ]

    @Test("a byte of the base, its tokenizer or its template changes what rests on the base, and no teaching")
    func baseFiles() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try prepare()
        let recipe = try world()
        try await finish(recipe)
        #expect(try await changed(recipe).isEmpty)
        let template = base.appendingPathComponent("chat_template.jinja")
        try Data("{{ messages }}".utf8).write(to: template)
        #expect(try await changed(recipe) == Self.trained.union(["evaluate/s/cot-prompt"]))
        for name in ["model.safetensors", "tokenizer.json", "config.json"] {
            try await finish(recipe)
            #expect(try await changed(recipe).isEmpty)
            try flip(base.appendingPathComponent(name))
            let plan = try await RecipeRun(recipe, folder: run).plan()
            #expect(plan["train/s/cot"] == .remake(["base weights"]))
            #expect(try await changed(recipe) == Self.trained.union(["evaluate/s/cot-prompt"]))
        }
    }

    @Test("keys of a recipe change exactly what reads them")
    func keys() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try prepare()
        try await finish(world())
        let agent: Set = ["train/s/agent", "agent/s/agent", "evaluate/s/agent"]
        #expect(try await changed(world(training: "cot: {epochs: 1}, agent: {epochs: 2}")) == agent)
        #expect(try await changed(world(systems: "cot, agent, cot-prompt, agent+sag")) == ["evaluate/s/agent+sag"])
        #expect(try await changed(world(systems: "agent")).isEmpty)
        #expect(try await changed(world(more: "filter: {toolUse: true}")) == Self.trained)
        #expect(try await changed(world(more: "maxFailures: 0.5")).isEmpty)
        let teaching: Set = ["teach/cot", "teach/agent"]
        #expect(try await changed(world(noise: ", noise: {agentSlip: 0.5}")) == teaching.union(Self.trained))
        let asked = try world(more: "teacher: {endpoint: 'http://127.0.0.1:1', model: a}")
        try await finish(asked)
        #expect(
            try await changed(world(more: "teacher: {endpoint: 'http://127.0.0.1:2', model: a, concurrency: 3}"))
                .isEmpty)
        for other in [
            "endpoint: 'http://127.0.0.1:1', model: b", "endpoint: 'http://127.0.0.1:1', model: a, maxTokens: 9",
        ] {
            #expect(try await changed(world(more: "teacher: {\(other)}")) == teaching.union(Self.trained))
        }
        let nameless = try world(more: "teacher: {endpoint: 'http://127.0.0.1:1'}")
        try await finish(nameless)
        let moved = try world(more: "teacher: {endpoint: 'http://127.0.0.1:2'}")
        #expect(try await changed(moved) == teaching.union(Self.trained))
    }

    @Test("limits of programs and steps change the work of agents, and what agents' folders say of them")
    func limits() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try prepare()
        try await finish(world())
        let agent: Set = ["teach/agent", "train/s/agent", "agent/s/agent", "agent/s/cot", "evaluate/s/agent"]
        #expect(try await changed(world(limits: ", programSeconds: 3")) == agent)
        #expect(try await changed(world(steps: 2)) == agent)
        let plan = try await RecipeRun(world(steps: 2), folder: run).plan()
        #expect(plan["teach/agent"] == .remake(["evaluation.maxSteps"]))
    }

    @Test("a place's own name for its model counts, and so does the template that prompts are written with")
    func placesAndTemplates() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try prepare()
        func teacher(_ place: String, _ model: String) throws -> Recipe {
            try world(more: "teacher: {endpoint: {url: 'http://127.0.0.1:1'\(place)}, model: \(model)}")
        }
        let all = Self.trained.union(["teach/cot", "teach/agent"])
        try await finish(teacher(", model: own", "a"))
        #expect(try await changed(teacher(", model: own", "b")).isEmpty)
        #expect(try await changed(teacher(", model: other", "a")) == all)
        #expect(try await changed(teacher("", "a")) == all)
        let copy = folder.appendingPathComponent("copy")
        try FileManager.default.copyItem(at: base, to: copy)
        let completing = try world(
            more: "teacher: {endpoint: 'http://127.0.0.1:1', model: a, api: completions, template: '\(copy.path)'}")
        try await finish(completing)
        #expect(try await changed(completing).isEmpty)
        try flip(copy.appendingPathComponent("tokenizer.json"))
        #expect(try await changed(completing) == all)
        let plan = try await RecipeRun(completing, folder: run).plan()
        #expect(plan["teach/cot"] == .remake(["teacher's template"]))
    }

    @Test("the filter changes what the roles of a curriculum learn from")
    func roles() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try prepare()
        func roles(_ more: String = "") throws -> Recipe {
            try Recipe(
                yaml: """
                    name: roles
                    domain: {apis: {seed: 1, people: 60, train: 4}}
                    students: [{name: s, base: '\(base.path)'}]
                    curricula: [{name: single, stages: [{name: global, roles: [backbone], training: {epochs: 1}}]}]
                    \(more)
                    evaluation: {tasks: 1, maxSteps: 1, maxTokens: 8, searches: [greedy]}
                    """, file: "r.yaml")
        }
        try await finish(roles())
        #expect(try await changed(roles()).isEmpty)
        let learned: Set = ["train/s/single.global", "agent/s/single", "evaluate/s/single+greedy"]
        #expect(try await changed(roles("filter: {toolUse: true}")) == learned)
    }

    @Test("what a teacher is told counts: the words of its prompts, and what its tools say of themselves")
    func prompts() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try prepare()
        try Data(#"{"question": "Where is the Blue Mill?", "answer": "Arden"}"#.utf8)
            .write(to: folder.appendingPathComponent("train.jsonl"))
        try Data(#"{"id": "p1", "contents": "Blue Mill\nThe Blue Mill stands in Arden."}"#.utf8)
            .write(to: folder.appendingPathComponent("passages.jsonl"))
        func inputs(
            _ style: Recipe.Style, description: String = "Searches.", instructions: String = "Be brief."
        ) async throws -> Set<StageInput> {
            let recipe = try Recipe(
                yaml: """
                    name: own
                    domain:
                      instructions: \(instructions)
                      tasks: {train: train.jsonl, test: {in: '\(tests.path)'}}
                      documents: {path: passages.jsonl, tool: look_up, description: \(description), results: 1}
                      grader: exact
                      form: code
                    teacher: {endpoint: 'http://127.0.0.1:1', model: a}
                    students: [{name: s, base: '\(base.path)'}]
                    training: {cot: {epochs: 1}, agent: {epochs: 1}}
                    evaluation: {systems: [agent], tasks: 1}
                    """, file: folder.appendingPathComponent("r.yaml").path)
            let opened = try await RecipeRun(recipe, folder: folder.appendingPathComponent("run-\(UUID().uuidString)"))
            let inputs = try await TeachStage(context: opened.context, style: style).inputs()
            await opened.close()
            return Set(inputs)
        }
        func names(_ change: Set<StageInput>, _ style: Recipe.Style) async throws -> Set<String> {
            Set(try await inputs(style).symmetricDifference(change).map(\.name))
        }
        let told = "Say why."
        #expect(try await names(inputs(.agent, instructions: told), .agent) == ["agent's prompt"])
        #expect(try await names(inputs(.cot, instructions: told), .cot) == ["reasoning prompt"])
        let other = "Finds passages."
        #expect(try await names(inputs(.agent, description: other), .agent) == ["agent's prompt", "tools"])
        #expect(try await names(inputs(.cot, description: other), .cot) == [])
    }

    @Test("a checkpoint that teaches counts by its content and by how its weights are held, not by its place")
    func localTeacher() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try prepare()
        func teacher(_ more: String = "", in place: URL? = nil) throws -> Recipe {
            try world(more: "teacher: {folder: '\((place ?? base).path)', maxTokens: 8, maxSteps: 1\(more)}")
        }
        let usual = WeightPrecision.usual(on: .cpu)
        try await finish(teacher())
        #expect(try await changed(teacher(", weights: \(usual.rawValue)")).isEmpty)
        let teaching = Self.trained.union(["teach/cot", "teach/agent"])
        #expect(try await changed(teacher(", weights: \(usual == .float32 ? "bfloat16" : "float32")")) == teaching)
        let copy = folder.appendingPathComponent("copy")
        try FileManager.default.copyItem(at: base, to: copy)
        #expect(try await changed(teacher(in: copy)).isEmpty)
        try flip(copy.appendingPathComponent("model.safetensors"))
        #expect(try await changed(teacher(in: copy)) == teaching)
    }

    @Test("a byte of a document changes what searches; a byte of a test file, what is measured on it")
    func files() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try prepare()
        let recipe = try world()
        try await finish(recipe)
        let name = try #require(
            try FileManager.default.contentsOfDirectory(atPath: run.path).first {
                $0.hasSuffix(".jsonl") && $0.hasPrefix("passages")
            })
        // A letter of a text: the line still reads as JSON.
        let documents = run.appendingPathComponent(name)
        let text = try String(contentsOf: documents, encoding: .utf8)
        try Data(text.replacing("the", with: "The", maxReplacements: 1).utf8).write(to: documents)
        #expect(try await changed(recipe) == ["teach/agent", "train/s/agent", "agent/s/agent", "evaluate/s/agent"])

        let other = try Recipe(
            yaml: """
                name: files
                domain: {tasks: {test: {out: '\(tests.path)'}}, grader: math, form: code}
                teacher: {trajectories: '\(recorded.path)', format: tora, train: 3}
                students: [{name: s, base: '\(base.path)'}]
                training: {agent: {epochs: 1}}
                evaluation: {systems: [agent], tasks: 1}
                """, file: "r.yaml")
        try await finish(other)
        #expect(try await changed(other).isEmpty)
        try Data(#"[{"question": "What is 2 + 4 ?", "answer": "6"}]"#.utf8).write(to: tests)
        #expect(try await changed(other) == ["evaluate/s/agent"])
        try await finish(other)
        let lines = try String(contentsOf: recorded, encoding: .utf8)
        try Data(lines.replacing("It is", with: "It Is").utf8).write(to: recorded)
        #expect(try await changed(other) == ["teach/agent", "train/s/agent", "agent/s/agent", "evaluate/s/agent"])
    }

    @Test("a look at another recipe leaves a run as it is")
    func dryRun() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try prepare()
        let recipe = try world()
        try await finish(recipe)
        var other = recipe
        other.domain = .world(.init(seed: 9, people: 70, trainFactual: 2, trainMath: 2, passages: 1, noise: nil))
        #expect(try await changed(other).count == 9)
        #expect(try await changed(recipe).isEmpty)
    }

    @Test("an imported set is learned from and kept, and one that a run made is not imported into")
    func imported() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try prepare()
        try FileManager.default.createDirectory(at: run, withIntermediateDirectories: true)
        let store = try TrajectoryStore(run.appendingPathComponent("trajectories.sqlite"))
        var given = Trajectory(
            task: AgentTask(id: "theirs", question: "2 + 2?", answers: ["4"], family: .math),
            provenance: Provenance(policy: "theirs", model: "m"))
        given.append(
            Step(
                speaker: "agent", thought: "I add.", action: .code("final_answer(2 + 2)"),
                observation: Observation(text: "", outcome: .final(4))))
        given.end(.answered(4))
        try await store.importing([StoredTrajectory(trajectory: given, verdict: nil)], in: "teach/agent")
        let recipe = try world()
        try await RecipeRun(recipe, folder: run).run(until: .teach)
        let entries = try await store.entries(in: "teach/agent")
        #expect(entries.map(\.trajectory.id) == [given.id] && entries[0].verdict?.isCorrect == true)
        #expect(try await changed(recipe).isDisjoint(with: ["teach/agent", "teach/cot"]))
        // More of the same is taken in; a set of the run's own is not mixed.
        given.id = "second"
        try await store.importing([StoredTrajectory(trajectory: given, verdict: nil)], in: "teach/agent")
        #expect(try await changed(recipe).contains("teach/agent"))
        await #expect(throws: StoreError.self) {
            try await store.importing([StoredTrajectory(trajectory: given, verdict: nil)], in: "teach/cot")
        }
    }

    @Test("test questions that stand in an imported set are reported, as they are and with other numbers")
    func importedOverlap() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try prepare()
        let opened = try await RecipeRun(try world(), folder: run)
        #expect(try await TestOverlap(opened.context).table.rows.isEmpty)
        let test = try #require(opened.context.source.tests.first)
        let others = ["Ann has 3 apples.", test.question]
        let given = others.enumerated().map { number, question in
            var given = Trajectory(
                task: AgentTask(id: "theirs-\(number)", question: question, answers: ["4"], family: .math),
                provenance: Provenance(policy: "theirs", model: "m"))
            given.end(.answered(4))
            return StoredTrajectory(trajectory: given, verdict: nil)
        }
        try await opened.context.store.importing([given[0]], in: "teach/agent")
        #expect(try await TestOverlap(opened.context).table.rows.isEmpty)
        try await opened.context.store.importing([given[1]], in: "teach/agent")
        let rows = try await TestOverlap(opened.context).table.rows
        #expect(rows.contains { $0[0] == test.split && $0[2] != "0" })
        #expect(try await TestOverlap.imported(opened.context.store) == others.sorted())
    }

    @Test("looking at a plan leaves nothing behind where nothing was, and sees what is there")
    func preview() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try prepare()
        let recipe = try world()
        let plan = try await RecipeRun.preview(recipe, folder: run) { try await $0.plan() }
        #expect(plan.entries.contains { $0.action != .keep })
        #expect(!FileManager.default.fileExists(atPath: run.path))
        try FileManager.default.createDirectory(at: run, withIntermediateDirectories: true)
        _ = try await RecipeRun.preview(recipe, folder: run) { try await $0.plan() }
        #expect(try FileManager.default.contentsOfDirectory(atPath: run.path).isEmpty)
        try await finish(recipe)
        let again = try await RecipeRun.preview(recipe, folder: run) { try await $0.plan() }
        #expect(again.entries.allSatisfy { $0.action == .keep })
    }

    @Test("what a recipe names and is not there is told before anything is done, all at once")
    func check() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try prepare()
        let recipe = try Recipe(
            yaml: """
                name: broken
                domain: {world: {seed: 1, people: 60, train: {factual: 2, math: 2}}}
                teacher: {endpoint: 'http://127.0.0.1:1', model: a, key: RETORT_NO_SUCH_KEY}
                students: [{name: a, base: '\(folder.path)/absent'}, {name: b, base: '\(base.path)'}]
                training: {agent: {lora: {targets: [embed_tokens, q_proj]}}}
                evaluation: {systems: [agent]}
                """, file: "r.yaml")
        let error = await #expect(throws: RunError.self) { try await RecipeRun(recipe, folder: run).run() }
        let text = "\(error.map(String.init(describing:)) ?? "")"
        #expect(text.contains("RETORT_NO_SUCH_KEY") && text.contains("student 'a': its base"))
        #expect(text.contains("'embed_tokens'") && !text.contains("'q_proj',"))
        #expect(!FileManager.default.fileExists(atPath: run.appendingPathComponent("manifest.json").path))
        let refusals = try await RecipeRun.preview(recipe, folder: run) { $0.refusals() }
        #expect(refusals.count == 3 && refusals.allSatisfy(text.contains))
    }

    @Test("a training whose base holds what is no number names the tensor, not the learning rate")
    func notFinite() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try prepare()
        let file = base.appendingPathComponent("model.safetensors")
        let stored = try SafetensorsFile(file)
        let name = "model.layers.0.mlp.gate_proj.weight"
        let tensors = try stored.entries.keys.sorted().map { key in
            (name: key, tensor: key == name ? try Tensor.full(stored.tensor(key).shape, .nan) : try stored.tensor(key))
        }
        try SafetensorsFile.write(tensors, to: file)
        let recipe = try world(training: "cot: {epochs: 1, validation: none}", systems: "cot")
        let error = await #expect(throws: CheckpointError.self) {
            try await RecipeRun(recipe, folder: run).run(until: .train)
        }
        #expect(error == .notFinite(file: file.path, name: name))
    }

    @Test("what cannot be loaded of a base is told before anything is done; a plan waits for what a run would fetch")
    func checkedBases() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try prepare()
        let empty = folder.appendingPathComponent("adapter")
        try FileManager.default.createDirectory(at: empty, withIntermediateDirectories: true)
        let settings =
            #"{"peft_type": "LORA", "base_model_name_or_path": "\#(base.path)", "r": 2, "lora_alpha": 2, "#
            + #""target_modules": ["v_proj"]}"#
        try Data(settings.utf8).write(to: empty.appendingPathComponent("adapter_config.json"))
        let wide = folder.appendingPathComponent("wide")
        try FileManager.default.copyItem(at: base, to: wide)
        let file = wide.appendingPathComponent("config.json")
        let fields = try #require(try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any])
        try JSONSerialization.data(withJSONObject: fields.merging(["intermediate_size": 999]) { $1 }).write(to: file)
        let recipe = try Recipe(
            yaml: """
                name: broken
                domain: {world: {seed: 1, people: 60, train: {factual: 2, math: 2}}}
                students:
                  - {name: empty, base: '\(empty.path)'}
                  - {name: wide, base: '\(wide.path)'}
                  - {name: far, base: someone/no-such-model}
                  - {name: good, base: '\(base.path)'}
                training: {agent: {lora: {targets: [attn.k_proj, self_attn.v_proj]}}}
                evaluation: {systems: [agent]}
                """, file: "r.yaml")
        let refusals = try await RecipeRun.preview(recipe, folder: run) { $0.refusals() }
        #expect(refusals.count == 3)
        #expect(refusals[0].contains("adapter_model.safetensors cannot be read"))
        #expect(refusals[1].contains("its configuration calls for [999,"))
        #expect(refusals[2].hasPrefix("student 'good': training.agent"))
        #expect(refusals[2].contains("beside 'attn.k_proj';"))
    }
}

@Suite("A pretraining as a stage")
struct PretrainStageTests {
    @Test("other text, another tokenizer or fewer rows are another pretraining, and do not go on from its state")
    func inputs() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("retort-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let file = folder.appendingPathComponent("p.yaml")
        func stage(_ change: (String, String)) throws -> PretrainStage {
            let text = """
                name: p
                tokenizer: \(root.path)/seedlings/tokenizer
                textSeed: 1
                rows: 100
                """
            try Data(text.replacing(change.0, with: change.1).utf8).write(to: file)
            return PretrainStage(recipe: try Pretraining(file), folder: folder, digests: FileDigests())
        }
        let plain = Set(try await stage(("name: p", "name: p")).inputs())
        for change in [("textSeed: 1", "textSeed: 2"), ("rows: 100", "rows: 10")] {
            let changed = Set(try await stage(change).inputs()).subtracting(plain)
            #expect(changed.count == 1)
        }
        let state = folder.appendingPathComponent("training.safetensors")
        try Data("x".utf8).write(to: state)
        try await stage(("name: p", "name: p")).clear()
        #expect(!FileManager.default.fileExists(atPath: state.path))
    }
}
