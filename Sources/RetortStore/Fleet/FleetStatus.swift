import RetortCore

/// The state of a run in its store.
public struct FleetStatus: Codable, Sendable, Hashable {
    /// A stage whose tasks are or were shared.
    public struct Stage: Codable, Sendable, Hashable {
        /// The stage's name.
        public var name: String
        /// Whether workers may take tasks.
        public var isOpen: Bool
        /// The numbers of tasks: planned; done; being worked on; and those whose worker has stopped reporting.
        public var tasks, done, claimed, silent: Int
        /// How many of the done tasks were graded as correct.
        public var correct: Int
        /// How many of the done tasks failed, by cause.
        public var failures: [String: Int]
        /// How often a worker was lost while it worked on a task that is still not done.
        public var lost: Int
        /// Tasks done per second, over the last minute.
        public var rate: Double
        /// How long the rest takes at this rate, in seconds; nil where nothing was done in the last minute.
        public var secondsLeft: Double?

        /// The number of tasks that no worker has taken.
        public var open: Int { tasks - done - claimed - silent }
    }

    /// A participant of the run; the planner is one, too.
    public struct Worker: Codable, Sendable, Hashable {
        /// Reporting in time; not reporting any more; or gone after saying so.
        public enum State: String, Codable, Sendable { case working, silent, left }

        /// The worker's name, such as `host:1`.
        public var name: String
        /// Whether it takes part at present.
        public var state: State
        /// How long ago it last reported, in seconds.
        public var seen: Double
        /// The stage that it works on; empty for none.
        public var stage: String
        /// How many tasks it may work on at the same time, and how many it works on.
        public var width, busy: Int
        /// How many tasks it recorded, how many of them failed, and how many results came too late to count.
        public var done, failed, dropped: Int
    }

    /// The run's name.
    public var run: String
    /// Whether everything is made.
    public var isDone: Bool
    /// The planner's name.
    public var planner: String
    /// Whether the planner is alive; without one, workers still finish what is planned.
    public var isPlanned: Bool
    /// How long ago the run began, in seconds.
    public var seconds: Double
    /// The stages in the order in which they began.
    public var stages: [Stage]
    /// The participants in the order in which they joined.
    public var workers: [Worker]
    /// The tokens spent on models behind endpoints, by account.
    public var spent: [String: Usage]
}

extension FleetStore {
    /// The state of a run; nil where there is none.
    public func status(of run: String) async throws -> FleetStatus? {
        let found = try await rows(
            """
            SELECT name, is_done, planner, planner_until > now(), extract(epoch FROM now() - started)
            FROM retort.run WHERE name = $1
            """, [run]
        ).first
        guard let found else { return nil }
        return FleetStatus(
            run: found[0], isDone: found.flag(1), planner: found[2], isPlanned: found.flag(3), seconds: found.number(4),
            stages: try await stageStatus(of: run), workers: try await workers(of: run), spent: try await spent(in: run)
        )
    }

    private func stageStatus(of run: String) async throws -> [FleetStatus.Stage] {
        var failures: [String: [String: Int]] = [:]
        let causes = try await rows(
            "SELECT stage, failure, count(*) FROM retort.task WHERE run = $1 AND failure IS NOT NULL GROUP BY 1, 2",
            [run])
        for row in causes { failures[row[0], default: [:]][row[1]] = row.integer(2) }
        return try await rows(
            """
            SELECT s.name, s.is_open, count(t.id), count(*) FILTER (WHERE t.is_done),
                count(*) FILTER (WHERE NOT t.is_done AND t.lease_until > now()),
                count(*) FILTER (WHERE NOT t.is_done AND t.lease_until > '-infinity' AND t.lease_until <= now()),
                count(*) FILTER (WHERE t.correct), coalesce(sum(t.lost) FILTER (WHERE NOT t.is_done), 0),
                count(*) FILTER (WHERE t.finished > now() - interval '1 minute')
                    / greatest(least(60, extract(epoch FROM now() - min(s.started))), 1)
            FROM retort.stage s LEFT JOIN retort.task t ON t.run = s.run AND t.stage = s.name
            WHERE s.run = $1 GROUP BY s.name, s.is_open ORDER BY min(s.started), s.name
            """, [run]
        ).map { row in
            let (tasks, done, rate) = (row.integer(2), row.integer(3), row.number(8))
            return FleetStatus.Stage(
                name: row[0], isOpen: row.flag(1), tasks: tasks, done: done, claimed: row.integer(4),
                silent: row.integer(5), correct: row.integer(6), failures: failures[row[0]] ?? [:],
                lost: row.integer(7),
                rate: rate, secondsLeft: rate > 0 ? Double(tasks - done) / rate : nil)
        }
    }

    /// Everyone who takes part in a run, or did.
    public func workers(of run: String) async throws -> [FleetStatus.Worker] {
        try await rows(
            """
            SELECT w.name, w.has_left, extract(epoch FROM now() - w.seen), w.stage, w.width, w.busy, w.done, w.failed, w.dropped,
                w.seen + r.lease * interval '1 second' > now()
            FROM retort.worker w JOIN retort.run r ON r.name = w.run WHERE w.run = $1 ORDER BY w.started, w.name
            """, [run]
        ).map { row in
            FleetStatus.Worker(
                name: row[0], state: row.flag(1) ? .left : row.flag(9) ? .working : .silent, seen: row.number(2),
                stage: row[3], width: row.integer(4), busy: row.integer(5), done: row.integer(6),
                failed: row.integer(7),
                dropped: row.integer(8))
        }
    }

    private func spent(in run: String) async throws -> [String: Usage] {
        let found = try await rows(
            "SELECT account, sum(prompt), sum(completion) FROM retort.spending WHERE run = $1 GROUP BY 1", [run])
        return Dictionary(
            uniqueKeysWithValues: found.map {
                ($0[0], Usage(promptTokens: $0.integer(1), completionTokens: $0.integer(2)))
            })
    }
}
