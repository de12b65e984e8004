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
    ///   - sandbox: the weakest one to run the agent's programs in.
    public init(
        run: URL, student name: String?, votes: Int, requiring sandbox: SandboxLevel = .restricted
    ) async throws {
        let recipe = try Manifest(folder: run).recipe
        let folder = try RunFolder(run)
        guard let student = recipe.students.last(where: { name == nil || $0.name == name }),
            FileManager.default.fileExists(
                atPath: folder.checkpoint(student.name, .agent).appendingPathComponent("config.json").path)
                || FileManager.default.fileExists(
                    atPath: folder.checkpoint(student.name, .agent).appendingPathComponent("adapter_config.json").path)
        else { throw RunError.noAgent(run.path) }
        let source = try TaskSource(recipe, folder: folder)
        let tools = source.tools
        // Each step's prompt begins with the step before.
        let model = try LocalModel(
            folder: folder.checkpoint(student.name, .agent), identity: student.name,
            options: LocalModel.Options(prefixTokens: 1 << 15))
        let plan = recipe.evaluation
        let policy = CodeAgent(
            model: model,
            view: CodeAgentView(instructions: .brief, tools: tools.map(\.specification)),
            maximumTokens: plan.maximumTokens)
        var vote = plan.vote
        vote.samples = votes
        let search: any Search = votes == 1 ? GreedySearch() : vote.search
        let python = try await PythonInterpreter(
            limits: PythonLimits(seconds: plan.programSeconds), requiring: sandbox)
        rollout = Rollout(policy: policy, search: search, maximumSteps: plan.maximumSteps, seed: recipe.seed) {
            try await python.session(tools: tools)
        }
        sampleTask =
            source.tests.first { $0.family == .factual && $0.split == "out" } ?? source.tests.first
            ?? AgentTask(id: "sample", question: "What is 6 * 7?", answers: ["42"], family: .math)
    }

    /// A question of the user's own.
    public func task(_ question: String) -> AgentTask {
        AgentTask(id: "question", question: question, answers: [], family: .factual)
    }
}
