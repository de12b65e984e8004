import Foundation
import RetortAgents
import RetortCore
import RetortStore

/// Samples a student's own trajectories of the training tasks: some of each, and more of tasks that it hardly solves.
struct RejectionStage: Stage {
    static let loop = "rejection"

    let round: StudentRound
    let plan: RoundPlan.Rejection
    /// The purpose of the samples.
    var loop = Self.loop

    var name: String { round.name(loop) }
    var sources: [String] { [round.before] }
    var models: [URL] { round.models }
    private var context: RunContext { round.context }

    func inputs() async throws -> [StageInput] {
        try round.inputs() + StageInput.settings(loop, plan)
    }

    func output() async throws -> String? { try await context.content(of: name) }

    func clear() async throws { try await context.remove(name) }

    func run() async throws -> StageOutcome {
        if loop == "distance" { try await round.checkTeacher() }
        let rollout = try round.rollout(Sampling(temperature: plan.temperature, topP: plan.topP))
        var drawn = 0
        while drawn < plan.most {
            let attempts = drawn..<min(drawn + plan.samples, plan.most)
            let tasks = drawn == 0 ? context.source.train : try await hard(after: drawn)
            guard !tasks.isEmpty else { break }
            let jobs = attempts.flatMap { attempt in tasks.map { RolloutJob($0, attempt: attempt) } }
            _ = try await context.collect(
                rollout, jobs, in: name, concurrency: context.recipe.evaluation.concurrency, phase: drawn)
            drawn = attempts.upperBound
        }
        return try await context.outcome(of: name)
    }

    /// The tasks with too few right answers among their first samples. Samples drawn later, before an interruption, do
    /// not count, so the same tasks are sampled again.
    func hard(after drawn: Int) async throws -> [AgentTask] {
        var right: [String: Set<[String]>] = [:]
        for try await entry in context.store.trajectories(in: name) {
            guard entry.verdict?.isCorrect == true, entry.trajectory.provenance.attempt < drawn else { continue }
            right[entry.trajectory.task.id, default: []].insert(entry.trajectory.canonicalActions)
        }
        return context.source.train.filter { (right[$0.id]?.count ?? 0) < plan.distinct }
    }
}

extension Trajectory {
    /// The actions in a single spelling; for turns that are only words, the words.
    var canonicalActions: [String] {
        steps.map { step in
            switch step.action {
            case .code, .toolCall: step.action.canonicalText
            case .answer, .giveUp, .unparsable: "\(step.thought)\n\(step.action.canonicalText)"
            }
        }
    }
}
