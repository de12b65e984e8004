import Foundation
import RetortAgents
import RetortCore
import RetortLLM
import RetortPython

/// The agent student of a finished run, ready for questions.
public struct DistilledAgent: Sendable {
    /// Works on tasks.
    public let rollout: Rollout
    /// One of the run's out-of-domain factual tasks.
    public let sampleTask: AgentTask

    /// Opens a run's student with the run's own search and interpreter.
    /// - Parameters:
    ///   - student: its name; nil takes the recipe's last.
    ///   - votes: samples a step; 1 is greedy.
    ///   - options: how the model computes.
    ///   - sandbox: the weakest one to run the agent's programs in.
    /// - Throws: `RunError.noStudent`, which names the run's students; `RunError.noAgent` when training is not finished.
    public init(
        run url: URL, student name: String?, votes: Int, options: LocalModel.Options = .init(prefixTokens: 1 << 15),
        requiring sandbox: SandboxLevel = .restricted
    ) async throws {
        let run = try await DistilledRun(url, requiring: sandbox)
        let known = run.recipe.students.map(\.name)
        if let name, !known.contains(name) { throw RunError.noStudent(name, known: known) }
        guard let student = run.checkpoints.last(where: { $0.style.isAgent && (name == nil || $0.student == name) })
        else { throw RunError.noAgent(url.path) }
        // Each step's prompt begins with the step before.
        let model = try LocalModel(
            folder: student.folder, identity: student.student, options: options)
        rollout = run.agent(model, style: student.style, votes: votes)
        sampleTask = run.sampleTask
    }

    /// A question of the user's own.
    public func task(_ question: String) -> AgentTask {
        AgentTask(id: "question", question: question, answers: [], family: .factual)
    }
}
