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
              retort inspect runs/quickstart --set evaluate/3m/agent --show 3 --failed
              retort inspect teacher.sqlite
            """)

    @Argument(help: "The run's folder, or a trajectory store.") var run: String
    @Option(help: "List the trajectories of a set.") var set: String?
    @Option(help: "Show one trajectory of the set in full, by its id.") var trajectory: String?
    @Option(help: "Show so many trajectories of the set in full.") var show: Int?
    @Flag(help: "Of the set, only those that were graded right, or wrong.") var only: Graded?
    @Flag(help: "Print JSON, one value a line.") var json = false

    enum Graded: String, EnumerableFlag {
        case solved, failed
    }

    func validate() throws {
        let selects = trajectory != nil || show != nil || only != nil
        guard !selects || set != nil else {
            throw ValidationError("--trajectory, --show, --solved and --failed need --set")
        }
        guard trajectory == nil || (show == nil && only == nil) else {
            throw ValidationError("--trajectory names one trajectory; --show, --solved and --failed choose among all")
        }
        guard show ?? 1 > 0 else { throw ValidationError("--show takes a number from 1") }
    }

    func run() async throws {
        let place = URL(fileURLWithPath: run)
        let isRun = place.isFolder || !FileManager.default.fileExists(atPath: run)
        let manifest = isRun ? try Manifest(folder: place) : nil
        let file = isRun ? place.appendingPathComponent("trajectories.sqlite") : place
        let store = try TrajectoryStore(file, .existing)
        guard let set else {
            guard let manifest else { return try await sets(store) }
            return try await overview(manifest, store)
        }
        let sets = try await store.sets().map(\.name)
        guard sets.contains(set) else {
            throw ValidationError("\(run) has no set '\(set)'; its sets are \(sets.joined(separator: ", "))")
        }
        if let trajectory {
            guard let entry = try await store.entry(id: trajectory, in: set) else {
                throw ValidationError(
                    "the set '\(set)' has no trajectory '\(trajectory)'; 'retort inspect \(run) --set \(set)' lists its ids"
                )
            }
            return json ? try printJSON(entry) : printWhole(entry)
        }
        try await list(store, set)
    }

    private func list(_ store: TrajectoryStore, _ set: String) async throws {
        let only = only
        let wanted = store.trajectories(in: set).filter { entry in
            only.map { entry.verdict?.isCorrect == ($0 == .solved) } ?? true
        }
        for try await entry in wanted.prefix(show ?? .max) { try printAsAsked(entry) }
    }

    private func printAsAsked(_ entry: TrajectoryStore.Entry) throws {
        if json { return try printJSON(entry) }
        if show != nil { return printWhole(entry) }
        let mark = entry.verdict.map { $0.isCorrect ? "✓" : "✗" } ?? "?"
        print("\(mark) \(entry.trajectory.id)  \(entry.trajectory.answer ?? "no answer")")
    }

    private func printJSON(_ value: some Encodable) throws {
        print(String(decoding: try JSONCoding.encoder.encode(value), as: UTF8.self))
    }

    private func overview(_ manifest: Manifest, _ store: TrajectoryStore) async throws {
        if json {
            print(String(decoding: try JSONCoding.encoder.encode(manifest), as: UTF8.self))
            return
        }
        print("\(manifest.recipe.name), by retort \(manifest.version)\n\nStages")
        for (name, stage) in manifest.stages.sorted(by: { $0.value.finished < $1.value.finished }) {
            print("  \(String(format: "%8.1f", stage.seconds)) s  \(name)\(Self.state(stage))")
            guard stage.state == .complete else { continue }
            let record = TrainingRecord.of(stage: name, in: URL(fileURLWithPath: run))
            for line in [record?.choice, record?.rangeTest, record?.ending] {
                if let line { print("              \(line)") }
            }
        }
        print("")
        try await sets(store)
    }

    private func sets(_ store: TrajectoryStore) async throws {
        if json {
            for (name, count) in try await store.sets() {
                print((["set": .string(name), "count": .integer(count)] as JSONValue).jsonText)
            }
            return
        }
        print("Sets")
        for (name, count) in try await store.sets() { print("  \(count)  \(name)") }
    }

    /// A remark on a stage that is not completely done.
    private static func state(_ stage: StageRecord) -> String {
        switch stage.state {
        case .complete: ""
        case .running: "  (interrupted)"
        case .partial: "  (\(stage.failed) of \(stage.total ?? 0) failed)"
        }
    }

    private func printWhole(_ entry: TrajectoryStore.Entry) {
        let trajectory = entry.trajectory
        print("Task: \(trajectory.task.question)\nReference: \(trajectory.task.answers.joined(separator: " / "))")
        for step in trajectory.steps {
            print("\n[\(step.speaker)] \(step.thought)")
            print(words(step.action))
            if !step.observation.text.isEmpty { print("→ \(step.observation.text)") }
        }
        print("\nAnswer: \(trajectory.answer ?? "none")  (\(entry.verdict?.reason ?? "not graded"))\n")
    }

    private func words(_ action: Action) -> String {
        switch action {
        case .code(let program): program
        case .toolCall(let name, let arguments): "\(name) \(arguments.jsonText)"
        case .unparsable(let text, let reason): "\(text)\n(\(reason))"
        case .answer(let value): "Answers: \(value.text)"
        case .giveUp(let reason): "Gives up: \(reason)"
        }
    }
}
