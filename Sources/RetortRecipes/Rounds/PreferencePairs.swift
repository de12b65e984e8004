import RetortAgents
import RetortCore
import RetortStore

/// Two steps from the same point of a trajectory, of which one is better.
struct PreferencePair: Sendable, Hashable {
    /// Its source: the loop and the trajectory.
    var origin: String
    /// The earlier steps, followed by the better step and by the worse one.
    var chosen: Trajectory
    var rejected: Trajectory

    /// - Parameters:
    ///   - trajectory: begins with the steps before the two.
    ///   - place: the index of the two steps, from 0.
    init(_ origin: String, _ trajectory: Trajectory, at place: Int, better: Step, worse: Step) {
        self.origin = origin
        func ending(with step: Step) -> Trajectory {
            var cut = Trajectory(task: trajectory.task, provenance: trajectory.provenance)
            for step in trajectory.steps.prefix(place) { cut.append(step) }
            cut.append(step)
            // The step's observation is not part of the choice.
            cut.end(.gaveUp("the rest is left out"))
            return cut
        }
        (chosen, rejected) = (ending(with: better), ending(with: worse))
    }

    /// The question and the actions before and in each of the two.
    fileprivate var key: [String] {
        [HeldOut.key(chosen.task)] + chosen.canonicalActions + ["against"] + [rejected.canonicalActions.last ?? ""]
    }
}

enum PreferencePairs {
    /// A repair preferred to the step that it replaced.
    static func repairs(_ entries: [StoredTrajectory]) -> [PreferencePair] {
        entries.compactMap { VerifiedPrefix($0) }.map { repair in
            PreferencePair(
                RepairStage.loop, repair.trajectory, at: repair.place, better: repair.correction,
                worse: Step(repair.mistake, speaker: repair.correction.speaker))
        }
    }

    /// The step of a right trajectory preferred to that of a wrong one, where they diverge. A step that another right
    /// trajectory took from the same point does not count as worse.
    static func samples(_ entries: [StoredTrajectory]) -> [PreferencePair] {
        let byTask = Dictionary(grouping: entries, by: \.trajectory.task.id)
        return byTask.sorted { $0.key < $1.key }.flatMap { _, entries -> [PreferencePair] in
            let right = entries.filter { $0.verdict?.isCorrect == true }.map(\.trajectory)
            return parting(right, entries.filter(\.isWrong).map(\.trajectory), right: right, RejectionStage.loop)
        }
    }

    /// The teacher's step preferred to the student's own, where a wrong sample departs from the teaching (SPIN, arXiv
    /// 2401.01335, but without right samples: losing to another right way would teach nothing).
    static func taught(_ lessons: [Trajectory], against entries: [StoredTrajectory]) -> [PreferencePair] {
        let byTask = Dictionary(grouping: lessons, by: { HeldOut.key($0.task) })
        let drawn = Dictionary(grouping: entries, by: { HeldOut.key($0.trajectory.task) })
        return byTask.sorted { $0.key < $1.key }.flatMap { task, lessons -> [PreferencePair] in
            let own = drawn[task] ?? []
            let right = lessons + own.filter { $0.verdict?.isCorrect == true }.map(\.trajectory)
            return parting(lessons, own.filter(\.isWrong).map(\.trajectory), right: right, "teacher")
        }
    }

    /// The steps at which good and bad trajectories of a task diverge, except steps that a right trajectory took from
    /// there.
    private static func parting(
        _ good: [Trajectory], _ bad: [Trajectory], right: [Trajectory], _ origin: String
    ) -> [PreferencePair] {
        good.flatMap { good in
            bad.compactMap { bad -> PreferencePair? in
                let place = zip(good.steps, bad.steps).prefix { $0.isSame(as: $1) }.count
                guard place < good.steps.count, place < bad.steps.count else { return nil }
                let (better, worse) = (good.steps[place], bad.steps[place])
                let isTakenRightly = right.contains { other in
                    other.steps.count > place
                        && other.steps[place].action.canonicalText == worse.action.canonicalText
                        && zip(other.steps.prefix(place), bad.steps).allSatisfy { $0.isSame(as: $1) }
                }
                guard !isTakenRightly, !better.isAsked(of: good), !worse.isAsked(of: bad) else { return nil }
                return PreferencePair(origin, good, at: place, better: better, worse: worse)
            }
        }
    }

    /// A chosen step preferred to the others considered, in right trajectories: forks that lost a vote, and abandoned
    /// branches.
    static func forks(_ entries: [StoredTrajectory]) -> [PreferencePair] {
        entries.filter { $0.verdict?.isCorrect == true }.map(\.trajectory).flatMap { trajectory in
            trajectory.steps.enumerated().flatMap { place, step -> [PreferencePair] in
                let votes = step.candidates.first(where: \.chosen)?.votes ?? 0
                let lost = step.candidates.filter { candidate in
                    !candidate.chosen && candidate.action.canonicalText != step.action.canonicalText
                        // A proposal that agrees with the winner is not a loser.
                        && (candidate.votes < votes || candidate.observation?.outcome.isFailure == true || votes == 0)
                }
                return lost.map {
                    PreferencePair(
                        ForkStage.loop, trajectory, at: place, better: step, worse: Step($0, speaker: step.speaker))
                }
            }
        }
    }

    /// Each pair once, and at most this many of a question, in their order.
    static func chosen(_ pairs: [PreferencePair], each limit: Int, without held: Set<String>) -> [PreferencePair] {
        var known: Set<[String]> = []
        var taken: [String: Int] = [:]
        return pairs.filter { pair in
            let question = HeldOut.key(pair.chosen.task)
            guard !held.contains(question), taken[question, default: 0] < limit, known.insert(pair.key).inserted else {
                return false
            }
            taken[question, default: 0] += 1
            return true
        }
    }
}

extension Step {
    /// A step that was considered but not taken.
    fileprivate init(_ candidate: Candidate, speaker: String) {
        self.init(
            speaker: speaker, thought: candidate.thought, action: candidate.action,
            observation: candidate.observation ?? Observation(text: "", outcome: .success))
    }

    /// Whether the two look the same in a trajectory.
    fileprivate func isSame(as other: Step) -> Bool {
        speaker == other.speaker && thought == other.thought && action == other.action
            && observation.text == other.observation.text && remarks == other.remarks
    }

    /// Whether it is an answer that had to be asked for, which follows a request that other steps do not.
    fileprivate func isAsked(of trajectory: Trajectory) -> Bool {
        guard case .forced = trajectory.ending else { return false }
        return self == trajectory.steps.last
    }
}
