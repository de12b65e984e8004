import RetortAgents
import RetortCore
import RetortEvaluation
import RetortStore

/// Has a teacher replace single steps of a student's wrong trajectories, until one replacement turns the answer into a right one.
///
/// Every try is stored with its grade, so a run that is killed asks the teacher nothing twice.
struct RepairStage: Stage {
    static let loop = "repair"

    let round: StudentRound
    let plan: RoundPlan.Repair

    var name: String { round.name(Self.loop) }
    var sources: [String] { [round.name(ActStage.loop)] }
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
        let wrong = try await context.store.entries(in: round.name(ActStage.loop)).filter(\.isWrong).map(\.trajectory)
        let progress = ProgressLine(name)
        guard !wrong.isEmpty else {
            progress.note("nothing to repair: the student answered every task right, or its runs broke")
            return try await context.outcome(of: name)
        }
        let (teacher, sampling) = try await policy()
        let repair = StepRepair(try round.rollout(.greedy), teacher: teacher, sampling: sampling)
        let grader = try await context.workshop.grader()
        let width = min(recipe.teacher?.concurrency ?? 8, recipe.evaluation.concurrency)
        let repaired = try await concurrentMap(wrong, width: width) { trajectory in
            try await self.repaired(trajectory, by: repair, grader)
        } finished: {
            progress.show($0, of: wrong.count)
        }
        progress.note("\(repaired.count(where: \.self)) of \(wrong.count) wrong trajectories repaired")
        return try await context.outcome(of: name)
    }

    /// Tries the candidates in turn; what was tried before a kill counts.
    /// - Returns: whether one of them came right.
    private func repaired(
        _ trajectory: Trajectory, by repair: StepRepair, _ grader: any TrajectoryGrader
    ) async throws -> Bool {
        for step in StepRepair.candidates(of: trajectory).prefix(plan.candidates) {
            try Task.checkCancellation()
            let id = StepRepair.id(trajectory.task, step: step)
            var entry = try await context.store.entry(id: id, in: name)
            if entry?.isBroken ?? true {
                var fresh = try await grader.graded(try await repair(trajectory, step: step))
                if fresh.trajectory.isUndecided(behind: step) {
                    fresh.verdict = Verdict(isCorrect: false, reason: "nothing was repaired")
                }
                try await context.store.save([fresh], in: name)
                entry = fresh
            }
            if entry?.verdict?.isCorrect == true { return true }
        }
        return false
    }

    /// Who writes the steps: the recipe's teacher, or the domain's own.
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
            return (teaching.policy(TeacherPlan(places: []), model, tools: context.source.tools), .greedy)
        }
        guard let policy = own.policy(form) else { throw RunError.noTeacher }
        return (policy, .greedy)
    }
}

extension Trajectory {
    /// Whether a repair came to its end with nobody having decided anything behind the step: where a task cannot be solved, that would
    /// look like giving up, which is right there.
    func isUndecided(behind step: Int) -> Bool {
        guard case .gaveUp = ending, steps.count <= step + 1 else { return false }
        if case .giveUp = steps.last?.action { return false }
        return true
    }
}

extension StoredTrajectory {
    /// Whether the model or the environment broke.
    var isBroken: Bool { if case .failed = trajectory.ending { true } else { false } }

    /// Whether it came to an end, and to a wrong one.
    var isWrong: Bool { !isBroken && verdict?.isCorrect == false }
}
