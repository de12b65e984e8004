import Foundation
import RetortAgents
import RetortCore
import RetortStore
import Synchronization

/// How the work of a run's stages is shared between processes. A planner decides what is done and keeps the results;
/// workers do it. Both carry out the same stages, so a worker prepares everything exactly as the planner would.
protocol WorkSharing: Sendable {
    /// Begins a part of a stage's work. The planner first collects what was finished while there was no planner.
    /// - Parameter set: where results are stored.
    func open(_ stage: String, phase: Int, into set: String) async throws

    /// Has jobs done. A worker does the jobs that the planner planned, whatever it is given.
    /// - Parameters:
    ///   - set: where results are stored.
    ///   - width: how many jobs are done at the same time in this process, unless set otherwise.
    ///   - lost: the result of a job that no worker survived.
    ///   - took: is called with results as they arrive.
    /// - Returns: why jobs failed, by cause; nothing on a worker.
    func share<Job: Codable & Sendable>(
        _ jobs: [(id: String, job: Job)], of stage: String, phase: Int, into set: String, width: Int,
        work: @escaping @Sendable (_ id: String, _ job: Job) async throws -> FleetResult,
        lost: @escaping @Sendable (_ job: Job, _ reason: String) -> FleetResult,
        took: @escaping @Sendable ([StoredTrajectory]) -> Void
    ) async throws -> [String]

    /// Removes what was planned for a stage.
    func clear(_ stage: String) async throws

    /// Whether this process decides what is done, and keeps the results in its folder.
    var plans: Bool { get }

    /// Informs a budget of what the others have spent for an account, now and from then on.
    /// - Parameter own: what was spent here before.
    func join(_ budget: Budget, for account: String, own: Usage) async throws

    /// Records what was spent here.
    func spent(_ usage: Usage, for account: String)
}

extension RunContext {
    /// Processes each of a list of entries, here or wherever the run's work is shared, and stores the results.
    /// - Parameters:
    ///   - stage: the stage whose work it is.
    ///   - set: where results are stored.
    ///   - width: how many entries are processed at the same time.
    /// - Returns: why some of it failed, by cause.
    /// - Throws: errors of the work, `StoreError`, `FleetError`.
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

/// A progress line that counts results from several sources.
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
    /// A run with its grade, and why it failed.
    init(_ entry: StoredTrajectory) {
        var failure: String?
        if case .failed(let reason) = entry.trajectory.ending { failure = RolloutTally.cause(reason) }
        self.init(entries: [entry], failure: failure)
    }
}
