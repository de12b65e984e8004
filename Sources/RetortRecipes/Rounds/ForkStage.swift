import Foundation
import RetortAgents
import RetortCore
import RetortStore

/// Lets a student solve the training tasks by a vote on each step; the chosen step is compared with the others.
struct ForkStage: Stage {
    static let loop = "forks"

    let round: StudentRound

    var name: String { round.name(Self.loop) }
    var sources: [String] { [round.before] }
    var models: [URL] { round.models }
    private var context: RunContext { round.context }

    func inputs() async throws -> [StageInput] {
        try round.inputs() + StageInput.settings("evaluation.vote", context.recipe.evaluation.vote)
    }

    func output() async throws -> String? { try await context.content(of: name) }

    func clear() async throws { try await context.remove(name) }

    func run() async throws -> StageOutcome {
        try await context.collect(
            round.rollout(.greedy, votes: true), context.source.train.map { RolloutJob($0) }, in: name,
            concurrency: context.recipe.evaluation.concurrency)
    }
}
