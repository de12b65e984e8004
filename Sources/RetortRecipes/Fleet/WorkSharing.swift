import Foundation
import RetortAgents
import RetortCore
import RetortStore
import Synchronization

/// How the work of a run's stages is shared between processes. A planner says what is to be done and keeps what comes of it; workers
/// do it. Both carry out the same stages, so that a worker prepares everything just as the planner would.
protocol WorkSharing: Sendable {
    /// Begins a part of a stage's work. The planner takes in what was finished while nobody planned.
    /// - Parameter set: where results are stored.
    func open(_ stage: String, phase: Int, into set: String) async throws

    /// Has jobs done. On a worker, does those that the planner planned, whatever is given.
    /// - Parameters:
    ///   - set: where results are stored.
    ///   - width: jobs at once in this process, where nobody said otherwise.
    ///   - lost: what a job comes to that no worker survived.
    ///   - took: is told of results as they come in.
    /// - Returns: why jobs broke, by cause; on a worker nothing.
    func share<Job: Codable & Sendable>(
        _ jobs: [(id: String, job: Job)], of stage: String, phase: Int, into set: String, width: Int,
        work: @escaping @Sendable (_ id: String, _ job: Job) async throws -> FleetResult,
        lost: @escaping @Sendable (_ job: Job, _ reason: String) -> FleetResult,
        took: @escaping @Sendable ([StoredTrajectory]) -> Void
    ) async throws -> [String]

    /// Forgets what was planned of a stage.
    func clear(_ stage: String) async throws

    /// Whether this process says what is to be done, and keeps what comes of it in its folder.
    var plans: Bool { get }

    /// Tells a budget what the others spent for an account, now and from then on.
    /// - Parameter own: what was spent here before.
    func join(_ budget: Budget, for account: String, own: Usage) async throws

    /// Notes what was spent here.
    func spent(_ usage: Usage, for account: String)
}

extension RunContext {
    /// Does something with each of a list of entries, here or wherever the run's work is shared out, and stores what comes of it.
    /// - Parameters:
    ///   - stage: whose work it is.
    ///   - set: where results are stored.
    ///   - width: entries at once.
    /// - Returns: why some of it broke, by cause.
    /// - Throws: what the work throws, `StoreError`, `FleetError`.
    func workThrough(
        _ entries: [StoredTrajectory], of stage: String, into set: String, width: Int,
        _ work: @escaping @Sendable (StoredTrajectory) async throws -> FleetResult
    ) async throws -> [String] {
        let store = store
        guard let sharing else {
            let progress = ProgressLine(stage)
            return try await concurrentMap(entries, width: width) { entry in
                let result = try await work(entry)
                if !result.entries.isEmpty { try await store.save(result.entries, in: set) }
                return result.failure
            } finished: {
                progress.show($0, of: entries.count)
            }.compactMap { $0 }
        }
        let (progress, done) = (ProgressCount(stage, of: entries.count), entries.map { ($0.trajectory.id, $0) })
        return try await sharing.share(done, of: stage, phase: 0, into: set, width: width) { _, entry in
            try await work(entry)
        } lost: { _, reason in
            FleetResult(entries: [], failure: RolloutTally.cause(reason))
        } took: { _ in
            progress.add()
        }
    }
}

/// A progress line that counts what comes in from several sides.
private final class ProgressCount: Sendable {
    private struct State {
        var done = 0
        let line: ProgressLine
    }

    private let total: Int
    private let state: Mutex<State>

    init(_ name: String, of total: Int) {
        self.total = total
        state = Mutex(State(line: ProgressLine(name)))
    }

    func add() {
        state.withLock { state in
            state.done += 1
            state.line.show(state.done, of: total)
        }
    }
}

extension FleetResult {
    /// A run with its grade, and what broke it.
    init(_ entry: StoredTrajectory) {
        var failure: String?
        if case .failed(let reason) = entry.trajectory.ending { failure = RolloutTally.cause(reason) }
        self.init(entries: [entry], failure: failure)
    }
}
