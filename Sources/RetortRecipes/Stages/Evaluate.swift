import Foundation
import RetortAgents
import RetortCore
import RetortEvaluation
import RetortLLM
import RetortPython
import RetortRetrieval
import RetortStore

extension RecipeRun {
    /// Measures a system: runs the test tasks that are still missing and reads all of them back.
    /// - Returns: the student's size and a record for each task.
    func evaluate(
        _ student: Recipe.Student, _ system: Recipe.System, after upstream: String
    ) async throws -> (parameters: Int, records: [RunRecord]) {
        let set = Self.evaluationSet(student, system)
        var hash = try Self.hash(recipe.evaluation, recipe.source, recipe.seed, upstream, set)
        if let benchmarks = recipe.benchmarks { hash = try Self.hash(hash, benchmarks) }
        let sizeFile = folder.result("size-\(student.name)")
        try await stage(set, hash: hash) {
            try await store.remove(set: set)
        } body: {
            let model = try LocalModel(
                folder: system.isTrained
                    ? folder.checkpoint(student.name, system.style) : URL(fileURLWithPath: student.base),
                identity: student.name,
                options: .evaluation(samples: max(recipe.evaluation.concurrency, recipe.evaluation.vote.samples)))
            try AtomicFile.write(JSONCoding.encoder.encode(model.parameterCount), to: sizeFile)
            let tests = try await tests()
            let rollout = try await rollout(system, model)
            try await collect(
                rollout, tests.map { RolloutJob($0) }, in: set, concurrency: recipe.evaluation.concurrency)
        }
        let parameters = try JSONCoding.decoder.decode(Int.self, from: Data(contentsOf: sizeFile))
        try await judge(set, of: hash)
        let records = try await store.entries(in: set).map { RunRecord($0.trajectory, grade(of: $0)) }
        return (parameters, records)
    }

    static func evaluationSet(_ student: Recipe.Student, _ system: Recipe.System) -> String {
        "evaluate/\(student.name)/\(system.rawValue)"
    }

    /// A system as something that runs.
    func rollout(_ system: Recipe.System, _ model: any LanguageModel) async throws -> Rollout {
        let plan = recipe.evaluation
        // A base has never seen the short prompts that students learn from.
        let instructions: Instructions = system.isTrained ? .brief : .full
        let search: any Search = system.isVoted ? plan.vote.search : GreedySearch()
        let tools = source.tools
        guard system.style.isAgent else {
            let policy = ChainOfThought(
                model: model, view: ChainOfThoughtView(instructions: instructions),
                retriever: system == .cotWithRetrieval ? source.search : nil, maximumTokens: plan.maximumTokens)
            return Rollout(policy: policy, search: search, maximumSteps: policy.maximumSteps, seed: recipe.seed) {
                ToolEnvironment(tools)
            }
        }
        let view = CodeAgentView(instructions: instructions, tools: tools.map(\.specification))
        let policy = CodeAgent(name: system.rawValue, model: model, view: view, maximumTokens: plan.maximumTokens)
        let python = try await python()
        return Rollout(policy: policy, search: search, maximumSteps: plan.maximumSteps, seed: recipe.seed) {
            try await python.session(tools: tools)
        }
    }
}

extension LocalModel.Options {
    /// For agents that are evaluated: a task's prompts begin alike, so what some of them have read is kept.
    static func evaluation(samples: Int, adapters: [String: URL] = [:]) -> Self {
        Self(maximumSamples: samples, adapters: adapters, prefixTokens: 1 << 14)
    }
}
