import RetortAgents
import RetortCore

/// Lets the scripted teacher solve the training tasks with the APIs, some of them by a search that goes back.
struct TeachAPIsStage: Stage {
    static let set = "teach/apis"

    let context: RunContext
    let apis: APISource

    var name: String { Self.set }
    var sources: [String] { [] }

    func inputs() async throws -> [StageInput] { try context.common() + context.trainingTasks() }

    func output() async throws -> String? { try await context.content(of: name) }

    func clear() async throws { try await context.remove(name) }

    func run() async throws -> StageOutcome {
        let straight = apis.train.filter { !apis.isSearched($0) }.map(\.task)
        let searched = apis.train.filter(apis.isSearched).map(\.task)
        _ = try await teach(straight, GreedySearch())
        return try await teach(searched, DepthFirstSearch(reminder: .kept))
    }

    /// - Returns: what failed in the whole set.
    private func teach(_ tasks: [AgentTask], _ search: any Search) async throws -> StageOutcome {
        let rollout = Rollout(
            policy: apis.teacher, search: search, maximumSteps: 8, seed: context.recipe.seed,
            environmentFor: { [apis] in apis.session(for: $0) })
        return try await context.collect(rollout, tasks.map { RolloutJob($0) }, in: name, concurrency: 8)
    }
}
