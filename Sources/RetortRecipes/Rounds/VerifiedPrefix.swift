import RetortAgents
import RetortCore
import RetortStore

/// The steps of a wrong trajectory before the one that a teacher replaced, after which the answer was right: from there
/// the task can be solved (SCoRe, arXiv 2509.14257).
struct VerifiedPrefix: Sendable, Hashable {
    /// The repaired trajectory, and the index of its replaced step.
    let trajectory: Trajectory
    let place: Int
    /// What the student did next, and what the teacher did instead.
    let mistake: Candidate
    let correction: Step

    var task: AgentTask { trajectory.task }
    var steps: [Step] { Array(trajectory.steps.prefix(place)) }

    /// Nil for a repair that came to nothing.
    init?(_ entry: StoredTrajectory) {
        (trajectory, place) = (entry.trajectory, entry.trajectory.provenance.attempt)
        guard entry.verdict?.isCorrect == true, trajectory.steps.indices.contains(place),
            let mistake = trajectory.steps[place].candidates.first(where: { !$0.chosen })
        else { return nil }
        (self.mistake, correction) = (mistake, trajectory.steps[place])
    }

    /// The prefixes of a set of repairs, by their task's id.
    static func all(in entries: [StoredTrajectory]) -> [String: VerifiedPrefix] {
        let found = entries.compactMap { VerifiedPrefix($0) }
        return Dictionary(found.map { ($0.task.id, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// The steps that a sample took itself.
    func own(_ trajectory: Trajectory) -> ArraySlice<Step> { trajectory.steps.dropFirst(place) }

    /// What a sample from here is worth (SCoRe, section 3.3): 1 for a right answer; otherwise 0.5 for the teacher's step,
    /// 0 for the old mistake, and 0.1 for another step.
    func reward(_ entry: StoredTrajectory) -> Double {
        if entry.verdict?.isCorrect == true { return 1 }
        return switch own(entry.trajectory).first?.action.canonicalText {
        case correction.action.canonicalText: 0.5
        case mistake.action.canonicalText, nil: 0
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
