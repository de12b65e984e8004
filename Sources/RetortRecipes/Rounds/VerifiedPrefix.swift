import Foundation
import RetortAgents
import RetortCore
import RetortStore

/// The steps of a wrong trajectory before the one that a teacher replaced, after which the answer was right: from there
/// the task can be solved (SCoRe, arXiv 2509.14257).
struct VerifiedPrefix: Sendable, Hashable {
    let task: AgentTask
    let steps: [Step]
    /// What the student did next, and what the teacher did instead, as canonical text.
    private let (mistake, correction): (String, String)

    /// Nil for a repair that came to nothing.
    init?(_ entry: StoredTrajectory) {
        let (trajectory, place) = (entry.trajectory, entry.trajectory.provenance.attempt)
        guard entry.verdict?.isCorrect == true, trajectory.steps.indices.contains(place),
            let mistake = trajectory.steps[place].candidates.first(where: { !$0.chosen })
        else { return nil }
        task = trajectory.task
        steps = Array(trajectory.steps.prefix(place))
        (self.mistake, correction) = (
            mistake.action.canonicalText, trajectory.steps[place].action.canonicalText
        )
    }

    /// The prefixes of a set of repairs, by their task's id.
    static func all(in entries: [StoredTrajectory]) -> [String: VerifiedPrefix] {
        let found = entries.compactMap { VerifiedPrefix($0) }
        return Dictionary(found.map { ($0.task.id, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// The steps that a sample took itself.
    func own(_ trajectory: Trajectory) -> ArraySlice<Step> { trajectory.steps.dropFirst(steps.count) }

    /// What a sample from here is worth (SCoRe, section 3.3): 1 for a right answer; otherwise 0.5 for the teacher's step,
    /// 0 for the old mistake, and 0.1 for another step.
    func reward(_ entry: StoredTrajectory) -> Double {
        if entry.verdict?.isCorrect == true { return 1 }
        return switch own(entry.trajectory).first?.action.canonicalText {
        case correction: 0.5
        case mistake, nil: 0
        default: 0.1
        }
    }
}

extension StudentRound {
    /// The last round before this one in which trajectories were repaired.
    var repairing: StudentRound? {
        let earlier = context.recipe.rounds(of: style).prefix(number - 1)
        guard let index = earlier.lastIndex(where: { $0.repair != nil }) else { return nil }
        return StudentRound(context: context, student: student, style: style, number: index + 1)
    }

    /// What was repaired before this round, by the task's id.
    func verifiedPrefixes() async throws -> [String: VerifiedPrefix] {
        guard let repairing else { return [:] }
        return VerifiedPrefix.all(in: try await context.store.entries(in: repairing.name(RepairStage.loop)))
    }
}

/// Samples what a student does from where a repair turned its answer right: a group of each such task.
struct ContinuationStage: Stage {
    let round: StudentRound
    let plan: RoundPlan.Policy

    var name: String { round.name("policy") }
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
