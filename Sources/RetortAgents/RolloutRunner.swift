import RetortCore

extension Rollout {
    /// Works on many tasks, a bounded number at once; trajectories come as they finish.
    ///
    /// Ending the iteration cancels what is under way.
    public func trajectories(
        for tasks: [AgentTask], concurrency: Int
    ) -> AsyncThrowingStream<Trajectory, any Error> {
        AsyncThrowingStream { continuation in
            let work = Task {
                do {
                    try await withThrowingTaskGroup(of: Trajectory.self) { group in
                        var waiting = tasks[...]
                        for task in waiting.prefix(max(concurrency, 1)) {
                            group.addTask { try await trajectory(for: task) }
                        }
                        waiting = waiting.dropFirst(max(concurrency, 1))
                        while let finished = try await group.next() {
                            continuation.yield(finished)
                            if let next = waiting.popFirst() {
                                group.addTask { try await trajectory(for: next) }
                            }
                        }
                    }
                    continuation.finish()
                } catch {
                    continuation.finish(throwing: error)
                }
            }
            continuation.onTermination = { _ in work.cancel() }
        }
    }
}
