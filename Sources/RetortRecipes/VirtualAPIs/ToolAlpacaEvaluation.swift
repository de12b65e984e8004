import RetortCore
import RetortEvaluation
import RetortStore

/// Judges the stored runs of ToolAlpaca's tasks.
package struct ToolAlpacaEvaluation: Sendable {
    private let judge: ToolAlpacaJudge
    private let concurrency: Int

    /// - Parameter concurrency: how many runs are judged at the same time.
    package init(judge: ToolAlpacaJudge, concurrency: Int = 8) {
        self.judge = judge
        self.concurrency = concurrency
    }

    /// Judges every run of the tasks in the set, against the calls that the tasks now expect.
    /// - Returns: the figures, and each run's judgement in the order of the runs' ids.
    /// - Throws: what the judge's model throws; verdicts given until then are lost unless they are on a cassette.
    package func run(
        _ tasks: [AgentTask], store: TrajectoryStore, set: String
    ) async throws -> (report: ToolAlpacaReport, judged: [ToolAlpacaReport.Judged]) {
        let known = Dictionary(tasks.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        let runs = try await store.entries(in: set).compactMap { entry -> Trajectory? in
            guard let task = known[entry.trajectory.task.id] else { return nil }
            var run = entry.trajectory
            run.task = task
            return run
        }
        let judgeable = runs.filter { $0.task.expectedCalls != nil }
        let progress = ProgressLine("judge")
        let judged = try await concurrentMap(judgeable, width: concurrency) { run in
            ToolAlpacaReport.Judged(run, try await judge.judge(run))
        } finished: {
            progress.show($0, of: judgeable.count)
        }
        let seen = Set(runs.map(\.task.id))
        let report = ToolAlpacaReport(
            judged, missing: tasks.map(\.id).filter { !seen.contains($0) },
            withoutReference: runs.filter { $0.task.expectedCalls == nil }.map(\.task.id))
        return (report, judged)
    }
}
