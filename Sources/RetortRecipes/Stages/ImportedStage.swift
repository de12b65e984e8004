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

    func output() async throws -> String? { try await context.content(of: name) }

    /// Grades that came with trajectories without a reference answer cannot be made again, so they stay.
    func clear() async throws {
        for try await entry in context.store.trajectories(in: name)
        where entry.verdict != nil && !entry.trajectory.task.answers.isEmpty {
            try await context.store.save(entry.trajectory, in: name)
        }
    }

    func run() async throws -> StageOutcome {
        let grader = try await context.workshop.grader()
        var count = 0
        for try await entry in context.store.trajectories(in: name) {
            count += 1
            guard entry.verdict == nil else { continue }
            try Task.checkCancellation()
            try await context.store.save([grader.graded(entry.trajectory)], in: name)
        }
        ProgressLine(name).note("\(count) trajectories were imported; no teacher is asked")
        // A trajectory that failed elsewhere cannot be tried again here; the filter drops it.
        return .complete
    }
}
