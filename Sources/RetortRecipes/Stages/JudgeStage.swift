import Foundation
import RetortCore
import RetortEvaluation
import RetortStore

/// Has the recipe's judge grade the factual answers of a set, and stores its verdicts in addition to the existing ones.
///
/// The judge's replies are kept on a tape, so each question is paid once, however often the stage is started. An answer
/// that the judge fails on is left without its verdict, and judged again on the next run.
struct JudgeStage: Stage {
    let context: RunContext
    let plan: JudgePlan
    /// The set whose answers are judged; the stage that fills it has the same name.
    let set: String

    var name: String { "judge/\(set)" }
    var sources: [String] { [set] }

    func inputs() async throws -> [StageInput] {
        try context.common() + context.judging(plan)
    }

    func output() async throws -> String? { try await context.content(of: set, .judged) }

    func clear() async throws { try await context.store.removeJudgements(in: set) }

    func run() async throws -> StageOutcome {
        let judge = try await context.workshop.judge(plan)
        try await context.sharing?.open(name, phase: 0, into: set)
        let all = try await context.store.entries(in: set).filter(\.hasFactualAnswer)
        let open = all.filter { $0.judge == nil }
        let faults = try await context.workThrough(open, of: name, into: set, width: plan.access.concurrency) { entry in
            let (judged, fault) = try await judge.judged(entry)
            return FleetResult(entries: fault == nil ? [judged] : [], failure: fault.map(RolloutTally.cause))
        }
        if let kappa = judge.agreement.kappa {
            ProgressLine(name).note(String(format: "its votes agree with Fleiss' kappa %.2f", kappa))
        }
        return StageOutcome(total: all.count, failures: Dictionary(faults.map { ($0, 1) }, uniquingKeysWith: +))
    }
}

extension RunContext {
    /// What a judge's verdicts depend on, except for what it judges.
    func judging(_ plan: JudgePlan) throws -> [StageInput] {
        var asking = plan.asking
        asking.model = nil
        return try StageInput.settings("judge", asking)
            + [.text("judge's model", plan.access.identities.joined(separator: ", "))]
            + plan.access.checkpoint("judge's weights", self)
    }

    /// The verdict that counts; nil where the judge decides and gave none. Exact match is another measure, and does not
    /// replace it.
    func grade(of entry: StoredTrajectory) -> Verdict? {
        let own = entry.verdict ?? Verdict(isCorrect: false, reason: "not graded")
        guard !recipe.domain.needsJudge, recipe.judge?.decides == true, entry.hasFactualAnswer else { return own }
        return entry.judge
    }

    /// How the judge's verdicts on a student's systems compare with exact match and word overlap.
    func judgedSystems(_ student: Recipe.Student) async throws -> [JudgedSystem] {
        var systems: [JudgedSystem] = []
        for system in recipe.evaluation.systems {
            let entries = try await store.entries(in: EvaluateStage.set(student, system)).filter(\.hasFactualAnswer)
            systems.append(
                JudgedSystem(
                    student: student.name, system: system.rawValue,
                    entries.map { entry in
                        let exact = entry.verdict ?? Verdict(isCorrect: false, reason: "not graded")
                        return (entry.trajectory, exact, entry.judge)
                    }))
        }
        return systems
    }
}

extension StoredTrajectory {
    /// Whether it has a factual answer that a judge could be asked about.
    var hasFactualAnswer: Bool {
        trajectory.task.family == .factual && !trajectory.task.answers.isEmpty && trajectory.answer?.isEmpty == false
    }
}

extension ModelJudge {
    /// The entry with the judge's verdict, or why there is none.
    /// - Throws: errors that halt the run, `CancellationError`.
    fileprivate func judged(_ entry: StoredTrajectory) async throws -> (StoredTrajectory, String?) {
        var entry = entry
        do {
            entry.judge = try await judge(entry.trajectory.answer, for: entry.trajectory.task)
            return (entry, nil)
        } catch {
            if error is CancellationError || Task.isCancelled { throw CancellationError() }
            if (error as? any RunHalting)?.haltsRun == true { throw error }
            return (entry, "\(error)")
        }
    }
}
