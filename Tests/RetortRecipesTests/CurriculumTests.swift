import Foundation
import RetortAgents
import RetortCore
import RetortDomains
import RetortEvaluation
import RetortLLM
import RetortRecipes
import Testing

private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

/// Two curricula that share their global stage, the second with an adapter for each role.
/// - Parameter method: more of the global stage's plan.
private func recipe(base: String, method: String = "") -> String {
    """
    name: small
    domain: {apis: {seed: 1, people: 60, train: 6}}
    students: [{name: a, base: \(base)}]
    curricula:
      - name: single
        stages:
          - {name: global, roles: [backbone], training: &quick {epochs: 1, rowTokens: 512, accumulation: 1\(method)}}
      - name: umi
        stages:
          - {name: global, roles: [backbone], training: *quick}
          - {name: planner, from: global, roles: [planner], training: &adapter {epochs: 1, rowTokens: 512, accumulation: 1, lora: {rank: 2, alpha: 4, targets: [q_proj]}}}
          - {name: caller, from: global, roles: [caller], tasks: {from: 0.5}, training: *adapter}
          - {name: summarizer, from: planner, roles: [summarizer], training: *adapter}
    evaluation: {tasks: 2, maxSteps: 2, maxTokens: 8, searches: [greedy, depthFirst], depthFirst: {queries: 3}, scaling: {curricula: [single], shares: [0.5]}}
    """
}

@Suite("Curricula")
struct CurriculumTests {
    @Test("what a recipe leaves out is as in the paper")
    func defaults() throws {
        let text = recipe(base: "b").replacing(
            "training: &quick {epochs: 1, rowTokens: 512, accumulation: 1}", with: ""
        )
        .replacing(", training: *quick", with: "").replacing(", }", with: "}")
        .replacing("[caller], tasks: {from: 0.5}, training: *adapter", with: "[caller]")
        let stages = try Recipe(yaml: text, file: "r.yaml").curricula?.last?.stages ?? []
        let (global, caller) = (stages[0].plan.configuration, stages[2].plan.configuration)
        #expect(global.epochs == 2 && global.learningRate == 5e-5 && global.warmup == 0.4 && global.weightDecay == 0)
        #expect(caller.epochs == 1 && caller.learningRate == 1e-5 && caller.warmup == 0.2 && caller.weightDecay == 0.01)
        #expect(stages.allSatisfy { $0.plan.configuration.schedule == .cosine || $0.name != "global" })
    }

    @Test(
        "faults are named",
        arguments: [
            (
                "from: global, roles: [caller]", "from: globe, roles: [caller]",
                "starts from 'globe', which is no earlier stage"
            ),
            ("roles: [caller]", "roles: [planner]", "no stage of 'umi' trains the caller"),
            ("roles: [caller]", "roles: [callr]", "'roles' must list at least one of planner"),
            ("name: umi", "name: single", "two curricula are named 'single'"),
            ("{from: 0.5}", "{from: 1}", "'tasks' must end behind where it begins"),
            ("apis: {seed: 1, people: 60, train: 6}", "wolrd: {people: 60}", "unknown key 'wolrd'"),
        ])
    func faults(original: String, broken: String, message: String) {
        let error = #expect(throws: RecipeError.self) {
            try Recipe(yaml: recipe(base: "b").replacing(original, with: broken), file: "r.yaml")
        }
        #expect("\(error.map(String.init(describing:)) ?? "")".contains(message))
    }

    @Test(
        "a run trains shared stages once, merges adapters that others go on from, measures, and is not repeated",
        arguments: ["", ", lora: {rank: 2, alpha: 4, targets: [q_proj]}"])
    func run(method: String) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        let base = folder.appendingPathComponent("base")
        try AgentBench.writeBase(to: base, seed: 3, positions: 2048)
        let recipe = try Recipe(yaml: recipe(base: base.path, method: method), file: "r.yaml")
        let run = folder.appendingPathComponent("run")
        guard case .toolUse(let summary) = try await RecipeRun(recipe, folder: run).run() else {
            Issue.record("another kind of figures")
            return
        }
        // Two systems by two searches and two splits, and one system on half the tasks.
        #expect(summary.cells.count == 10)
        #expect(summary.cells.filter(\.isScaled).map(\.tasks) == [3, 3])
        #expect(summary.cells.allSatisfy { $0.n == 2 })
        let checkpoints = run.appendingPathComponent("checkpoints/a")
        let names = try FileManager.default.contentsOfDirectory(atPath: checkpoints.path).sorted()
        #expect(names == ["single.global", "single@50.global", "umi.caller", "umi.planner", "umi.summarizer"])
        // The summarizer goes on from the planner's adapter, so that one is merged.
        func isMerged(_ stage: String) -> Bool {
            let file = checkpoints.appendingPathComponent("\(stage)/merged/model.safetensors")
            return FileManager.default.fileExists(atPath: file.path)
        }
        #expect(isMerged("umi.planner") && !isMerged("umi.caller"))
        // So is the global stage, though the curriculum that trained it goes no further.
        #expect(isMerged("single.global") != method.isEmpty && !isMerged("single@50.global"))
        let before = try Manifest(folder: run)
        guard case .toolUse(let again) = try await RecipeRun(recipe, folder: run).run() else { return }
        #expect(again == summary)
        #expect(try Manifest(folder: run).stages == before.stages)
        let page = try String(contentsOf: run.appendingPathComponent("report.html"), encoding: .utf8)
        #expect(page.contains("Pass rate against training tasks"))
    }
}
