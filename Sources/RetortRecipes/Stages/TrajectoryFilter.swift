import RetortCore
import RetortStore

/// Which of a teacher's trajectories are worth learning from.
struct TrajectoryFilter: Sendable {
    /// Why a trajectory is dropped.
    enum Reason: String, Codable, Sendable {
        case wrong = "wrong answer"
        case forced = "answered only when forced to"
        case parseError = "a turn without a program"
        case duplicate = "the same actions for the same question"
    }

    /// A dropped trajectory.
    struct Drop: Codable, Sendable {
        let id: String
        let reason: Reason
    }

    /// Correct, freely answered, every turn readable, no duplicates. Programs that failed are kept: they teach repair.
    static let standard = TrajectoryFilter()

    func split(_ entries: [TrajectoryStore.Entry]) -> (kept: [Trajectory], dropped: [Drop]) {
        var kept: [Trajectory] = []
        var dropped: [Drop] = []
        var seen: Set<[String]> = []
        for entry in entries {
            let trajectory = entry.trajectory
            let key = [trajectory.task.question] + trajectory.steps.map { "\($0.thought)\n\($0.action)" }
            if let reason = Self.reason(entry) {
                dropped.append(Drop(id: trajectory.id, reason: reason))
            } else if !seen.insert(key).inserted {
                dropped.append(Drop(id: trajectory.id, reason: .duplicate))
            } else {
                kept.append(trajectory)
            }
        }
        return (kept, dropped)
    }

    private static func reason(_ entry: TrajectoryStore.Entry) -> Reason? {
        guard entry.verdict?.isCorrect == true else { return .wrong }
        if case .forced = entry.trajectory.ending { return .forced }
        let hasParseError = entry.trajectory.steps.contains {
            if case .parseError = $0.observation.outcome { true } else { false }
        }
        return hasParseError ? .parseError : nil
    }
}
