import Foundation
import RetortAgents
import RetortCore
import RetortEvaluation
import RetortStore

/// What the stages of a run share: the recipe, where things are kept, and what is opened when it is first needed.
struct RunContext: Sendable {
    let recipe: Recipe
    let folder: RunFolder
    let store: TrajectoryStore
    let source: TaskSource
    let digests: FileDigests
    let workshop: Workshop
    /// Whether trainings write their samples beside their losses.
    let keepsSamples: Bool

    /// The view that a style trains and acts in.
    func view(_ style: Recipe.Style) -> any View {
        switch style {
        case .agent, .agentWithFirstThought:
            CodeAgentView(instructions: .brief, tools: source.tools.map(\.specification))
        case .cot, .cotWithRetrieval: ChainOfThoughtView(instructions: .brief)
        }
    }

    /// Runs what a set lacks, grades it and stores it, as it finishes. What failed when the run was last here is run again.
    /// - Returns: how much failed, of all that the jobs ask for.
    func collect(
        _ rollout: Rollout, _ jobs: [RolloutJob], in set: String, concurrency: Int, tries: Int = 1,
        budget: Budget? = nil
    ) async throws -> StageOutcome {
        let done = try await store.ids(in: set).subtracting(store.failedIDs(in: set))
        let left = jobs.filter { !done.contains(rollout.trajectoryID($0)) }
        let progress = SharedProgress(ProgressLine(set))
        let grader = try await workshop.grader()
        let store = store
        try await rollout.run(left, concurrency: concurrency, tries: tries) { finished in
            var entries: [StoredTrajectory] = []
            for trajectory in finished {
                entries.append(StoredTrajectory(trajectory: trajectory, verdict: await grader.grade(trajectory)))
            }
            try await store.save(entries, in: set)
            progress.show(entries, of: left.count, budget)
        }
        return try await outcome(of: set)
    }

    /// How much of a set failed.
    func outcome(of set: String) async throws -> StageOutcome {
        let causes = try await store.failureReasons(in: set).map { (RolloutTally.cause($0), 1) }
        return StageOutcome(total: try await store.count(in: set), failures: Dictionary(causes, uniquingKeysWith: +))
    }

    /// Identifies a set's content.
    func content(of set: String, _ part: TrajectoryStore.Part = .graded) async throws -> String {
        try await store.digest(of: set, part) ?? "empty"
    }

    /// Removes a set that a stage made.
    /// - Throws: `RunError.imported` for one that somebody else did.
    func remove(_ set: String) async throws {
        guard try await !store.isImported(set) else { throw RunError.imported(set: set) }
        try await store.remove(set: set)
    }
}
