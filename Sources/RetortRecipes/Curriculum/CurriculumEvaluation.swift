import Foundation
import RetortAgents
import RetortCore
import RetortEvaluation
import RetortLLM
import RetortStore
import RetortWorld

extension RecipeRun {
    /// Measures the agent of a curriculum with one search.
    func evaluate(
        _ student: Recipe.Student, _ curriculum: Curriculum, _ kind: RoleEvaluation.SearchKind,
        _ constraint: OutputConstraint, _ players: [AgentRole: TrainedStage], plan: RoleEvaluation
    ) async throws -> [ToolUseRecord] {
        let set = "evaluate/\(student.name)/\(curriculum.name)+\(kind.rawValue)\(constraint == .free ? "" : "+grammar")"
        let hashes = players.map { "\($0.key) \($0.value.hash)" }.sorted()
        var measured = recipe.evaluation
        // What is measured does not depend on what else is.
        measured.roles?.searches = [kind]
        measured.roles?.constraints = [constraint]
        measured.roles?.scaled = []
        measured.roles?.shares = []
        let hash = try Self.hash(measured, recipe.source, recipe.seed, hashes, set)
        try await stage(set, hash: hash) {
            try await store.remove(set: set)
        } body: {
            let policy = try RoleTeam(players, concurrency: recipe.evaluation.concurrency).policy(
                name: curriculum.name, callForm: callForm, constraint: constraint,
                maximumTokens: recipe.evaluation.maximumTokens)
            let rollout = Rollout(
                policy: policy, search: plan.search(kind), maximumSteps: recipe.evaluation.maximumSteps,
                seed: recipe.seed, environmentFor: try await sessions())
            try await collect(
                rollout, source.tests.map { RolloutJob($0) }, in: set, concurrency: recipe.evaluation.concurrency)
        }
        return try await store.entries(in: set).map { entry in
            ToolUseRecord(entry.trajectory, entry.verdict ?? Verdict(isCorrect: false, reason: "not graded"))
        }
    }

    /// Where the agents of roles act: the world's APIs, or the interpreter for tasks that programs solve.
    private func sessions() async throws -> @Sendable (AgentTask) async throws -> any Environment {
        if let apis = source.apis { return { apis.session(for: $0) } }
        let python = try await python()
        let tools = source.tools
        return { _ in try await python.session(tools: tools) }
    }

    /// Trains and measures all curricula, and writes the report.
    func runCurricula(until goal: Goal) async throws -> ToolUseSummary? {
        let upstream = try await teachRoles()
        guard goal >= .train else { return nil }
        var summary = ToolUseSummary()
        for student in recipe.students {
            var known: [String: TrainedStage] = [:]
            for curriculum in allCurricula {
                let players = try await train(student, curriculum, known: &known, after: upstream)
                guard goal >= .evaluate, let plan = recipe.evaluation.roles else { continue }
                let isScaled = curriculum.name.contains("@")
                for (kind, constraint) in isScaled ? [(.greedy, .free)] : plan.ways {
                    let records = try await evaluate(student, curriculum, kind, constraint, players, plan: plan)
                    summary.add(
                        system: curriculum.name.split(separator: "@").first.map(String.init) ?? curriculum.name,
                        student: student.name, search: kind.rawValue, outputs: constraint.rawValue,
                        tasks: trainingTasks(curriculum), isScaled: isScaled, records)
                }
            }
        }
        guard goal >= .evaluate else { return nil }
        try AtomicFile.write(JSONCoding.prettyEncoder.encode(summary), to: folder.summaryFile)
        try AtomicFile.write(Data(ToolUseTable.render(summary).utf8), to: folder.tableFile)
        try AtomicFile.write(
            Data(ToolUseReport(title: recipe.name, summary: summary).render().utf8), to: folder.reportFile)
        return summary
    }

    /// How many of the teacher's tasks the stages of a curriculum see between them.
    private func trainingTasks(_ curriculum: Curriculum) -> Int {
        let from = curriculum.stages.map(\.tasks.from).min() ?? 0
        let to = curriculum.stages.map(\.tasks.to).max() ?? 1
        return Int(((to - from) * Double(source.train.count)).rounded())
    }
}
