import Foundation
import RetortCore
import RetortEvaluation
import RetortPython
import RetortStore

/// Carries out a recipe, stage by stage: teach → filter → train → evaluate → report.
///
/// A stage is skipped when its result was made from the present inputs. An interrupted stage continues where it
/// stopped: teaching and evaluation at the next trajectory, training at its last checkpoint. Of a stage that ended with
/// failures, only these are tried again.
///
/// ```swift
/// let run = try await RecipeRun(Recipe(file), folder: folder)
/// print(try await run.plan().text)
/// let outcome = try await run.run()
/// ```
public struct RecipeRun: Sendable {
    /// How far to go.
    public enum Goal: Int, Sendable, CaseIterable, Comparable {
        /// The teacher's trajectories; the trained students and their agents; the figures.
        case teach, train, evaluate

        /// Whether a goal comes before another.
        public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    }

    let context: RunContext
    private let scheduler: Scheduler
    private let planner: FleetPlanner?

    /// Opens the run's folder and makes its tasks. Nothing of an earlier run is changed.
    /// - Parameters:
    ///   - sandbox: the weakest acceptable sandbox for model-written programs.
    ///   - samples: whether trainings write their samples' tokens in the form for other trainers:
    ///     `results/samples-STUDENT-KIND.jsonl`, one `{"id", "tokens", "trainable"}` per line.
    ///   - fleet: the store through which other processes take part; nil for none.
    /// - Throws: `RunError` when another process works in the folder or its manifest cannot be read.
    public init(
        _ recipe: Recipe, folder url: URL, requiring sandbox: SandboxLevel = .restricted,
        keepingSamples samples: Bool = false, fleet: FleetPlan? = nil
    ) async throws {
        try fleet?.check(recipe)
        let folder = try RunFolder(url)
        try await self.init(recipe, in: folder, requiring: sandbox, keepingSamples: samples) { store, digests in
            guard let fleet else { return nil }
            let files = FleetFiles(folder: url, digests: digests)
            return FleetPlanner(fleet, run: recipe.name, folder: try folder.identity(), into: store, files: files)
        }
    }

    /// - Parameter share: makes what shares the work with other processes; nil where nothing is shared.
    init(
        _ recipe: Recipe, in folder: RunFolder, requiring sandbox: SandboxLevel, keepingSamples samples: Bool = false,
        sharing share: (TrajectoryStore, FileDigests) throws -> (any WorkSharing)?
    ) async throws {
        // An unreadable manifest is not the same as none: its results would be made again, over the old ones.
        let previous =
            FileManager.default.fileExists(atPath: folder.manifestFile.path) ? try Manifest(folder: folder.url) : nil
        let source = try await TaskSource(recipe, folder: folder.url, requiring: sandbox)
        let store = try TrajectoryStore(folder.storeFile)
        let digests = FileDigests(folder.digestsFile)
        let sharing = try share(store, digests)
        planner = sharing as? FleetPlanner
        context = RunContext(
            recipe: recipe, folder: folder, store: store, source: source, digests: digests,
            workshop: Workshop(recipe, folder, source, store, requiring: sandbox, sharing: sharing),
            keepsSamples: samples, sharing: sharing)
        scheduler = Scheduler(
            previous?.stages ?? [:], failureLimit: recipe.maximumFailures ?? Recipe.usualMaximumFailures,
            planner: planner
        ) { records in
            try AtomicFile.write(
                JSONCoding.prettyEncoder.encode(Manifest(recipe: recipe, stages: records)), to: folder.manifestFile)
        }
    }

    /// The figures of a run.
    public enum Outcome: Sendable {
        /// The figures of students that answer questions.
        case answers(EvaluationSummary)
        /// The figures of agents that call APIs.
        case toolUse(ToolUseSummary)

        /// The Markdown tables of `report.md`.
        public var table: String {
            switch self {
            case .answers(let summary): MarkdownTable.render(summary)
            case .toolUse(let summary): ToolUseTable.render(summary)
            }
        }

        /// The text of `summary.json`.
        public var json: String {
            get throws {
                let data =
                    switch self {
                    case .answers(let summary): try JSONCoding.prettyEncoder.encode(summary)
                    case .toolUse(let summary): try JSONCoding.prettyEncoder.encode(summary)
                    }
                return String(decoding: data, as: UTF8.self)
            }
        }
    }

    /// What a run would do with each stage, and why. Nothing is changed, and no model is asked.
    public func plan(until goal: Goal = .evaluate) async throws -> StagePlan {
        try await scheduler.plan(RecipeStages(context).upTo(goal))
    }

    /// What the recipe names and cannot be used, for which a run would be refused; of weights only the headers are read.
    /// Models that a run would fetch may be missing.
    public func refusals(until goal: Goal = .evaluate) -> [String] {
        RecipeCheck(context, awaitsModels: true).faults(until: goal)
    }

    /// Works up to a goal. Everything that the recipe names is checked first.
    /// - Returns: the figures, when the goal is evaluation; nil otherwise.
    /// - Throws: `RunError`, and what stages throw.
    @discardableResult
    public func run(until goal: Goal = .evaluate) async throws -> Outcome? {
        try await ProgressJournal.$current.withValue(ProgressJournal(context.folder.progressFile)) {
            guard let planner else { return try await work(until: goal) }
            return try await planner.planning(context.recipe, context.namedFiles()) { try await work(until: goal) }
        }
    }

    private func work(until goal: Goal) async throws -> Outcome? {
        let stages = try await RecipeStages(context)
        try RecipeCheck(context).run(until: goal)
        let folder = context.folder
        if let documents = context.source.documents { try folder.link(documents) }
        if goal >= .train { try folder.removeAgents(besides: stages.agents, of: context.recipe.leftOut ?? []) }
        try await scheduler.run(stages.upTo(goal)) { plan in
            if !plan.isDone { try folder.removeFigures() }
        }
        guard goal >= .evaluate else { return nil }
        let partial = await partialStages(stages)
        if let curricula = stages.curricula {
            var summary = try await curricula.summary(of: context.source.train)
            for measured in curricula.evaluation {
                let stage = measured.stage
                summary.also = try await context.otherGrades(
                    of: stage.name, student: stage.student.name, system: stage.system, after: summary.also)
            }
            summary.partial = partial.isEmpty ? nil : partial
            summary.models = context.localModels()
            try context.report(summary, stages.training)
            return .toolUse(summary)
        }
        var summary = try await figures(stages.systems)
        summary.partial = partial.isEmpty ? nil : partial
        summary.models = context.localModels()
        try await context.report(summary, stages.training)
        return .answers(summary)
    }

    /// Closes what runs for the domain's tools. Stages that act cannot be run afterwards.
    public func close() async { await context.source.domain.close() }

    /// The expected cost of the recipe's teacher, without asking it.
    /// - Throws: `RunError.noTeacher` for a recipe without one, `BudgetError.unknownPrice` when money is limited.
    public func estimate() async throws -> TeacherEstimate { try await context.estimate() }

    /// How many of the teacher's trajectories pass the filters, for each kind of student.
    public func yields() async throws -> [TeacherYield] { try await context.yields() }

    private func figures(_ systems: [EvaluateStage]) async throws -> EvaluationSummary {
        var summary = EvaluationSummary()
        for student in context.recipe.students {
            var measured: [(name: String, records: [RunRecord])] = []
            for stage in systems where stage.student == student {
                let (parameters, records) = try await stage.measured()
                summary.add(stage.title, student: student.name, parameters: parameters, records)
                measured.append((stage.title, records))
            }
            summary.compare(student.name, measured)
            compareRounds(&summary, student, measured)
            for stage in systems where stage.student == student {
                summary.also = try await context.otherGrades(
                    of: stage.name, student: student.name, system: stage.title, after: summary.also)
            }
            guard context.recipe.judgesAnswers else { continue }
            summary.judged = try await (summary.judged ?? []) + context.judgedSystems(student)
        }
        summary.average()
        return summary
    }

    /// Compares every round of a kind of student with its first, which is imitation alone.
    private func compareRounds(
        _ summary: inout EvaluationSummary, _ student: Recipe.Student,
        _ measured: [(name: String, records: [RunRecord])]
    ) {
        for style in Recipe.Style.allCases where !context.recipe.rounds(of: style).isEmpty {
            let rounds = measured.filter { $0.name == style.rawValue || $0.name.hasPrefix("\(style.rawValue)@") }
            // Everything is already compared with the first of all.
            if rounds.first?.name != measured.first?.name { summary.compare(student.name, rounds) }
        }
    }

    private func partialStages(_ stages: RecipeStages) async -> [PartialStage] {
        let records = await scheduler.records
        return stages.upTo(.evaluate).compactMap { stage in
            guard let record = records[stage.name], record.state == .partial else { return nil }
            return PartialStage(
                stage: stage.name, failed: record.failed, total: record.total ?? 0, causes: record.failures ?? [:])
        }
    }
}
