import Foundation
import RetortAgents
import RetortCore
import RetortStore

/// Lets a student solve the training tasks as it does when it is measured; its wrong answers may be repaired.
struct ActStage: Stage {
    static let loop = "acts"

    let round: StudentRound

    var name: String { round.name(Self.loop) }
    var sources: [String] { [round.before] }
    var models: [URL] { round.models }
    private var context: RunContext { round.context }

    func inputs() async throws -> [StageInput] { try round.inputs() }

    func output() async throws -> String? { try await context.content(of: name) }

    func clear() async throws { try await context.remove(name) }

    func run() async throws -> StageOutcome {
        try await context.collect(
            round.rollout(.greedy), context.source.train.map { RolloutJob($0) }, in: name,
            concurrency: context.recipe.evaluation.concurrency)
    }
}
