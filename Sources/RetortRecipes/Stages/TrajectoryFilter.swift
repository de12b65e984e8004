import RetortAgents
import RetortCore
import RetortStore

/// Decides which of a teacher's trajectories are worth learning from, and why the others are not.
///
/// Kept are correct, freely given answers whose every turn could be read, and that no other trajectory of the task
/// repeats. Programs that failed are kept, because they teach repair, unless `mask` says otherwise.
struct TrajectoryFilter: Sendable {
    /// Why a trajectory is dropped.
    enum Reason: String, Codable, Sendable, CaseIterable {
        case label = "not labelled as the recipe asks"
        case failed = "the run failed"
        case noAnswer = "no answer"
        case ungraded = "not graded"
        case wrong = "wrong answer"
        case forced = "answered only when forced to"
        case parseError = "a turn without a program"
        case tooManySteps = "too many turns"
        case tooLong = "a turn that is too long"
        case noToolUse = "answered without a tool"
        case unseen = "an answer that nothing showed"
        case leak = "told the reference answer before anything showed it"
        case duplicate = "the same actions for the same question"
        case surplus = "others of the same question differ more"
        case masked = "every step is masked"
    }

    /// A dropped trajectory.
    struct Drop: Codable, Sendable {
        let id: String
        let reason: Reason
    }

    private let plan: FilterPlan

    init(_ plan: FilterPlan = FilterPlan()) { self.plan = plan }

    /// Splits trajectories, in their order, into those that are kept and those that are not.
    func split(_ entries: [TrajectoryStore.Entry]) -> (kept: [Trajectory], dropped: [Drop]) {
        var sound: [Trajectory] = []
        var dropped: [Drop] = []
        var seen: Set<[String]> = []
        for entry in entries.map(labelled) {
            let trajectory = entry.trajectory
            if let reason = reason(entry) {
                dropped.append(Drop(id: trajectory.id, reason: reason))
            } else if !seen.insert([trajectory.task.question] + trajectory.actions).inserted {
                dropped.append(Drop(id: trajectory.id, reason: .duplicate))
            } else {
                sound.append(trajectory)
            }
        }
        guard let limit = plan.keepEach else { return (sound, dropped) }
        let chosen = Set(
            Dictionary(grouping: sound, by: \.task.question).values
                .flatMap { DiverseChoice.of($0, limit).map(\.id) })
        dropped += sound.filter { !chosen.contains($0.id) }.map { Drop(id: $0.id, reason: .surplus) }
        return (sound.filter { chosen.contains($0.id) }, dropped)
    }

    /// An entry with its label applied: where labels count, a person's judgement outranks the grader's.
    private func labelled(_ entry: TrajectoryStore.Entry) -> TrajectoryStore.Entry {
        guard plan.labels != nil, let label = entry.label, label.kind != .bad else { return entry }
        var entry = entry
        if let mended = label.mended { entry.trajectory = mended }
        entry.verdict = Verdict(isCorrect: true, reason: "labelled \(label.kind.rawValue)")
        return entry
    }

    private func reason(_ entry: TrajectoryStore.Entry) -> Reason? {
        let trajectory = entry.trajectory
        if let labels = plan.labels {
            let own = entry.label.map { FilterPlan.Labelled(rawValue: $0.kind.rawValue) } ?? FilterPlan.Labelled.none
            guard let own, labels.contains(own) else { return .label }
        }
        switch trajectory.ending {
        case .failed: return .failed
        case nil: return .noAnswer
        case .gaveUp where entry.verdict?.isCorrect != true: return .noAnswer
        // Giving up is right where a task cannot be solved.
        case .answered, .forced, .gaveUp: break
        }
        guard let verdict = entry.verdict else { return .ungraded }
        guard verdict.isCorrect else { return .wrong }
        if case .forced = trajectory.ending, !plan.keepsForced { return .forced }
        let hasParseError = trajectory.steps.contains {
            if case .parseError = $0.observation.outcome { true } else { false }
        }
        let masksFailures = plan.masked?.contains(.failed) == true
        if hasParseError, !masksFailures { return .parseError }
        if !trajectory.teaches(plan.lesson(trajectory).steps) { return .masked }
        if let most = plan.maximumSteps, trajectory.steps.count > most { return .tooManySteps }
        if let most = plan.maximumCharacters,
            trajectory.steps.contains(where: { $0.thought.count + ($0.action.code?.count ?? 0) > most })
        {
            return .tooLong
        }
        let isAgent = trajectory.steps.contains { $0.action.code != nil }
        if plan.requiresToolUse, isAgent, !trajectory.usesTool { return .noToolUse }
        if plan.requiresEvidence == true, !trajectory.hasGivenUp, !Evidence.isIn(trajectory) { return .unseen }
        return plan.dropsLeaks && isAgent && AnswerLeak.isIn(trajectory) ? .leak : nil
    }
}

extension Trajectory {
    /// The actions, without the words around them: equal for trajectories whose differences are not worth learning. The
    /// turns of a reasoner consist of words alone.
    var actions: [String] {
        steps.map { step in
            guard let program = step.action.code else { return "\(step.thought)\n\(step.action)" }
            return program.split(whereSeparator: \.isNewline)
                .map { line in
                    // A comment is words, too; the cut may damage a text with '#' in it, which hardly ever makes two
                    // programs equal.
                    line.prefix { $0 != "#" }.split(whereSeparator: \.isWhitespace).joined(separator: " ")
                }
                .filter { !$0.isEmpty }.joined(separator: "\n")
        }
    }

    /// Whether it ended without an answer because there is none.
    fileprivate var hasGivenUp: Bool { if case .gaveUp = ending { true } else { false } }

    /// Whether a tool was called, or a program did more than give the answer.
    fileprivate var usesTool: Bool {
        toolCallCount > 0
            || steps.contains { step in
                guard let program = step.action.code else { return false }
                return AnswerLeak.literalAnswer(program) == nil
            }
    }
}
