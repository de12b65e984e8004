import Foundation
import RetortCore
import RetortEvaluation
import RetortStore

/// Has the domain's other graders grade the runs of a set, and stores their verdicts in addition to the deciding one.
///
/// A run on which a grader breaks is left without its verdict, and graded by it again on the next run. Failed runs are
/// not graded.
struct AlsoStage: Stage {
    let context: RunContext
    /// The set whose runs are graded; the stage that fills it has the same name.
    let set: String

    var name: String { "also/\(set)" }
    var sources: [String] { [set] }

    func inputs() async throws -> [StageInput] {
        let plans = context.recipe.domain.otherGraders
        let judging = plans.contains { $0.kind == .judge } ? try context.recipe.judge.map(context.judging) ?? [] : []
        return try context.common() + context.content(.otherGrading) + judging
    }

    func output() async throws -> String? { try await context.content(of: set, .others) }

    func clear() async throws { try await context.store.removeOtherVerdicts(in: set) }

    func run() async throws -> StageOutcome {
        let graders = try await context.workshop.otherGraders()
        try await context.sharing?.open(name, phase: 0, into: set)
        let all = try await context.store.entries(in: set).filter { !$0.trajectory.hasFailed }
        let open = all.filter { entry in graders.contains { entry.also?[$0.name] == nil } }
        let faults = try await context.workThrough(open, of: name, into: set, width: width) { entry in
            let (graded, faults) = try await entry.graded(by: graders)
            return FleetResult(entries: [graded], failure: faults.first.map(RolloutTally.cause))
        }
        return StageOutcome(total: all.count, failures: Dictionary(faults.map { ($0, 1) }, uniquingKeysWith: +))
    }

    /// How many runs are graded at the same time: as many as the judge may be asked about, or a fixed number for
    /// sessions.
    private var width: Int { context.recipe.judge?.access.concurrency ?? 8 }
}

extension Trajectory {
    fileprivate var hasFailed: Bool { if case .failed = ending { true } else { false } }
}

extension StoredTrajectory {
    /// The entry with the missing verdicts, and why some of them are still missing.
    /// - Throws: errors that halt the run, `CancellationError`.
    fileprivate func graded(
        by graders: [(name: String, grader: any TrajectoryGrader)]
    ) async throws -> (StoredTrajectory, [String]) {
        var entry = self
        var faults: [String] = []
        for (name, grader) in graders where entry.also?[name] == nil {
            do {
                entry.also = entry.also ?? [:]
                entry.also?[name] = try await grader.grade(trajectory)
            } catch {
                if error is CancellationError || Task.isCancelled { throw CancellationError() }
                if (error as? any RunHalting)?.haltsRun == true { throw error }
                faults.append("\(name): \(error)")
            }
        }
        return (entry, faults)
    }
}

extension RunContext {
    /// The other graders' results for a set, appended to those for other sets; nil where there are none.
    func otherGrades(
        of set: String, student: String, system: String, after others: [OtherGrades]?
    ) async throws -> [OtherGrades]? {
        let names = recipe.domain.otherGraders.map(\.title)
        guard !names.isEmpty else { return others }
        let splits = Dictionary(grouping: try await store.entries(in: set), by: \.trajectory.task.split)
        let found = splits.sorted { $0.key < $1.key }.flatMap { split, entries in
            names.map { name in
                OtherGrades(
                    student: student, system: system, split: split, grader: name,
                    entries.map { (grade(of: $0), $0.also?[name]) })
            }
        }
        return (others ?? []) + found
    }
}

extension Recipe {
    /// Whether its judge is for factual answers, and not for a domain's rubrics.
    var judgesAnswers: Bool { judge != nil && !domain.needsJudge }
}
