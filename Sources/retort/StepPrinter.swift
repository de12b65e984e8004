import Foundation
import RetortAgents
import RetortCore
import RetortRecipes

/// Shows on a terminal what an agent does while it works.
struct StepPrinter {
    /// Whether steps are numbered, so that the user can go back to one.
    var numbers = false

    /// - Throws: `AgentRunError` for a run that failed, `CancellationError` for one that was stopped.
    func show(_ events: AsyncThrowingStream<RolloutEvent, any Error>) async throws {
        var isWritten = false
        for try await event in events {
            switch event {
            case .stepStarted(let index):
                if index > 0 { print() }
                if numbers { print("[\(index + 1)] ", terminator: "") }
            case .text(let text):
                print(text, terminator: "")
                isWritten = true
                try? FileHandle.standardOutput.synchronize()
            case .stepFinished(let step):
                show(step, isWritten: numbers && isWritten)
                isWritten = false
            case .finished(let trajectory):
                print("\nAnswer: \(trajectory.answer ?? "none")")
                if case .failed(let reason) = trajectory.ending { throw AgentRunError(reason: reason) }
            }
        }
        // A stream whose reader is cancelled just ends, without an error.
        try Task.checkCancellation()
    }

    /// - Parameter isWritten: whether the step was already shown while it was written.
    private func show(_ step: Step, isWritten: Bool) {
        if !step.candidates.isEmpty, !isWritten {
            print("\(CodeAgentView.turn(step.thought, step.action))")
            print("[\(step.candidates.map { String($0.votes) }.joined(separator: " ")) votes]", terminator: "")
        }
        if !step.observation.text.isEmpty { print("\nObservation:\n\(step.observation.text)") }
    }
}
