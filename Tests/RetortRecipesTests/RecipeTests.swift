import Foundation
import RetortAgents
import RetortCore
import RetortDomains
import Testing

@testable import RetortRecipes

@Suite("Recipes")
struct RecipeTests {
    private let sound = """
        name: small
        domain: {world: {people: 50, train: {factual: 5, math: 5}}}
        students: [{name: a, base: seedlings/3m}]
        training: {agent: {epochs: 1}}
        evaluation: {systems: [agent]}
        """

    @Test("a domain that cannot be read is the only fault that is told of it")
    func unreadDomain() {
        let text = Self.recorded.replacing("domain: {tasks: {test: {out: t.jsonl}}}", with: "domain: nowhere-at-all")
        let error = #expect(throws: RecipeError.self) { try Recipe(yaml: text, file: "/r/r.yaml") }
        #expect(error?.faults.count == 1 && error?.description.contains("nowhere-at-all") == true, "\(error as Any)")
    }

    @Test("a choice among trajectories has no meaning where the domain has training tasks")
    func chosen() throws {
        #expect(try Recipe(yaml: Self.recorded, file: "/r/r.yaml").recorded?.train == 3)
        let text = Self.recorded.replacing("tasks: {test:", with: "tasks: {train: u.jsonl, test:")
        let error = #expect(throws: RecipeError.self) { try Recipe(yaml: text, file: "/r/r.yaml") }
        #expect(error?.description.contains("'train' chooses among trajectories") == true)
    }

    private static let recorded = """
        name: r
        domain: {tasks: {test: {out: t.jsonl}}}
        teacher: {trajectories: a.jsonl, train: 3}
        students: [{name: s, base: b}]
        training: {tool-agent: {}, cot: {}}
        evaluation: {systems: [cot]}
        """

    @Test("work that a program ended is told as prose with its answer")
    func prose() {
        var trajectory = Trajectory(
            task: AgentTask(id: "t", question: "q", answers: ["95"], family: .math),
            provenance: Provenance(policy: "agent", model: "m"))
        trajectory.append(
            Step(thought: "I look.", action: .code("print(1)"), observation: Observation(text: "95", outcome: .success))
        )
        trajectory.append(
            Step(
                thought: "It costs 95.", action: .code("final_answer(95)"),
                observation: Observation(text: "", outcome: .final(95))))
        trajectory.end(.answered(95))
        trajectory.state = ["kept": true]
        let told = trajectory.asReasoning
        #expect(told.steps.map(\.action) == [.answer(95)] && told.steps[0].thought == "I look.\n95\nIt costs 95.")
        #expect(told.ending == .answered(95) && told.state == ["kept": true])
        #expect(ChainOfThoughtView.turn(told.steps[0].thought, told.steps[0].action).hasSuffix("Answer: 95"))
    }

    @Test("a short recipe has sensible defaults")
    func defaults() throws {
        let recipe = try Recipe(yaml: sound, file: "r.yaml")
        #expect(recipe.evaluation.tasks == 100)
        #expect(recipe.evaluation.maximumSteps == 5)
        #expect(recipe.training[.agent]?.configuration.epochs == 1)
    }

    @Test(
        "faults are named with their line and the word that was meant",
        arguments: [
            ("epochs: 1", "epoch: 1", "r.yaml:4:20: unknown key 'epoch'; did you mean 'epochs'?"),
            ("epochs: 1", "epochs: many", "r.yaml:4:28: 'epochs' must be a whole number"),
            ("epochs: 1", "epochs: 0", "r.yaml:4:28: 'epochs' must be 1 to 1000, not 0"),
            (
                "epochs: 1", "schedule: cosin",
                "'schedule' must be one of constant, linear, cosine (did you mean 'cosine'?)"
            ),
            ("[agent]", "[agemt]", "there is no system 'agemt'"), ("[agent]", "[cot]", "needs 'training.cot'"),
            ("name: small", "nam: small", "unknown key 'nam'; did you mean 'name'?"),
            ("name: small", "name: [", "this is not YAML"),
            ("name: small", "name: ''", "r.yaml:1:7: 'name' is a folder's and must not be empty"),
            ("name: small", #"name: "small\r""#, "'name' is a folder's"),
            ("epochs: 1", "lora: {targets: []}", "'targets' must name projections"),
            ("epochs: 1", "lora: {targets: [v_proj, ' ']}", "'targets' must name projections"),
            ("epochs: 1", "lora: {alpha: 0.0}", "'alpha' must be from 1e-06 to"),
            ("epochs: 1", "lora: {alpha: -2}", "'alpha' must be from 1e-06 to"),
            ("name: small", "name: small\nname: large", "'name' stands more than once in one mapping; keep one"),
            ("name: small", "name: \u{1}", "r.yaml:1:1: this is not YAML: control characters are not allowed"),
        ])
    func faults(original: String, broken: String, message: String) {
        let error = #expect(throws: RecipeError.self) {
            try Recipe(yaml: sound.replacing(original, with: broken), file: "r.yaml")
        }
        #expect("\(error.map(String.init(describing:)) ?? "")".contains(message))
    }

    @Test("a run whose manifest cannot be read is refused, and left as it is")
    func damagedManifest() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("retort-run-\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let manifest = folder.appendingPathComponent("manifest.json")
        try Data("{\"stages\":".utf8).write(to: manifest)
        let error = await #expect(throws: RunError.self) {
            try await RecipeRun(Recipe(yaml: sound, file: "r.yaml"), folder: folder)
        }
        #expect("\(error.map(String.init(describing:)) ?? "")".contains("manifest.json cannot be read"))
        #expect(try Data(contentsOf: manifest) == Data("{\"stages\":".utf8))
    }

    @Test("merge keys take what a mapping does not say itself, from one mapping or several, at any depth")
    func mergeKeys() throws {
        let text = sound.replacing(
            "training: {agent: {epochs: 1}}",
            with: """
                training:
                  cot: &plan {epochs: 3, learningRate: 0.5, lora: &lora {rank: 2, alpha: 4}}
                  agent: {<<: *plan, epochs: 1, lora: {<<: *lora, rank: 8}}
                  cot+rag:
                    <<: [{epochs: 7}, *plan]
                """)
        let training = try Recipe(yaml: text, file: "r.yaml").training
        #expect(training[.agent]?.configuration.epochs == 1 && training[.agent]?.configuration.learningRate == 0.5)
        guard case .lora(let lora)? = training[.agent]?.configuration.method else {
            Issue.record("no adapter")
            return
        }
        #expect(lora.rank == 8 && lora.alpha == 4)
        #expect(training[.cotWithRetrieval]?.configuration.epochs == 7)
        #expect(training[.cotWithRetrieval]?.configuration.learningRate == 0.5)
        for (broken, message) in [("<<: 3", "'<<' takes a mapping"), ("'<<': {epochs: 1}", "unknown key '<<'")] {
            let error = #expect(throws: RecipeError.self) {
                try Recipe(yaml: sound.replacing("epochs: 1", with: broken), file: "r.yaml")
            }
            #expect("\(error.map(String.init(describing:)) ?? "")".contains(message))
        }
    }

    @Test("a byte order mark is no part of the recipe, and a file that is not UTF-8 is told so with the line")
    func encodings() throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("recipe-\(UUID()).yaml")
        defer { try? FileManager.default.removeItem(at: file) }
        try (Data([0xEF, 0xBB, 0xBF]) + Data(sound.utf8)).write(to: file)
        #expect(try Recipe(file).name == "small")
        try (Data("\(sound)\n# caf".utf8) + Data([0xE9, 0x0A])).write(to: file)
        let error = #expect(throws: RecipeError.self) { try Recipe(file) }
        #expect(error?.faults.first?.line == 6)
        #expect("\(error.map(String.init(describing:)) ?? "")".contains("not UTF-8"))
        for encoding in [String.Encoding.utf16, .utf16LittleEndian, .utf16BigEndian] {
            try #require(sound.data(using: encoding)).write(to: file)
            let error = #expect(throws: RecipeError.self) { try Recipe(file) }
            #expect("\(error.map(String.init(describing:)) ?? "")".contains("not UTF-8"), "\(encoding)")
        }
    }

    @Test("two students of one name, and names that are no folder's, are refused")
    func students() {
        for (students, message) in [
            ("[{name: a, base: x}, {name: b, base: y}, {name: a, base: z}]", "two students are named 'a'"),
            ("[{name: ../a, base: x}]", "r.yaml:3:19: 'name' is a folder's"),
            ("[{name: b/c, base: x}]", "'name' is a folder's"), ("[{name: '', base: x}]", "'name' is a folder's"),
            (#"[{name: "b\tc", base: x}]"#, "'name' is a folder's"),
            (#"[{name: "b\n", base: x}]"#, "'name' is a folder's"),
            ("[{name: ' b', base: x}]", "'name' is a folder's"),
            ("[{name: \"b\u{A0}\", base: x}]", "'name' is a folder's"),
        ] {
            let error = #expect(throws: RecipeError.self) {
                try Recipe(
                    yaml: sound.replacing("[{name: a, base: seedlings/3m}]", with: students), file: "r.yaml")
            }
            #expect("\(error.map(String.init(describing:)) ?? "")".contains(message))
        }
    }

    @Test("all faults are reported together")
    func together() {
        let broken = sound.replacing("epochs: 1", with: "epoch: 1").replacing("people: 50", with: "people: 3")
        let error = #expect(throws: RecipeError.self) { try Recipe(yaml: broken, file: "r.yaml") }
        #expect(error?.faults.count == 2)
    }

    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// All that lie in `recipes` and `examples`, by their paths.
    private static let recipes = ["recipes", "examples"].flatMap { place in
        (FileManager.default.subpaths(atPath: root.appendingPathComponent(place).path) ?? []).map { "\(place)/\($0)" }
    }.filter { $0.hasSuffix(".yaml") && !$0.hasSuffix("/domain.yaml") && !$0.contains("/full/") }.sorted()

    @Test("the recipes that come with Retort are sound", arguments: recipes)
    func shipped(path: String) throws {
        let file = Self.root.appendingPathComponent(path)
        // The full sets are made by `prepare.py`; the committed cuts have the same files.
        let text = try String(contentsOf: file, encoding: .utf8).replacing("/full", with: "")
            .replacing("domain: full", with: "domain: .").replacing(" full/", with: " ")
        _ = try Recipe(yaml: text, file: file.path)
    }

    @Test("all of them are looked at")
    func all() { #expect(Self.recipes.count > 20 && Self.recipes.contains("examples/wiki-search/demo.yaml")) }
}
