import Foundation
import RetortAgents
import RetortCore
import RetortEvaluation
import RetortPython
import RetortRetrieval
import RetortStore
import RetortWorld

extension RecipeRun {
    /// Where the teacher's trajectories for a style are stored.
    static func teachSet(_ style: Recipe.Style) -> String { "teach/\(style.rawValue)" }

    /// Collects the teacher's trajectories for a style.
    /// - Returns: the stage's hash.
    func teach(_ style: Recipe.Style) async throws -> String {
        let set = Self.teachSet(style)
        let hash = try Self.hash(recipe.source, recipe.seed, set)
        try await stage(set, hash: hash) {
            try await store.remove(set: set)
        } body: {
            switch source.teacher {
            case .recorded(let trajectories): try await keep(trajectories, for: style, in: set)
            case .scripted(let teacher):
                if style == .agent {
                    try await rollOut(teacher, in: set)
                } else {
                    try await writeReasoning(teacher, style, in: set)
                }
            }
        }
        return hash
    }

    /// Lets the teacher solve the training tasks through the real run loop.
    private func rollOut(_ teacher: ScriptedTeacher, in set: String) async throws {
        let python = try await python()
        let tools = source.tools
        let rollout = Rollout(policy: teacher, maximumSteps: recipe.evaluation.maximumSteps, seed: recipe.seed) {
            try await python.session(tools: tools)
        }
        try await collect(rollout, source.train, in: set, concurrency: 8)
    }

    /// Runs what a set lacks, grades it and stores it, a trajectory at a time.
    func collect(_ rollout: Rollout, _ tasks: [AgentTask], in set: String, concurrency: Int) async throws {
        let done = try await store.taskIDs(in: set)
        let left = tasks.filter { !done.contains($0.id) }
        let progress = ProgressLine(set)
        let grader = try await self.grader()
        var (finished, correct) = (0, 0)
        for try await trajectory in rollout.trajectories(for: left, concurrency: concurrency) {
            let verdict = await grader.grade(trajectory)
            try await store.save(trajectory, verdict: verdict, in: set)
            finished += 1
            correct += verdict.isCorrect ? 1 : 0
            progress.show(
                finished, of: left.count, String(format: "%.1f %% correct", 100 * Double(correct) / Double(finished)))
        }
        try Task.checkCancellation()
    }

    private func writeReasoning(_ teacher: ScriptedTeacher, _ style: Recipe.Style, in set: String) async throws {
        let grader = try await self.grader()
        let done = try await store.taskIDs(in: set)
        for task in source.train where !done.contains(task.id) {
            try Task.checkCancellation()
            var passages: (query: String, text: String)?
            if style == .cotWithRetrieval, let search = source.search {
                passages = (task.question, try await search.call(["query": .string(task.question)]).text)
            }
            guard let trajectory = teacher.reasoned(task, passages: passages) else { continue }
            try await store.save(trajectory, verdict: await grader.grade(trajectory), in: set)
        }
    }

    private func keep(_ trajectories: [Trajectory], for style: Recipe.Style, in set: String) async throws {
        let grader = try await self.grader()
        let done = try await store.taskIDs(in: set)
        for trajectory in trajectories where !done.contains(trajectory.task.id) {
            try Task.checkCancellation()
            let adapted = style == .agent ? trajectory.asAgentTrajectory() : trajectory.asReasoning
            try await store.save(adapted, verdict: await grader.grade(adapted), in: set)
        }
    }
}

extension Trajectory {
    /// The same work as prose: the recorded texts and outputs without the programs, then the answer.
    var asReasoning: Trajectory {
        var copy = Trajectory(task: task, provenance: provenance, id: id)
        if var last = steps.last {
            let before = steps.dropLast().flatMap { [$0.thought, $0.observation.text] }
            last.thought = (before + [last.thought]).filter { !$0.isEmpty }.joined(separator: "\n")
            copy.append(last)
        }
        if let ending { copy.end(ending) }
        return copy
    }
}
