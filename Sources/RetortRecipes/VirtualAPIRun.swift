import Foundation
import RetortAgents
import RetortCore
import RetortStore

/// Runs queries of ToolBench or ToolAlpaca against virtual APIs, into a store: what is there already is not run again.
public struct VirtualAPIRun: Sendable {
    /// How the runs ended.
    public struct Summary: Codable, Sendable, Hashable {
        public var queries = 0
        public var answered = 0
        public var gaveUp = 0
        public var failed = 0
        public var steps = 0
        public var calls = 0
        /// Calls that came to nothing, by kind.
        public var failedCalls: [String: Int] = [:]
    }

    private let policy: any Policy
    private let search: any Search
    private let apis: any VirtualAPIs
    private let maximumSteps: Int
    private let concurrency: Int
    private let seed: UInt64

    public init(
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

    /// Runs what the set lacks, and sums up the whole of it.
    /// - Parameter retriesFailed: whether queries that ended because the model or the environment broke are run again.
    public func run(
        _ tasks: [AgentTask], store: TrajectoryStore, set: String, retriesFailed: Bool = false
    ) async throws -> Summary {
        let done = try await retriesFailed ? store.endedTaskIDs(in: set) : store.taskIDs(in: set)
        let left = tasks.filter { !done.contains($0.id) }
        let progress = ProgressLine(set)
        if !done.isEmpty { progress.note("\(tasks.count - left.count) of \(tasks.count) are there already") }
        var finished = 0
        try await withThrowingTaskGroup(of: Trajectory.self) { group in
            var waiting = left[...]
            func start() {
                guard let task = waiting.popFirst() else { return }
                group.addTask {
                    // Each task has tools of its own, so each has an environment of its own.
                    let rollout = Rollout(policy: policy, search: search, maximumSteps: maximumSteps, seed: seed) {
                        VirtualAPIEnvironment(apis, task: task)
                    }
                    return try await rollout.trajectory(for: task)
                }
            }
            for _ in 0..<max(1, concurrency) { start() }
            while let trajectory = try await group.next() {
                try await store.save(trajectory, in: set)
                finished += 1
                progress.show(finished, of: left.count)
                start()
            }
        }
        return try await Self.summary(tasks, store: store, set: set)
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
