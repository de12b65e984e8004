import Foundation
import RetortCore
import RetortEvaluation
import RetortPython
import RetortStore

/// Recorded trajectories, graded and executed again in the interpreter.
package struct TrajectoryReplay: Sendable {
    /// The result of a replay.
    package struct Summary: Codable, Sendable, CustomStringConvertible {
        /// The number of trajectories.
        package var n: Int
        /// How many trajectories ran all their programs without an error; nil when nothing was executed.
        package var executed: Int?
        /// How many trajectories printed the recorded outputs; nil when nothing was executed.
        package var sameOutput: Int?
        /// The percentage of recorded answers that are right.
        package var accuracy: Double

        /// The result in one or two lines.
        package var description: String {
            var text = "\(n) trajectories, \(String(format: "%.1f", accuracy)) % of the answers are right"
            if let executed, let sameOutput {
                text += "\n\(executed) ran again without an error, \(sameOutput) with the recorded output"
            }
            return text
        }
    }

    /// The trajectories as read, in file order; their observations are not replaced.
    package let trajectories: [Trajectory]
    /// The result.
    package let summary: Summary
    private static let concurrency = 4

    /// Reads a ToRA file and grades its trajectories.
    /// - Parameter runsPrograms: whether the programs are executed again.
    /// - Throws: `JSONLinesError`, and what the interpreter throws.
    package init(toRA file: URL, runsPrograms: Bool) async throws {
        trajectories = try ToRAImporter().trajectories(from: file)
        let grader = FamilyGrader()
        var correct = 0
        for trajectory in trajectories where await grader.grade(trajectory).isCorrect { correct += 1 }
        var summary = Summary(
            n: trajectories.count, accuracy: 100 * Double(correct) / Double(max(trajectories.count, 1)))
        if runsPrograms {
            let outcomes = try await Self.run(trajectories)
            summary.executed = outcomes.count { $0.ran }
            summary.sameOutput = outcomes.count { $0.isSame }
        }
        self.summary = summary
    }

    private struct Outcome: Sendable {
        var ran = true
        var isSame = true
    }

    private static func run(_ trajectories: [Trajectory]) async throws -> [Outcome] {
        let python = try await PythonInterpreter()
        let progress = ProgressLine("replay")
        return try await withThrowingTaskGroup(of: Outcome.self) { group in
            var waiting = trajectories[...]
            var outcomes: [Outcome] = []
            for _ in 0..<concurrency {
                if let next = waiting.popFirst() { group.addTask { try await replay(next, python) } }
            }
            while let outcome = try await group.next() {
                outcomes.append(outcome)
                progress.show(outcomes.count, of: trajectories.count)
                if let next = waiting.popFirst() { group.addTask { try await replay(next, python) } }
            }
            return outcomes
        }
    }

    private static func replay(_ trajectory: Trajectory, _ python: PythonInterpreter) async throws -> Outcome {
        let session = try await python.session()
        var outcome = Outcome()
        for step in trajectory.steps {
            guard case .code = step.action else { continue }
            let observation = try await session.perform(step.action)
            if observation.outcome.isFailure { outcome.ran = false }
            if observation.text.trimmingCharacters(in: .whitespacesAndNewlines)
                != step.observation.text.trimmingCharacters(in: .whitespacesAndNewlines)
            {
                outcome.isSame = false
            }
        }
        await session.close()
        return outcome
    }
}
