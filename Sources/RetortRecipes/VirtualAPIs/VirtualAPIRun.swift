import Foundation
import RetortAgents
import RetortCore
import RetortStore

/// Runs queries of ToolBench or ToolAlpaca against virtual APIs, into a store; queries that already have a run are
/// skipped.
package struct VirtualAPIRun: Sendable {
    /// How the runs ended.
    package struct Summary: Codable, Sendable, Hashable {
        /// The number of queries with a run.
        package var queries = 0
        /// How many ended with an answer, given freely or when asked for.
        package var answered = 0
        /// How many ended by giving up.
        package var gaveUp = 0
        /// How many broke, or did not end.
        package var failed = 0
        /// The steps of all runs.
        package var steps = 0
        /// The calls of all runs.
        package var calls = 0
        /// The calls that failed, by the kind of error.
        package var failedCalls: [String: Int] = [:]
    }

    private let policy: any Policy
    private let search: any Search
    private let apis: any VirtualAPIs
    private let maximumSteps: Int
    private let concurrency: Int
    private let seed: UInt64

    /// - Parameters:
    ///   - maximumSteps: the most steps of a run.
    ///   - concurrency: how many queries are run at the same time.
    package init(
        policy: any Policy, search: any Search = GreedySearch(), apis: any VirtualAPIs, maximumSteps: Int = 12,
        concurrency: Int = 8, seed: UInt64 = 0
    ) {
        self.policy = policy
        self.search = search
        self.apis = apis
        self.maximumSteps = maximumSteps
        self.concurrency = concurrency
        self.seed = seed
    }

    /// Runs the queries that the set lacks, and summarises the whole set.
    /// - Parameters:
    ///   - agent: identifies the weights or the endpoint behind the policy, by name and content.
    ///   - folder: where `stages.json` records what the set was made from; nil records nothing.
    ///   - retriesFailed: whether queries whose model or environment broke are run again.
    /// - Throws: `RunError.otherRuns` for a set that another agent made, or that was made differently; what the
    ///   rollouts and the store throw.
    package func run(
        _ tasks: [AgentTask], store: TrajectoryStore, set: String, agent: [String: String] = [:], folder: URL? = nil,
        retriesFailed: Bool = false
    ) async throws -> Summary {
        let file = folder?.appendingPathComponent("stages.json")
        try await refuseOthers(store, set, agent, tasks, file)
        let done = try await retriesFailed ? store.endedTaskIDs(in: set) : store.taskIDs(in: set)
        let left = tasks.filter { !done.contains($0.id) }
        let progress = ProgressLine(set)
        if !done.isEmpty { progress.note("\(tasks.count - left.count) of \(tasks.count) are there already") }
        let (policy, search, apis, maximumSteps, seed) = (policy, search, apis, maximumSteps, seed)
        _ = try await concurrentMap(left, width: concurrency) { task in
            // Each task has tools of its own, and so an environment of its own.
            let rollout = Rollout(policy: policy, search: search, maximumSteps: maximumSteps, seed: seed) {
                VirtualAPIEnvironment(apis, task: task)
            }
            try await store.save(rollout.trajectory(for: task), in: set)
        } finished: {
            progress.show($0, of: left.count)
        }
        return try await Self.summary(tasks, store: store, set: set)
    }

    /// The agent and its settings must be the same as for the existing runs, and so must their queries.
    private func refuseOthers(
        _ store: TrajectoryStore, _ set: String, _ agent: [String: String], _ tasks: [AgentTask], _ file: URL?
    ) async throws {
        var inputs = agent
        inputs["model"] = policy.modelIdentity
        inputs["prompts"] = policy.promptIdentity ?? ""
        inputs["policy"] = policy.name
        inputs["search"] = "\(search)"
        inputs["steps"] = "\(maximumSteps)"
        inputs["seed"] = "\(seed)"
        inputs[StageInput.computation.name] = StageInput.computation.value
        let known = Dictionary(tasks.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        var changed: Set<String> = []
        for try await entry in store.trajectories(in: set) {
            let provenance = entry.trajectory.provenance
            if provenance.model != inputs["model"] { changed.insert("model") }
            if (provenance.prompt ?? "") != inputs["prompts"] { changed.insert("prompts") }
            if let task = known[entry.trajectory.task.id], task != entry.trajectory.task { changed.insert("queries") }
        }
        let kept = file.flatMap { try? Data(contentsOf: $0) }.flatMap {
            try? JSONCoding.decoder.decode([String: StageRecord].self, from: $0)
        }
        var records = kept ?? [:]
        if let record = records[set], try await store.count(in: set) > 0 {
            changed.formUnion(
                Set(inputs.keys).union(record.inputs.keys).filter { inputs[$0] != record.inputs[$0] })
        }
        guard changed.isEmpty else { throw RunError.otherRuns(set: set, changed: changed.sorted()) }
        records[set] = records[set] ?? StageRecord(inputs)
        records[set]?.inputs = inputs
        if let file { try AtomicFile.write(JSONCoding.prettyEncoder.encode(records), to: file) }
    }

    private static func summary(_ tasks: [AgentTask], store: TrajectoryStore, set: String) async throws -> Summary {
        let wanted = Set(tasks.map(\.id))
        var summary = Summary()
        for try await stored in store.trajectories(in: set) where wanted.contains(stored.trajectory.task.id) {
            summary.queries += 1
            summary.steps += stored.trajectory.steps.count
            switch stored.trajectory.ending {
            case .answered, .forced: summary.answered += 1
            case .gaveUp: summary.gaveUp += 1
            case .failed, nil: summary.failed += 1
            }
            for step in stored.trajectory.steps {
                if case .toolCall = step.action { summary.calls += 1 }
                switch step.observation.outcome {
                case .executionError(let type, _): summary.failedCalls[type, default: 0] += 1
                case .timeout: summary.failedCalls["Timeout", default: 0] += 1
                case .parseError: summary.failedCalls["Unreadable", default: 0] += 1
                case .success, .final: break
                }
            }
        }
        return summary
    }
}
