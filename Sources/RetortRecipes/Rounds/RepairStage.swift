import Foundation
import RetortAgents
import RetortCore
import RetortEvaluation
import RetortStore

/// Has a teacher replace single steps of a student's wrong trajectories, until one replacement makes the answer right.
///
/// Every try is stored with its grade, so an interrupted run does not ask the teacher anything twice.
struct RepairStage: Stage {
    static let loop = "repair"

    let round: StudentRound
    let plan: RoundPlan.Repair

    var name: String { round.name(Self.loop) }
    var sources: [String] { [round.name(ActStage.loop)] }
    var models: [URL] { round.models }
    private var context: RunContext { round.context }
    private var recipe: Recipe { context.recipe }

    func inputs() async throws -> [StageInput] {
        var inputs = try round.inputs() + [.setting("repair.candidates", plan.candidates)]
        guard let teacher = recipe.teacher else {
            inputs += (context.source.domain.teacher?.content ?? []).map { .text($0.name, $0.value) }
            return inputs
        }
        inputs += try teacher.inputs(context)
        return inputs + [
            .view("teacher's prompt", context.view(round.style, instructions: teacher.asking.instructions))
        ]
    }

    func output() async throws -> String? { try await context.content(of: name) }

    func clear() async throws { try await context.remove(name) }

    func run() async throws -> StageOutcome {
        try await context.sharing?.open(name, phase: 0, into: name)
        let wrong = try await context.store.entries(in: round.name(ActStage.loop)).filter(\.isWrong)
        let progress = ProgressLine(name)
        guard !wrong.isEmpty || context.sharing?.plans == false else {
            progress.note("nothing to repair: the student answered every task right, or its runs broke")
            return try await context.outcome(of: name)
        }
        let (teacher, sampling) = try await policy()
        let repair = StepRepair(try round.rollout(.greedy), teacher: teacher, sampling: sampling)
        let grader = try await context.workshop.grader()
        let width = min(recipe.teacher?.concurrency ?? 8, recipe.evaluation.concurrency)
        var open: [StoredTrajectory] = []
        for entry in wrong where try await !isSettled(entry.trajectory) { open.append(entry) }
        _ = try await context.workThrough(open, of: name, into: name, width: width) { entry in
            try await tries(entry.trajectory, by: repair, grader)
        }
        var repaired = 0
        for entry in wrong where try await lastTry(entry.trajectory)?.verdict?.isCorrect == true { repaired += 1 }
        progress.note("\(repaired) of \(wrong.count) wrong trajectories repaired")
        return try await context.outcome(of: name)
    }

    /// Tries the candidates in turn until one of them succeeds; tries before an interruption count.
    /// - Returns: the new tries, which are not stored yet.
    private func tries(
        _ trajectory: Trajectory, by repair: StepRepair, _ grader: any TrajectoryGrader
    ) async throws -> FleetResult {
        var fresh: [StoredTrajectory] = []
        for step in steps(of: trajectory) {
            try Task.checkCancellation()
            var entry = try await entry(trajectory, step)
            if entry?.isBroken ?? true {
                var made = try await grader.graded(try await repair(trajectory, step: step))
                if made.trajectory.isUndecided(behind: step) {
                    made.verdict = Verdict(isCorrect: false, reason: "nothing was repaired")
                }
                // In this process each try is saved at once; elsewhere those of a trajectory are handed over together.
                if context.sharing == nil {
                    try await context.store.save([made], in: name)
                } else {
                    fresh.append(made)
                }
                entry = made
            }
            if entry?.verdict?.isCorrect == true { break }
        }
        let isBroken = fresh.contains(where: \.isBroken)
        return FleetResult(entries: fresh, failure: isBroken ? "a repair failed" : nil)
    }

    private func steps(of trajectory: Trajectory) -> ArraySlice<Int> {
        StepRepair.candidates(of: trajectory).prefix(plan.candidates)
    }

    private func entry(_ trajectory: Trajectory, _ step: Int) async throws -> StoredTrajectory? {
        try await context.store.entry(id: StepRepair.id(trajectory.task, step: step), in: name)
    }

    /// The last of the stored tries, in the order in which they are made.
    private func lastTry(_ trajectory: Trajectory) async throws -> StoredTrajectory? {
        var last: StoredTrajectory?
        for step in steps(of: trajectory) {
            guard let tried = try await entry(trajectory, step) else { break }
            last = tried
            if tried.verdict?.isCorrect == true { break }
        }
        return last
    }

    /// Whether nothing is left to try.
    private func isSettled(_ trajectory: Trajectory) async throws -> Bool {
        for step in steps(of: trajectory) {
            guard let tried = try await entry(trajectory, step), !tried.isBroken else { return false }
            if tried.verdict?.isCorrect == true { return true }
        }
        return true
    }

    /// The policy that writes the steps: the recipe's teacher, or the domain's own.
    private func policy() async throws -> (any Policy, Sampling) {
        let teaching = TeachStage(context: context, style: round.style)
        if let plan = recipe.teacher {
            let teacher = try await context.workshop.teacher(plan, stored: try await context.storedTeaching())
            return (
                teaching.policy(plan, teacher.model, tools: teacher.tools),
                Sampling(temperature: plan.asking.temperature, topP: plan.asking.topP)
            )
        }
        guard let own = context.source.domain.teacher, let form = round.style.form else { throw RunError.noTeacher }
        if own.slips, let model = own.model(for: context.source.train) {
            return (teaching.policy(TeacherPlan(endpoints: []), model, tools: context.source.tools), .greedy)
        }
        guard let policy = own.policy(form) else { throw RunError.noTeacher }
        return (policy, .greedy)
    }
}

extension Trajectory {
    /// Whether a repair ended without any decision after the step: where a task cannot be solved, that would look like
    /// giving up, which is right there.
    func isUndecided(behind step: Int) -> Bool {
        guard case .gaveUp = ending, steps.count <= step + 1 else { return false }
        if case .giveUp = steps.last?.action { return false }
        return true
    }
}

extension StoredTrajectory {
    /// Whether the model or the environment broke.
    var isBroken: Bool { if case .failed = trajectory.ending { true } else { false } }

    /// Whether it ended, and with a wrong answer.
    var isWrong: Bool { !isBroken && verdict?.isCorrect == false }
}
