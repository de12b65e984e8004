import RetortCore
import Synchronization

/// One trajectory that is to be made.
public struct RolloutJob: Codable, Sendable, Hashable {
    /// What is worked on.
    public var task: AgentTask
    /// Which of several trajectories for the task, from 0.
    public var attempt: Int
    /// Steps that are taken again before the policy goes on; they cost nothing and are not learned. Nil for none.
    public var beginning: [Step]?

    /// - Parameters:
    ///   - attempt: which of several trajectories for the task, from 0.
    ///   - beginning: steps that are taken again before the policy goes on.
    public init(_ task: AgentTask, attempt: Int = 0, beginning: [Step]? = nil) {
        self.task = task
        self.attempt = attempt
        self.beginning = beginning?.map { step in
            var step = step
            (step.usage, step.isLearned) = (Usage(), false)
            return step
        }
    }
}

extension Rollout {
    /// Works on many jobs, a bounded number at once, and hands trajectories over as they finish.
    ///
    /// A job starts only when `finished` has taken the results before it in: a slow store slows the agents down instead of
    /// filling the memory.
    ///
    /// - Parameters:
    ///   - tries: how often a job is worked on at most while its trajectory fails, that is while the model or the
    ///     environment breaks. A wrong answer is a result, not a failure.
    ///   - finished: takes all that finished since it was last called, so that a store can save them together.
    /// - Throws: what `finished` throws, errors that halt the run, `CancellationError`; what is under way is cancelled, and
    ///   what had finished before the error has been handed over.
    public func run(
        _ jobs: [RolloutJob], concurrency: Int, tries: Int = 1,
        finished: @escaping @Sendable ([Trajectory]) async throws -> Void
    ) async throws {
        let results = Results()
        do {
            try await work(on: jobs, concurrency: max(concurrency, 1), tries: tries, results, finished)
            try Task.checkCancellation()
        } catch {
            // What was paid for is handed over on the way out, too; a store may give up for a caller that is cancelled.
            let (done, _) = results.take()
            if !done.isEmpty { try? await Task { try await finished(done) }.value }
            throw error
        }
    }

    /// Works on many tasks, a bounded number at once, and gives their trajectories in the order of the tasks. They are all held in memory;
    /// for more than fit, `run` hands them over as they finish.
    /// - Parameter concurrency: how many are worked on at once.
    /// - Throws: errors that halt the run, `CancellationError`.
    public func trajectories(for tasks: [AgentTask], concurrency: Int = 8) async throws -> [Trajectory] {
        try await concurrentMap(tasks, width: concurrency) { try await trajectory(for: $0) }
    }

    private func work(
        on jobs: [RolloutJob], concurrency: Int, tries: Int, _ results: Results,
        _ finished: @Sendable ([Trajectory]) async throws -> Void
    ) async throws {
        let (signals, signal) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        // Children are let go of as they end: of many jobs only those at work are held.
        try await withThrowingDiscardingTaskGroup { group in
            defer { group.cancelAll() }
            var waiting = jobs[...]
            var working = 0
            var arrivals = signals.makeAsyncIterator()
            while working > 0 || !waiting.isEmpty {
                while working < concurrency, let job = waiting.popFirst() {
                    working += 1
                    group.addTask {
                        let result: Result<Trajectory, any Error>
                        do {
                            result = .success(try await trajectory(for: job, tries: tries))
                        } catch {
                            result = .failure(error)
                        }
                        results.add(result)
                        signal.yield()
                    }
                }
                guard await arrivals.next() != nil, !Task.isCancelled else { throw CancellationError() }
                let (done, error) = results.take()
                working -= done.count
                if !done.isEmpty { try await finished(done) }
                if let error { throw error }
            }
        }
    }

    /// What finished and was not handed over yet; never more than work at once.
    private final class Results: Sendable {
        private let waiting = Mutex<(done: [Trajectory], error: (any Error)?)>(([], nil))

        func add(_ result: Result<Trajectory, any Error>) {
            waiting.withLock { waiting in
                switch result {
                case .success(let trajectory): waiting.done.append(trajectory)
                // The first error is the cause; those of the cancelled others follow from it.
                case .failure(let error): waiting.error = waiting.error ?? error
                }
            }
        }

        func take() -> (done: [Trajectory], error: (any Error)?) {
            waiting.withLock { waiting in
                defer { waiting.done = [] }
                return (waiting.done, waiting.error)
            }
        }
    }

    /// A job's trajectory, made again while it fails.
    /// - Parameter tries: how often it is made at most.
    /// - Throws: `CancellationError`, and errors that halt the whole run (`RunHalting`).
    public func trajectory(for job: RolloutJob, tries: Int) async throws -> Trajectory {
        var left = max(tries, 1)
        while true {
            let start = Trajectory(task: job.task, provenance: provenance(job.attempt))
            let trajectory = try await complete(
                start,
                beginning: { trajectory, session in
                    try await trajectory.replay(job.beginning ?? [], in: session)
                })
            left -= 1
            guard case .failed = trajectory.ending, left > 0 else { return trajectory }
        }
    }
}
