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

    var name: String { Self.set(student, system) }
    var sources: [String] { system.isTrained ? [TrainStage.name(student, system.style)] : [] }

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

    /// The evaluation's plan as far as it is about this system: what else is measured changes nothing here, and neither
    /// does how much is done at once.
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
        // The student's size belongs to the result.
        guard FileManager.default.fileExists(atPath: sizeFile.path) else { return nil }
        return try await context.content(of: name)
    }

    func clear() async throws { try await context.remove(name) }

    func run() async throws -> StageOutcome {
        let plan = context.recipe.evaluation
        let model = try LocalModel(
            folder: system.isTrained
                ? context.folder.checkpoint(student.name, system.style) : URL(fileURLWithPath: student.base),
            identity: student.name,
            options: .evaluation(samples: max(plan.concurrency, plan.vote.samples), weights: plan.weights))
        try AtomicFile.write(JSONCoding.encoder.encode(model.parameterCount), to: sizeFile)
        let tests = try await context.workshop.tests()
        return try await context.collect(
            rollout(model), tests.map { RolloutJob($0) }, in: name, concurrency: plan.concurrency)
    }

    /// The student's size and a record for each task.
    func measured() async throws -> (parameters: Int, records: [RunRecord]) {
        let parameters = try JSONCoding.decoder.decode(Int.self, from: Data(contentsOf: sizeFile))
        let records = try await context.store.entries(in: name).compactMap { entry in
            context.grade(of: entry).map { RunRecord(entry.trajectory, $0) }
        }
        return (parameters, records)
    }

    /// A base has never seen the short prompts that students learn from.
    private var instructions: Instructions { system.isTrained ? .brief : .full }

    private var view: any View { context.view(system.style, instructions: instructions) }

    /// The system as something that runs.
    private func rollout(_ model: any LanguageModel) async throws -> Rollout {
        let recipe = context.recipe
        let source = context.source
        let plan = recipe.evaluation
        let search: any Search = system.isVoted ? plan.vote.search : GreedySearch()
        let tools = source.tools
        guard let form = system.style.form else {
            let policy = ChainOfThought(
                model: model,
                view: ChainOfThoughtView(instructions: instructions, guidance: source.domain.guidance),
                retriever: system == .cotWithRetrieval ? source.domain.retriever : nil,
                maximumTokens: plan.maximumTokens)
            return Rollout(policy: policy, search: search, maximumSteps: policy.maximumSteps, seed: recipe.seed) {
                ToolEnvironment(tools)
            }
        }
        let policy: any Policy =
            switch form {
            case .code: CodeAgent(name: system.rawValue, model: model, view: view, maximumTokens: plan.maximumTokens)
            case .json:
                ToolAgent(
                    name: system.rawValue, model: RoleModel(model), instructions: instructions,
                    observationLimit: context.observationLimit, tools: source.toolDocuments,
                    guidance: source.domain.guidance, maximumTokens: plan.maximumTokens)
            }
        return Rollout(
            policy: policy, search: search, maximumSteps: plan.maximumSteps, seed: recipe.seed,
            environmentFor: context.sessions(form))
    }
}

extension LocalModel.Options {
    /// For agents that are evaluated: a task's prompts begin alike, so what some of them have read is kept.
    static func evaluation(samples: Int, adapters: [String: URL] = [:], weights: WeightPrecision?) -> Self {
        Self(maximumSamples: samples, weights: weights, adapters: adapters, prefixTokens: 1 << 14)
    }
}
