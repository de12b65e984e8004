import Foundation
import RetortAgents
import RetortCore
import RetortEvaluation
import RetortLLM
import RetortStore

/// Runs the agent of a curriculum on the test tasks, with one search.
struct EvaluateRolesStage: Stage {
    let context: RunContext
    let student: Recipe.Student
    let curriculum: Curriculum
    let kind: RoleEvaluation.SearchKind
    let constraint: OutputConstraint
    let players: [AgentRole: TrainedStage]
    let plan: RoleEvaluation

    var name: String {
        "evaluate/\(student.name)/\(system)"
    }
    /// The curriculum and the way it is run.
    var system: String { "\(curriculum.name)+\(kind.rawValue)\(constraint == .free ? "" : "+grammar")" }
    var sources: [String] { Set(players.values.map(\.name)).sorted() }
    var models: [URL] { Set(players.values.flatMap(\.folders)).sorted { $0.path < $1.path } }

    func inputs() async throws -> [StageInput] {
        var inputs = try context.common() + context.testTasks() + [try context.grading()]
        inputs += try StageInput.settings("evaluation", own)
        inputs += try context.tools() + context.shown()
        for (role, player) in players.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            inputs += [
                .text("\(role.rawValue)'s stage", player.name),
                .view(
                    "\(role.rawValue)'s prompt",
                    context.roleView(role, instructions: .brief, callForm: context.callForm)),
            ]
        }
        return inputs
    }

    /// The evaluation's settings for this result, which depends neither on other measurements nor on the concurrency.
    private var own: Recipe.EvaluationPlan {
        var plan = context.recipe.evaluation
        plan.weights = plan.weights ?? .usual(on: .cpu)
        plan.systems = []
        plan.concurrency = 0
        plan.vote = Recipe.VotePlan()
        plan.roles?.searches = [kind]
        plan.roles?.constraints = [constraint]
        plan.roles?.scaled = []
        plan.roles?.shares = []
        if kind == .greedy {
            plan.roles?.width = 0
            plan.roles?.queries = 0
        }
        return plan
    }

    func output() async throws -> String? { try await context.content(of: name) }

    func clear() async throws { try await context.remove(name) }

    func run() async throws -> StageOutcome {
        let evaluation = context.recipe.evaluation
        let search: AgentSearch.Kind = kind == .greedy ? .greedy : .depthFirst
        let agent = context.agentPlan(curriculum, search: search, outputs: constraint)
        let models = try AgentPlayers.trained(
            players, identity: student.name,
            options: .evaluation(samples: evaluation.concurrency, weights: evaluation.weights))
        let rollout = try agent.rollout(
            models, host: context.source.tools, retriever: nil,
            session: context.sessions(context.recipe.domain.form))
        let outcome = try await context.collect(
            rollout, context.source.tests.map { RolloutJob($0) }, in: name, concurrency: evaluation.concurrency)
        try await context.noteCuts(in: name)
        return outcome
    }

    func measured() async throws -> [ToolUseRecord] {
        try await context.store.entries(in: name).map { entry in
            ToolUseRecord(entry.trajectory, entry.verdict ?? Verdict(isCorrect: false, reason: "not graded"))
        }
    }
}
