import Foundation
import RetortAgents
import RetortCore
import RetortLLM
import RetortStore
import RetortTraining

/// Trains a student for a style on the trajectories that pass the filters.
struct TrainStage: Stage {
    let context: RunContext
    let student: Recipe.Student
    let style: Recipe.Style
    let plan: Recipe.TrainingPlan

    var name: String { Self.name(student, style) }
    var sources: [String] { context.teachers(of: style, plan.validation) }
    private var target: URL { context.folder.checkpoint(student.name, style) }

    /// What it leaves.
    var trained: TrainedStage {
        guard case .lora = plan.configuration.method else { return TrainedStage(name: name, folder: target, base: nil) }
        return TrainedStage(name: name, folder: target, base: URL(fileURLWithPath: student.base))
    }

    static func name(_ student: Recipe.Student, _ style: Recipe.Style) -> String {
        "train/\(student.name)/\(style.rawValue)"
    }

    func inputs() async throws -> [StageInput] {
        try context.common() + context.training(plan, from: student.base) + [.view("prompt", context.view(style))]
            + context.shown(to: style)
    }

    func output() async throws -> String? { try context.digests.modelIfThere(target) }

    func clear() async throws {
        try context.folder.remove(target)
        try context.folder.remove(results.rate)
    }

    private var results: TrainingFiles {
        TrainingFiles(context.folder.url, "\(student.name)-\(style.rawValue.fileName)")
    }

    func run() async throws -> StageOutcome {
        let divided = try await context.divided(style, plan.validation, reportedAs: style.rawValue)
        let job = TrainingJob(
            name: name, key: "training.\(style.rawValue)", base: URL(fileURLWithPath: student.base), divided: divided,
            views: [context.view(style)], plan: plan, target: target, files: results,
            keepsSamples: context.keepsSamples)
        try await TrainingThread().run(job)
        return .complete
    }
}

extension RunContext {
    /// What training depends on, but for what is learned from.
    /// - Parameter base: the folder of the weights it starts from.
    func training(_ plan: Recipe.TrainingPlan, from base: String) throws -> [StageInput] {
        let chosen = plan.open?.words ?? [:]
        let said = try StageInput.settings("training", plan.configuration).filter { chosen[$0.name] == nil }
        var inputs = [try weights("base weights", base)] + said
        inputs += chosen.sorted { $0.key < $1.key }.map { .text($0.key, $0.value) }
        if let factor = plan.open?.rateFactor, factor != 1 {
            inputs.append(try .setting("training.rateFactor", factor))
        }
        inputs +=
            try plan.validation.map { try StageInput.settings("training.validation", $0) }
            ?? [.text("training.validation", "none")]
        inputs += [
            try .setting("training.maxTokens", plan.maximumTokens), .text("training.overlong", plan.overlong.rawValue),
        ]
        // An adapter names its base by its place.
        if case .lora = plan.configuration.method {
            inputs.append(.text("base's folder", URL(fileURLWithPath: base).standardizedFileURL.path))
        }
        return inputs + (try StageInput.settings("filter", recipe.filter ?? FilterPlan()))
    }

    /// What of a set is learned from; the others go to `results/filter-NAME.json` with the reason.
    /// - Throws: `RunError.nothingToTrainOn`.
    func filtered(_ entries: [StoredTrajectory], reportedAs name: String) throws -> [Trajectory] {
        let (kept, dropped) = TrajectoryFilter(recipe.filter ?? FilterPlan()).split(entries)
        try AtomicFile.write(JSONCoding.prettyEncoder.encode(dropped), to: folder.result("filter-\(name.fileName)"))
        guard !kept.isEmpty else { throw RunError.nothingToTrainOn(style: name, of: entries.count) }
        return kept
    }
}

extension String {
    /// `cot+rag` as part of a file's name.
    var fileName: String { replacing("+", with: "-") }
}
