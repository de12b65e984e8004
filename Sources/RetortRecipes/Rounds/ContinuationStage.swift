import Foundation
import RetortAgents
import RetortCore
import RetortStore

/// Samples what a student does from where a repair turned its answer right: a group of each such task.
struct ContinuationStage: Stage {
    static let loop = "policy"

    let round: StudentRound
    let plan: RoundPlan.Policy

    var name: String { round.name(Self.loop) }
    var sources: [String] { [round.before] + (round.repairing.map { [$0.name(RepairStage.loop)] } ?? []) }
    var models: [URL] { round.models }
    private var context: RunContext { round.context }

    func inputs() async throws -> [StageInput] {
        try round.inputs() + [
            .setting("policy.samples", plan.samples), .setting("policy.temperature", plan.temperature),
            .text("policy.from", plan.from.rawValue),
        ]
    }

    func output() async throws -> String? { try await context.content(of: name) }

    func clear() async throws { try await context.remove(name) }

    func run() async throws -> StageOutcome {
        let prefixes = try await round.verifiedPrefixes()
        if prefixes.isEmpty { ProgressLine(name).note("nothing was repaired, so there is nowhere to go on from") }
        let jobs = context.source.train.compactMap { prefixes[$0.id] }.flatMap { prefix in
            (0..<plan.samples).map { RolloutJob(prefix.task, attempt: $0, beginning: prefix.steps) }
        }
        return try await context.collect(
            round.rollout(Sampling(temperature: plan.temperature)), jobs, in: name,
            concurrency: context.recipe.evaluation.concurrency)
    }
}
