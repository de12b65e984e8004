import Foundation
import RetortCore
import RetortLLM
import RetortStore

@testable import RetortRecipes

private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

/// A folder for a test, with a tiny base in it, and what goes into a domain.
struct AgentBench {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("retort-agent-\(UUID().uuidString)")
    var base: URL { url.appendingPathComponent("models/tiny") }
    var run: URL { url.appendingPathComponent("run") }
    /// Another machine, so to speak.
    var elsewhere: URL { url.appendingPathComponent("elsewhere") }

    init() throws {
        try Self.writeBase(to: base, seed: 3)
        try FileManager.default.createDirectory(at: elsewhere, withIntermediateDirectories: true)
    }

    static func writeBase(to folder: URL, seed: UInt64, positions: Int = 4096) throws {
        try Checkpoint.write(
            DecoderNetwork(
                .qwen2(
                    vocabularySize: 3072, hiddenSize: 16, intermediateSize: 24, layerCount: 1, headCount: 2,
                    keyValueHeadCount: 1, maximumPositions: positions), weights: RandomWeights(seed: seed)),
            dtype: .float32, tokenizerFrom: root.appendingPathComponent("seedlings/tokenizer"), to: folder)
    }

    func remove() { try? FileManager.default.removeItem(at: url) }

    /// Agents that remember nothing between tests.
    func options(base: URL? = nil) -> Agent.Options {
        Agent.Options(engine: .init(weights: .float32), base: base, digests: FileDigests())
    }

    func write(_ path: String, _ text: String) throws {
        let file = url.appendingPathComponent(path)
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: file)
    }

    /// A domain with a module, data beside it, documents and recorded trajectories.
    func writeDomain() throws {
        try write(
            "desk/domain.yaml",
            """
            name: desk
            instructions: You lend books.
            tasks: {train: train.jsonl, test: {in: test.jsonl}}
            tools: [{python: code/desk.py, files: [code/data]}]
            documents: {path: rules, tool: rules, description: Searches the house rules., results: 1}
            grader: python
            """)
        try write(
            "desk/code/desk.py",
            """
            import json, pathlib
            SHELF = json.loads((pathlib.Path(__file__).parent / "data/shelf.json").read_text())
            def lend(book: str) -> str:
                \"\"\"Lends a book.

                Args:
                    book: its number
                \"\"\"
                SHELF[book] = "out"
                return f"{book} lent"
            def state():
                return SHELF
            def grade(task, answer, state):
                return state is not None and state["B1"] == "out", "as it stands"
            """)
        try write("desk/code/data/shelf.json", #"{"B1": "in", "B2": "in"}"#)
        try write("desk/rules/hours.md", "# Hours\n\nOpen from 9 to 5.\n")
        try write("desk/train.jsonl", #"{"id": "a", "question": "Lend B1."}"# + "\n")
        try write(
            "desk/test.jsonl", #"{"id": "b", "question": "Please lend B1 within the hours.", "answer": "yes"}"# + "\n")
        var trajectory = Trajectory(
            task: AgentTask(id: "a", question: "Lend B1.", answers: [], family: .factual),
            provenance: Provenance(policy: "teacher", model: "m"))
        trajectory.append(
            Step(
                thought: "I lend it.", action: .code("final_answer(lend('B1'))"),
                observation: Observation(text: "", outcome: .final("B1 lent"))))
        trajectory.end(.answered("B1 lent"))
        trajectory.state = ["B1": "out", "B2": "in"]
        try write("desk/taught.jsonl", String(decoding: try ExactJSON.encode(trajectory), as: UTF8.self) + "\n")
    }

    func deskRecipe() throws -> Recipe {
        try Recipe(
            yaml: """
                name: desk
                seed: 7
                domain: desk
                teacher: {trajectories: desk/taught.jsonl, format: trajectories}
                students: [{name: s, base: '\(base.path)'}]
                training:
                  cot: {epochs: 1}
                  cot+rag: {epochs: 1}
                  agent: {epochs: 1, lora: {rank: 2, alpha: 4, targets: [q_proj]}}
                evaluation: {systems: [cot, cot+rag, agent], tasks: 1, maxSteps: 2, maxTokens: 24, weights: float32, sag: {samples: 3}}
                """, file: url.appendingPathComponent("desk.yaml").path)
    }

    /// Copies an agent to the other machine.
    func copied(_ agent: String) throws -> URL {
        let target = elsewhere.appendingPathComponent(agent.replacing("/", with: "-"))
        try FileManager.default.copyItem(at: run.appendingPathComponent("agent/\(agent)"), to: target)
        return target
    }

    /// What a system did on the run's tests.
    func evaluated(_ set: String) async throws -> [Trajectory] {
        let store = try TrajectoryStore(run.appendingPathComponent("trajectories.sqlite"), .existing)
        return try await store.entries(in: set).map(\.trajectory)
    }
}
