import Foundation
import RetortAgents
import RetortCore
import RetortDomains
import RetortEvaluation
import RetortLLM
import RetortPython
import RetortStore

/// Runs a system on the test tasks, and grades its answers.
struct EvaluateStage: Stage {
    let context: RunContext
    let student: Recipe.Student
    let system: Recipe.System
    /// An earlier round's student; nil is the last one.
    var round: Int?

    var name: String { "evaluate/\(student.name)/\(title)" }
    var sources: [String] { system.isTrained ? [TrainStage.name(student, system.style, round: trainedRound)] : [] }

    var models: [URL] { system.isTrained ? player.folders : [] }

    /// Its name in tables: the system, and for an earlier round its number.
    var title: String { round.map { "\(system.rawValue)@\($0)" } ?? system.rawValue }

    private var trainedRound: Int { round ?? context.recipe.rounds(of: system.style).count }

    /// Where the runs are stored.
    static func set(_ student: Recipe.Student, _ system: Recipe.System) -> String {
        "evaluate/\(student.name)/\(system.rawValue)"
    }

    private var sizeFile: URL { context.folder.result("size-\(student.name)") }

    func inputs() async throws -> [StageInput] {
        var inputs = try context.common() + context.testTasks() + [try context.grading(), .view("prompt", view)]
        inputs += try StageInput.settings("evaluation", own) + context.shown(to: system.style)
        if !system.isTrained { inputs.append(try context.weights("base weights", student.base)) }
        if system.style.isAgent || system == .cotWithRetrieval { inputs += try context.tools() }
        return inputs
    }

    /// The evaluation's settings for this system: neither other measurements nor the concurrency change its result.
    private var own: Recipe.EvaluationPlan {
        var plan = context.recipe.evaluation
        plan.systems = []
        plan.concurrency = 0
        plan.roles = nil
        plan.weights = plan.weights ?? .usual(on: .cpu)
        if !system.isVoted { plan.vote = Recipe.VotePlan() }
        if !system.style.isAgent { (plan.maximumSteps, plan.programSeconds) = (0, 0) }
        return plan
    }

    func output() async throws -> String? {
        // The student's size is part of the result.
        guard FileManager.default.fileExists(atPath: sizeFile.path) else { return nil }
        return try await context.content(of: name)
    }

    func clear() async throws { try await context.remove(name) }

    func run() async throws -> StageOutcome {
        let plan = context.recipe.evaluation
        let options = LocalModel.Options.evaluation(
            samples: max(plan.concurrency, plan.vote.samples), weights: plan.weights)
        let models = try AgentPlayers.trained([.backbone: player], identity: student.name, options: options)
        if let model = models[.backbone]?.model as? LocalModel {
            try AtomicFile.write(JSONCoding.encoder.encode(model.parameterCount), to: sizeFile)
        }
        let source = context.source
        let rollout = try agent.rollout(
            models, host: source.tools, retriever: source.domain.retriever,
            session: context.sessions(system.style.form ?? .code))
        let tests = try await context.workshop.tests()
        let outcome = try await context.collect(
            rollout, tests.map { RolloutJob($0) }, in: name, concurrency: plan.concurrency)
        try await context.noteCuts(in: name)
        return outcome
    }

    /// The student's size and a record for each task.
    func measured() async throws -> (parameters: Int, records: [RunRecord]) {
        let parameters = try JSONCoding.decoder.decode(Int.self, from: Data(contentsOf: sizeFile))
        let records = try await context.store.entries(in: name).compactMap { entry in
            context.grade(of: entry).map { RunRecord(entry.trajectory, $0) }
        }
        return (parameters, records)
    }

    /// A base was not trained on the short prompts that students learn from.
    private var instructions: Instructions { system.isTrained ? .brief : .full }

    private var view: any View { context.view(system.style, instructions: instructions) }

    /// The system as something that runs.
    private var agent: AgentPlan {
        context.agentPlan(
            system.style, name: system.rawValue, instructions: instructions, search: system.isVoted ? .vote : .greedy)
    }

    /// The student, or its unchanged base.
    private var player: TrainedStage {
        guard system.isTrained, let plan = context.recipe.training[system.style] else {
            return TrainedStage(name: "", folder: URL(fileURLWithPath: student.base), base: nil)
        }
        return TrainStage(
            context: context, student: student, style: system.style, plan: plan, round: trainedRound
        ).trained
    }
}

extension LocalModel.Options {
    /// For agents that are evaluated: each continues from its own last step, so its prefix is kept while the cache has
    /// room. They take turns, and if one's text did not fit, that of the next would be evicted just before it is
    /// needed.
    static func evaluation(samples: Int, adapters: [String: URL] = [:], weights: WeightPrecision?) -> Self {
        Self(maximumSamples: samples, weights: weights, adapters: adapters, prefixTokens: samples << 13)
    }
}
