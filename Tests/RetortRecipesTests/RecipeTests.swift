import Foundation
import RetortRecipes
import Testing

@Suite("Recipes")
struct RecipeTests {
    private let sound = """
        name: small
        world: {people: 50, train: {factual: 5, math: 5}}
        students: [{name: a, base: seedlings/3m}]
        training: {agent: {epochs: 1}}
        evaluation: {systems: [agent]}
        """

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
        ])
    func faults(original: String, broken: String, message: String) {
        let error = #expect(throws: RecipeError.self) {
            try Recipe(yaml: sound.replacing(original, with: broken), file: "r.yaml")
        }
        #expect("\(error.map(String.init(describing:)) ?? "")".contains(message))
    }

    @Test("a run whose manifest cannot be read is refused, and left as it is")
    func damagedManifest() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("retort-run-\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let manifest = folder.appendingPathComponent("manifest.json")
        try Data("{\"stages\":".utf8).write(to: manifest)
        let error = #expect(throws: RunError.self) {
            try RecipeRun(Recipe(yaml: sound, file: "r.yaml"), folder: folder)
        }
        #expect("\(error.map(String.init(describing:)) ?? "")".contains("manifest.json cannot be read"))
        #expect(try Data(contentsOf: manifest) == Data("{\"stages\":".utf8))
    }

    @Test("all faults are reported together")
    func together() {
        let broken = sound.replacing("epochs: 1", with: "epoch: 1").replacing("people: 50", with: "people: 3")
        let error = #expect(throws: RecipeError.self) { try Recipe(yaml: broken, file: "r.yaml") }
        #expect(error?.faults.count == 2)
    }

    @Test(
        "the recipes that come with Retort are sound",
        arguments: [
            "quickstart", "ladder", "paper-table", "paper-benchmarks", "tora-gsm8k", "alpha-umi", "alpha-umi-grammar",
            "alpha-umi-ranking", "alpha-umi-gsm8k", "second-generation",
        ])
    func shipped(name: String) throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        _ = try Recipe(root.appendingPathComponent("recipes/\(name).yaml"))
    }
}
