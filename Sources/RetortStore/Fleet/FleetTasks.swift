import Foundation
import RetortCore

/// Where tasks belong: a run's stage, and the round of planning within the stage.
public struct FleetPart: Sendable, Hashable {
    /// The run's name.
    public var run: String
    /// The stage's name.
    public var stage: String
    /// The round of planning, from 0.
    public var phase: Int

    /// The first round of a stage by default.
    public init(run: String, stage: String, phase: Int = 0) { (self.run, self.stage, self.phase) = (run, stage, phase) }
}

/// A task that a worker has claimed.
public struct FleetClaim: Sendable, Hashable {
    /// The task's id, unique in its stage.
    public var id: String
    /// How often the task was claimed: a result counts only if no other worker has claimed it since.
    public var attempt: Int
    /// The work to do, as JSON.
    public var job: String
}

/// The outcome of a task.
public struct FleetResult: Sendable {
    /// The trajectories to store; empty when there are none.
    public var entries: [StoredTrajectory]
    /// The cause of a failure; nil when it did not fail.
    public var failure: String?

    /// An outcome; without a failure by default.
    public init(entries: [StoredTrajectory], failure: String? = nil) {
        (self.entries, self.failure) = (entries, failure)
    }
}

/// Tasks: planned once, claimed for a while, recorded once.
extension FleetStore {
    /// How many workers may be lost while working on a task before it is no longer tried: a task that kills its workers
    /// must not kill the whole fleet.
    public static let maximumLosses = 10
    /// How many tasks are planned in one statement.
    private static let batch = 500

    /// Plans tasks. A task that is open, or whose result has not been collected, stays as it is; a finished one is
    /// opened again.
    public func plan(_ jobs: [(id: String, job: String)], in part: FleetPart) async throws {
        for start in stride(from: 0, to: jobs.count, by: Self.batch) {
            let batch = jobs[start..<min(start + Self.batch, jobs.count)]
            let list = ExactJSON.text(.array(batch.map { ["id": .string($0.id), "job": .string($0.job)] }))
            _ = try await rows(
                """
                INSERT INTO retort.task AS t (run, stage, phase, id, job)
                SELECT $1, $2, $3::int, j.id, j.job FROM json_to_recordset($4::json) AS j(id text, job text)
                ON CONFLICT (run, stage, id) DO UPDATE SET
                    phase = excluded.phase, job = excluded.job, is_done = false, is_copied = false, worker = NULL,
                    lease_until = '-infinity', lost = 0, finished = NULL, correct = NULL, failure = NULL, result = NULL
                WHERE t.is_done AND t.is_copied
                """, [part.run, part.stage, "\(part.phase)", list])
        }
    }

    /// Claims open tasks, and those whose worker has stopped reporting.
    ///
    /// They are selected once (`MATERIALIZED`): inside the update the selection would be repeated for each row, and
    /// would lock more of them.
    /// - Parameters:
    ///   - count: the most tasks to claim.
    ///   - lease: how long the claims last, in seconds.
    public func claim(_ count: Int, in part: FleetPart, by worker: String, lease: Double) async throws -> [FleetClaim] {
        try await rows(
            """
            WITH open AS MATERIALIZED (
                SELECT id FROM retort.task
                WHERE run = $1 AND stage = $2 AND phase = $3::int AND NOT is_done AND lease_until < now()
                    AND lost < \(Self.maximumLosses)
                ORDER BY lease_until, sequence LIMIT $4::int FOR UPDATE SKIP LOCKED)
            UPDATE retort.task t SET
                attempt = t.attempt + 1, lost = t.lost + (t.lease_until > '-infinity')::int, worker = $5,
                lease_until = now() + $6::float8 * interval '1 second'
            FROM open
            WHERE t.run = $1 AND t.stage = $2 AND t.id = open.id
            RETURNING t.id, t.attempt, t.job
            """, [part.run, part.stage, "\(part.phase)", "\(count)", worker, "\(lease)"]
        ).map { FleetClaim(id: $0[0], attempt: $0.integer(1), job: $0[2]) }
    }

    /// Prolongs claims.
    /// - Parameter lease: in seconds from now; nil gives the tasks back.
    /// - Returns: the ids of the tasks that still belong to the worker.
    @discardableResult
    public func renew(
        _ claims: [FleetClaim], in part: FleetPart, by worker: String, lease: Double?
    ) async throws -> Set<String> {
        guard !claims.isEmpty else { return [] }
        let list = ExactJSON.text(
            .array(claims.map { ["id": .string($0.id), "attempt": .integer($0.attempt)] }))
        let kept = try await rows(
            """
            UPDATE retort.task t SET
                lease_until = CASE WHEN $5::float8 IS NULL THEN '-infinity' ELSE now() + $5::float8 * interval '1 second' END
            FROM json_to_recordset($3::json) AS c(id text, attempt int)
            WHERE t.run = $1 AND t.stage = $2 AND t.id = c.id AND t.attempt = c.attempt AND t.worker = $4 AND NOT t.is_done
            RETURNING t.id
            """, [part.run, part.stage, list, worker, lease.map { "\($0)" }])
        return Set(kept.map { $0[0] })
    }

    /// Records a task's outcome and so ends its claim, unless another worker has claimed the task since.
    /// - Returns: whether the result counts.
    public func record(
        _ result: FleetResult, of claim: FleetClaim, in part: FleetPart, by worker: String
    ) async throws -> Bool {
        let key = [part.run, part.stage, claim.id, "\(claim.attempt)", worker]
        let text = String(decoding: try ExactJSON.encode(result.entries), as: UTF8.self)
        let correct = result.entries.last?.verdict.map { $0.isCorrect ? "t" : "f" }
        let recorded = try await count(
            """
            UPDATE retort.task SET
                is_done = true, finished = now(), job = NULL, result = $6, correct = $7::boolean, failure = $8
            WHERE run = $1 AND stage = $2 AND id = $3 AND attempt = $4::int AND worker = $5 AND NOT is_done
            RETURNING 1
            """, key + [text, correct, result.failure])
        if recorded > 0 { return true }
        // The reply to this same record may have been lost.
        return try await count(
            """
            SELECT 1 FROM retort.task
            WHERE run = $1 AND stage = $2 AND id = $3 AND attempt = $4::int AND worker = $5 AND is_done
            """, key) > 0
    }

    /// Whether a part may still have work for a worker.
    public func isOpen(_ part: FleetPart) async throws -> Bool {
        try await count(
            "SELECT 1 FROM retort.stage WHERE run = $1 AND name = $2 AND phase <= $3::int AND is_open",
            [part.run, part.stage, "\(part.phase)"]) > 0
    }

    /// Whether all planned tasks of a part are done.
    public func isDone(_ part: FleetPart) async throws -> Bool {
        try await count(
            "SELECT 1 FROM retort.task WHERE run = $1 AND stage = $2 AND phase = $3::int AND NOT is_done LIMIT 1",
            [part.run, part.stage, "\(part.phase)"]) == 0
    }

    /// Up to 64 results that were not collected yet, in the order of planning.
    /// - Throws: `FleetError.unreadable`, which names the task.
    public func results(of stage: String, run: String) async throws -> [(id: String, result: FleetResult)] {
        try await rows(
            """
            SELECT id, result, failure FROM retort.task WHERE run = $1 AND stage = $2 AND is_done AND NOT is_copied
            ORDER BY sequence LIMIT 64
            """, [run, stage]
        ).map { row in
            let entries = try readable("the result of '\(row[0])' in \(stage)") {
                try ExactJSON.decode([StoredTrajectory].self, from: row[1].utf8)
            }
            return (row[0], FleetResult(entries: entries, failure: row.values[2]))
        }
    }

    /// Marks results as collected and removes them from the store.
    public func markCopied(_ ids: [String], of stage: String, run: String) async throws {
        guard !ids.isEmpty else { return }
        _ = try await rows(
            """
            UPDATE retort.task t SET is_copied = true, result = NULL
            FROM json_array_elements_text($3::json) AS c(id)
            WHERE t.run = $1 AND t.stage = $2 AND t.id = c.id AND t.is_done
            """, [run, stage, ExactJSON.text(.array(ids.map(JSONValue.string)))])
    }

    /// Up to 64 tasks that are no longer tried, because too many workers were lost over them.
    public func givenUp(in part: FleetPart) async throws -> [FleetClaim] {
        try await rows(
            """
            SELECT id, attempt, job FROM retort.task
            WHERE run = $1 AND stage = $2 AND phase = $3::int AND NOT is_done AND lost >= \(Self.maximumLosses)
                AND lease_until < now() LIMIT 64
            """, [part.run, part.stage, "\(part.phase)"]
        ).map { FleetClaim(id: $0[0], attempt: $0.integer(1), job: $0[2]) }
    }

    /// Ends a task that is no longer tried.
    public func giveUp(_ claim: FleetClaim, in part: FleetPart, failure: String) async throws {
        _ = try await rows(
            """
            UPDATE retort.task SET
                is_done = true, is_copied = true, finished = now(), job = NULL, correct = false, failure = $5
            WHERE run = $1 AND stage = $2 AND id = $3 AND attempt = $4::int AND NOT is_done
            """, [part.run, part.stage, claim.id, "\(claim.attempt)", failure])
    }
}
