import Foundation
import RetortAgents
import RetortCore
import RetortTraining

/// Trains the roles of one of a curriculum's stages.
struct TrainRolesStage: Stage {
    let context: RunContext
    let student: Recipe.Student
    /// The names of the curriculum and the stage.
    let label: String
    let stage: Curriculum.Stage
    /// The stage it continues from; nil starts from the student's base.
    let parent: TrainedStage?

    var name: String { "train/\(student.name)/\(label)" }
    var sources: [String] {
        context.teachers(of: context.roleStyle, context.recipe.validation) + (parent.map { [$0.name] } ?? [])
    }
    private var target: URL { context.folder.url.appendingPathComponent("checkpoints/\(student.name)/\(label)") }
    private var base: URL { parent?.whole ?? URL(fileURLWithPath: student.base) }
    private var views: [RoleView] {
        stage.roles.map { context.roleView($0, instructions: .brief, callForm: context.callForm) }
    }

    /// The trained weights.
    var trained: TrainedStage {
        if case .lora = stage.plan.configuration.method { return TrainedStage(name: name, folder: target, base: base) }
        return TrainedStage(name: name, folder: target, base: nil)
    }

    func inputs() async throws -> [StageInput] {
        var inputs = try context.common() + context.training(stage.plan, from: student.base)
        inputs += zip(stage.roles, views).map { .view("prompt of the \($0.rawValue)", $1) }
        inputs += try [.setting("tasks", stage.tasks)] + context.shown()
        // All stages hold out the same tasks.
        inputs +=
            try context.recipe.validation.map {
                [try .setting("validation.share", $0.share), try .setting("validation.mostTasks", $0.mostTasks)]
            } ?? [.text("validation", "none")]
        // Shares refer to the tasks in the order in which they were made.
        return try await inputs + context.trainingTasks() + context.labels(of: sources)
    }

    func output() async throws -> String? { try context.digests.modelIfThere(target) }

    func clear() async throws {
        try context.folder.remove(target)
        try context.folder.remove(results.rate)
    }

    private var results: TrainingFiles { TrainingFiles(context.folder.url, "\(student.name)-\(label)") }

    func run() async throws -> StageOutcome {
        // What one stage holds out, all hold out, because they continue from one another.
        var divided = try await context.divided(context.roleStyle, context.recipe.validation, reportedAs: "roles")
        let all = divided.learned.count
        divided.learned = Array(stage.tasks.of(inTaskOrder(divided.learned)))
        guard !divided.learned.isEmpty else { throw RunError.nothingToTrainOn(style: "roles", of: all) }
        if stage.plan.validation == nil { divided.held = [] }
        let job = TrainingJob(
            name: name, key: "\(label).training", base: base, divided: divided, views: views, plan: stage.plan,
            target: target, files: results, keepsSamples: context.keepsSamples)
        let thread = TrainingThread()
        // Another curriculum may have trained the parent, and may or may not have continued from it.
        if let parent, let below = parent.base {
            try await thread.merge(parent.folder, into: below, to: parent.whole)
        }
        try await thread.run(job)
        return .complete
    }

    /// Shares refer to the tasks in the order in which they were made, whatever the order of their ids.
    private func inTaskOrder(_ lessons: [Lesson]) -> [Lesson] {
        let places = Dictionary(
            context.source.train.enumerated().map { ($1.id, $0) }, uniquingKeysWith: { first, _ in first })
        return lessons.sorted { places[$0.trajectory.task.id] ?? 0 < places[$1.trajectory.task.id] ?? 0 }
    }
}

/// The weights that a stage trains.
struct TrainedStage: Sendable, Hashable {
    /// The stage's name.
    let name: String
    /// The folder of a whole model, or of an adapter.
    let folder: URL
    /// The base of an adapter; nil for whole models.
    let base: URL?

    /// The folders of all its weights.
    var folders: [URL] { [folder] + (base.map { [$0] } ?? []) }

    /// A folder with whole weights, for stages that continue from here.
    var whole: URL { base == nil ? folder : folder.appendingPathComponent("merged") }
}
