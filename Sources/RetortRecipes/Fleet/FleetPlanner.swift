import Foundation
import RetortAgents
import RetortCore
import RetortStore
import Synchronization

/// Plans a run's tasks in a shared store, works on them itself unless told otherwise, and copies the results into the
/// run's folder, where every later stage finds them as if they had been made there.
final class FleetPlanner: WorkSharing {
    private let store: FleetStore
    private let trajectories: TrajectoryStore
    private let run: String
    private let folder: String
    private let hand: FleetParticipant
    private let works: Bool
    private let files: FleetFiles
    /// The stages that have begun, by name.
    private let stages = Mutex<[String: FleetStage]>([:])

    /// The pause between two collections of results, in seconds.
    private static let pause = 0.25

    /// - Parameters:
    ///   - folder: identifies the run's folder.
    ///   - works: whether this process also works on tasks.
    init(
        _ plan: FleetPlan, run: String, folder: String, into trajectories: TrajectoryStore, files: FleetFiles
    ) {
        (store, self.run, self.folder, self.trajectories) = (plan.store, run, folder, trajectories)
        (works, self.files) = (plan.works, files)
        hand = FleetParticipant(
            plan.store, run: run, name: FleetParticipant.ownName(), lease: plan.lease, payer: folder)
    }

    /// Plans while the body runs: the run belongs to this process, and workers that lack files receive them.
    /// - Parameters:
    ///   - recipe: the recipe that is carried out.
    ///   - places: the files that it names.
    /// - Throws: `FleetError.planned` where another process plans the run; what the body throws.
    func planning<Value: Sendable>(
        _ recipe: Recipe, _ places: [URL], _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        let text = String(decoding: try ExactJSON.encode(recipe.withWholePaths()), as: UTF8.self)
        let planned = FleetRun(
            name: run, recipe: text, roots: try files.roots(places), version: Retort.version, lease: hand.lease)
        try await store.plan(planned, folder: folder, planner: hand.name)
        do {
            let value = try await hand.beating {
                try await withThrowingTaskGroup(of: Value?.self) { group in
                    defer { group.cancelAll() }
                    group.addTask { try await body() }
                    group.addTask { try await self.keepPlanning() }
                    group.addTask { try await self.files.serve(self.store, self.run) }
                    while let value = try await group.next() {
                        if let value { return value }
                    }
                    throw CancellationError()
                }
            }
            try await store.endPlanning(run, planner: hand.name, isDone: true)
            await hand.leave()
            return value
        } catch {
            // Workers continue with what is planned.
            let (store, run, planner) = (store, run, hand.name)
            _ = try? await Task {
                try await withTimeLimit(seconds: 3) {
                    try await store.endPlanning(run, planner: planner, isDone: false)
                }
            }.value
            await Task { await hand.leave() }.value
            throw error
        }
    }

    private func keepPlanning<Value>() async throws -> Value? {
        while true {
            try await store.keepPlanning(run, planner: hand.name)
            try await Task.sleep(for: .seconds(hand.lease / 4))
        }
    }

    /// Records what a stage depends on, before it is run.
    /// - Parameter models: trained models in the run's folder that it needs.
    func enter(_ stage: String, inputs: [String: String], models: [URL]) throws {
        let needed = try files.roots(models)
        stages.withLock { $0[stage] = FleetStage(name: stage, inputs: inputs, models: needed) }
    }

    // MARK: WorkSharing

    func open(_ name: String, phase: Int, into set: String) async throws {
        guard let stage = stages.withLock({ $0[name] }) else {
            throw FleetError.unfit("\(name) was not entered before its work was planned")
        }
        try await store.open(stage, of: run, phase: phase)
        while try await take(name, into: set, took: { _ in }).count > 0 {}
    }

    func share<Job: Codable & Sendable>(
        _ jobs: [(id: String, job: Job)], of stage: String, phase: Int, into set: String, width: Int,
        work: @escaping @Sendable (String, Job) async throws -> FleetResult,
        lost: @escaping @Sendable (Job, String) -> FleetResult,
        took: @escaping @Sendable ([StoredTrajectory]) -> Void
    ) async throws -> [String] {
        let part = FleetPart(run: run, stage: stage, phase: phase)
        let texts = try jobs.map { (id: $0.id, job: String(decoding: try ExactJSON.encode($0.job), as: UTF8.self)) }
        try await store.plan(texts, in: part)
        let faults = try await withThrowingTaskGroup(of: [String]?.self) { group in
            defer { group.cancelAll() }
            group.addTask { try await self.collect(part, into: set, lost: lost, took: took) }
            if works {
                group.addTask {
                    try await self.hand.work(in: part, width: width, work)
                    return nil
                }
            }
            while let faults = try await group.next() {
                if let faults { return faults }
            }
            throw CancellationError()
        }
        return faults
    }

    /// Collects results until all planned tasks of the part are done.
    private func collect<Job: Codable & Sendable>(
        _ part: FleetPart, into set: String, lost: @Sendable (Job, String) -> FleetResult,
        took: @Sendable ([StoredTrajectory]) -> Void
    ) async throws -> [String] {
        var faults: [String] = []
        var (last, isTold) = (ContinuousClock.now, false)
        while true {
            // Checked before results are collected, so that the last ones are included.
            let isDone = try await store.isDone(part)
            while true {
                let (count, failures) = try await take(part.stage, into: set, took: took)
                faults += failures
                if count == 0 { break }
                (last, isTold) = (.now, false)
            }
            if isDone { return faults }
            if !works, !isTold, last.duration(to: .now) > .seconds(2 * hand.lease) {
                isTold = true
                let workers = try await store.workers(of: run).count { $0.state == .working && $0.name != hand.name }
                if workers == 0 {
                    ProgressLine(part.stage).note("waits for workers: none is there ('retort worker --store …')")
                }
            }
            for claim in try await store.givenUp(in: part) {
                faults += try await giveUp(claim, in: part, into: set, lost: lost, took: took)
            }
            try await Task.sleep(for: .seconds(Self.pause))
        }
    }

    /// Collects the finished results of a stage.
    private func take(
        _ stage: String, into set: String, took: @Sendable ([StoredTrajectory]) -> Void
    ) async throws -> (count: Int, faults: [String]) {
        let results = try await store.results(of: stage, run: run)
        guard !results.isEmpty else { return (0, []) }
        let entries = results.flatMap(\.result.entries)
        // Saved here before they are removed there; saving one twice changes nothing.
        try await trajectories.save(entries, in: set)
        try await store.markCopied(results.map(\.id), of: stage, run: run)
        took(entries)
        return (results.count, results.compactMap(\.result.failure))
    }

    private func giveUp<Job: Codable & Sendable>(
        _ claim: FleetClaim, in part: FleetPart, into set: String, lost: @Sendable (Job, String) -> FleetResult,
        took: @Sendable ([StoredTrajectory]) -> Void
    ) async throws -> [String] {
        let reason = "its worker was lost: \(FleetStore.maximumLosses + 1) times; it is not tried again"
        let result = lost(try ExactJSON.decode(Job.self, from: claim.job.utf8), reason)
        try await trajectories.save(result.entries, in: set)
        try await store.giveUp(claim, in: part, failure: RolloutTally.cause(reason))
        took(result.entries)
        return [RolloutTally.cause(reason)]
    }

    /// Ends a stage whose work is done.
    func leave(_ stage: String) async throws { try await store.close(stage, of: run) }

    func clear(_ stage: String) async throws { try await store.clear(stage, of: run) }

    var plans: Bool { true }

    func join(_ budget: Budget, for account: String, own: Usage) async throws {
        try await hand.join(budget, for: account, own: own)
    }

    func spent(_ usage: Usage, for account: String) { hand.spent(usage, for: account) }
}
