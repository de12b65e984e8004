import Foundation
import RetortAgents
import RetortCore
import RetortStore

/// What a student learns from in a round: the teacher's lessons, and the results of its own work.
struct RoundLessons: Sendable {
    /// The source of a lesson.
    struct Origin: Codable, Sendable, Hashable {
        /// The trajectory's id in its set.
        var id: String
        /// The set of the store that contains it.
        var set: String
        /// `teacher`, or the loop that made it.
        var origin: String
        /// The round that made it; 0 for the teacher's.
        var round: Int
        /// The indices of the steps that are learned; nil for all.
        var steps: [Int]?
    }

    private(set) var lessons: [Lesson] = []
    private(set) var origins: [Origin] = []

    mutating func add(_ lesson: Lesson, from set: String, _ origin: String, round: Int) {
        lessons.append(lesson)
        let steps: [Int]? = if case .only(let places) = lesson.steps { places.sorted() } else { nil }
        origins.append(Origin(id: lesson.trajectory.id, set: set, origin: origin, round: round, steps: steps))
    }

    /// The number of lessons of each origin.
    var counts: [String: Int] {
        Dictionary(
            origins.map { ($0.round == 0 ? $0.origin : "\($0.origin) of round \($0.round)", 1) }, uniquingKeysWith: +)
    }

    /// Whether a round produced anything.
    func hasAny(of round: Int) -> Bool { origins.contains { $0.round == round } }

    /// Writes the source of each lesson, one per line.
    func write(to file: URL) throws { try JSONLines.write(origins, to: file) }
}

extension StudentRound {
    /// The teacher's lessons and the student's own of all rounds up to this one. A lesson that does the same as another
    /// one of its task is left out, and so are lessons of held-out tasks.
    func lessons(besides divided: HeldOut) async throws -> RoundLessons {
        var all = RoundLessons()
        var known: Set<[String]> = []
        for lesson in divided.learned {
            all.add(lesson, from: TeachStage.set(style), "teacher", round: 0)
            known.insert(lesson.trajectory.key)
        }
        let held = divided.heldKeys
        // A limit for each task applies across all rounds.
        var drawn: [String: Int] = [:]
        for (index, plan) in context.recipe.rounds(of: style).prefix(number).enumerated() {
            let round = StudentRound(context: context, student: student, style: style, number: index + 1)
            if let repair = plan.repair {
                let set = round.name(RepairStage.loop)
                let isStep = repair.learn == .step
                for trajectory in try await round.kept(set, without: held, learningSteps: isStep)
                where known.insert(trajectory.key).inserted {
                    let lesson =
                        isStep
                        ? Lesson(trajectory, learning: .only([trajectory.provenance.attempt]))
                        : context.lesson(trajectory)
                    all.add(lesson, from: set, RepairStage.loop, round: index + 1)
                }
            }
            guard let rejection = plan.rejection else { continue }
            let set = round.name(RejectionStage.loop)
            let fresh = try await round.kept(set, without: held, learningSteps: false)
                .filter { known.insert($0.key).inserted }
            let byTask = Dictionary(grouping: fresh, by: { HeldOut.key($0.task) })
            for (task, trajectories) in byTask.sorted(by: { $0.key < $1.key }) {
                let chosen = DiverseChoice.of(trajectories, max(rejection.distinct - drawn[task, default: 0], 0))
                drawn[task, default: 0] += chosen.count
                for trajectory in chosen {
                    all.add(context.lesson(trajectory), from: set, RejectionStage.loop, round: index + 1)
                }
            }
        }
        return all
    }

    /// The trajectories of a loop's set that pass the filters; the others go to `results/filter-LOOP-STUDENT-KIND.json`
    /// with the reason.
    /// - Parameters:
    ///   - held: questions of held-out tasks, which are not learned from.
    ///   - learningSteps: whether single steps are learned, so that the others may have faults.
    private func kept(_ set: String, without held: Set<String>, learningSteps: Bool) async throws -> [Trajectory] {
        var filter = context.recipe.filter ?? FilterPlan()
        filter.keepEach = nil
        if learningSteps { filter.masked = [.failed] }
        let (kept, dropped) = TrajectoryFilter(filter).split(try await context.store.entries(in: set))
        try AtomicFile.write(
            JSONCoding.prettyEncoder.encode(dropped),
            to: context.folder.result("filter-\(set.replacing("/", with: "-").fileName)"))
        return kept.filter { !held.contains(HeldOut.key($0.task)) }
    }
}

extension Trajectory {
    /// The question and the actions.
    fileprivate var key: [String] { [HeldOut.key(task)] + canonicalActions }
}
