import ArgumentParser
import Foundation
import RetortCore
import RetortRecipes
import RetortStore

/// `retort inspect`
struct InspectCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect", abstract: "Show what a run holds: its stages, its sets, its trajectories.",
        discussion: """
              retort inspect runs/quickstart
              retort inspect runs/quickstart --set evaluate/3m/agent --json | head -1
              retort inspect runs/quickstart --set teach/agent --trajectory factual-train-0/agent/0
            """)

    @Argument(help: "The run's folder.") var run: String
    @Option(help: "List the trajectories of a set.") var set: String?
    @Option(help: "Show one trajectory of the set in full, by its id.") var trajectory: String?
    @Flag(help: "Print JSON, one value a line.") var json = false

    func run() async throws {
        let folder = URL(fileURLWithPath: run)
        let manifest = try Manifest(folder: folder)
        let store = try TrajectoryStore(folder.appendingPathComponent("trajectories.sqlite"))
        guard let set else { return try await overview(manifest, store) }
        for entry in try await store.entries(in: set) where trajectory == nil || entry.trajectory.id == trajectory {
            if json {
                print(String(decoding: try JSONCoding.encoder.encode(entry), as: UTF8.self))
            } else if trajectory != nil {
                show(entry)
            } else {
                let mark = entry.verdict.map { $0.isCorrect ? "✓" : "✗" } ?? "?"
                print("\(mark) \(entry.trajectory.id)  \(entry.trajectory.answer ?? "no answer")")
            }
        }
    }

    private func overview(_ manifest: Manifest, _ store: TrajectoryStore) async throws {
        if json {
            print(String(decoding: try JSONCoding.encoder.encode(manifest), as: UTF8.self))
            return
        }
        print("\(manifest.recipe.name), by retort \(manifest.version)\n\nStages")
        for (name, stage) in manifest.stages.sorted(by: { $0.value.finished < $1.value.finished }) {
            print(String(format: "  %8.1f s  %@", stage.seconds, name))
        }
        print("\nSets")
        for (name, count) in try await store.sets() { print("  \(count)  \(name)") }
    }

    private func show(_ entry: TrajectoryStore.Entry) {
        let trajectory = entry.trajectory
        print("Task: \(trajectory.task.question)\nReference: \(trajectory.task.answers.joined(separator: " / "))")
        for step in trajectory.steps {
            print("\n[\(step.speaker)] \(step.thought)")
            if let code = step.action.code { print(code) } else { print("\(step.action)") }
            if !step.observation.text.isEmpty { print("→ \(step.observation.text)") }
        }
        print("\nAnswer: \(trajectory.answer ?? "none")  (\(entry.verdict?.reason ?? "not graded"))")
    }
}
