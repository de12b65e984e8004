import RetortCore
import RetortStore

/// A set that was imported in place of a teacher's work: its trajectories are used as they are, and graded where they
/// have no grade.
struct ImportedStage: Stage {
    let context: RunContext
    /// The set that the teacher would have filled.
    let name: String

    var sources: [String] { [] }

    func inputs() async throws -> [StageInput] {
        let content = try await context.content(of: name, .trajectories)
        return [
            .computation, StageInput(name: "imported trajectories", value: "sha256:\(content)"), try context.grading(),
        ]
    }

    /// A trajectory without a reference answer as work on the domain's task of the same question, where there is one.
    private func referenced(_ trajectory: Trajectory, _ known: KnownTasks) -> Trajectory {
        guard trajectory.task.answers.isEmpty, let task = known.task(of: trajectory) else { return trajectory }
        return trajectory.with { $0 = task }
    }

    func output() async throws -> String? { try await context.content(of: name) }

    /// Grades that came with trajectories without a reference answer cannot be made again, so they stay.
    func clear() async throws {
        let known = KnownTasks(context.source.train + context.source.validation)
        for try await entry in context.store.trajectories(in: name)
        where entry.verdict != nil && !referenced(entry.trajectory, known).task.answers.isEmpty {
            try await context.store.save(entry.trajectory, in: name)
        }
    }

    func run() async throws -> StageOutcome {
        let grader = try await context.workshop.grader()
        let known = KnownTasks(context.source.train + context.source.validation)
        var (count, adopted, faults) = (0, 0, [GradingFault]())
        for try await entry in context.store.trajectories(in: name) {
            count += 1
            guard entry.verdict == nil else { continue }
            try Task.checkCancellation()
            // Only the grade is of the domain's task: the trajectory stays as it was imported.
            let work = referenced(entry.trajectory, known)
            switch try await grader.verdict(on: work) {
            case .failure(let fault): faults.append(fault)
            case .success(let verdict):
                if work.task != entry.trajectory.task { adopted += 1 }
                try await context.store.save(entry.trajectory, verdict: verdict, in: name)
            }
        }
        ProgressLine(name).note("\(count) trajectories were imported; no teacher is asked")
        if adopted > 0 {
            ProgressLine(name).note(
                "\(adopted) without a reference answer were graded by the domain's tasks of the same question")
        }
        // A trajectory that failed elsewhere cannot be tried again here; the filter drops it. One that could not be
        // graded has no verdict, so the next run tries to grade it again.
        return StageOutcome(total: count, reasons: faults.map(\.description))
    }
}
