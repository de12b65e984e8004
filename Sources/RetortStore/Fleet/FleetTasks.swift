import Foundation
import RetortCore

/// Where tasks belong: a run's stage, and which of the stage's rounds of planning.
public struct FleetPart: Sendable, Hashable {
    public var run: String
    public var stage: String
    public var phase: Int

    public init(run: String, stage: String, phase: Int = 0) { (self.run, self.stage, self.phase) = (run, stage, phase) }
}

/// A task that somebody works on.
public struct FleetClaim: Sendable, Hashable {
    public var id: String
    /// How often it was claimed: a result counts only while nobody else has claimed the task since.
    public var attempt: Int
    /// What is to be done, as JSON.
    public var job: String
}

/// What came of a task.
public struct FleetResult: Sendable {
    /// What is to be stored; empty when there is nothing.
    public var entries: [StoredTrajectory]
    /// Why it broke, by cause; nil when it did not.
    public var failure: String?

    public init(entries: [StoredTrajectory], failure: String? = nil) {
        (self.entries, self.failure) = (entries, failure)
    }
}

/// Tasks: planned once, claimed for a while, recorded once.
extension FleetStore {
    /// So many workers may be lost over a task before nobody tries it again: a task that kills whoever takes it must not kill the fleet.
    public static let maximumLosses = 10
    /// Tasks that are planned in one statement.
    private static let batch = 500

    /// Plans tasks. One that is open, or whose result waits to be taken, stays as it is; one that is done with is opened again.
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

    /// Claims open tasks, and those whose worker was not heard of in time.
    ///
    /// They are looked for once (`MATERIALIZED`): inside the update they would be looked for again for each row, and more of them locked.
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
    /// - Parameter lease: in seconds from now; nil gives them back.
    /// - Returns: the ids of those that are still the worker's.
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

    /// Records what came of a task, and with that ends its claim, unless somebody else has claimed it since.
    /// - Returns: whether it counts.
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
        // The reply to this very record may have been lost.
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

    /// Whether all that was planned of a part is done.
    public func isDone(_ part: FleetPart) async throws -> Bool {
        try await count(
            "SELECT 1 FROM retort.task WHERE run = $1 AND stage = $2 AND phase = $3::int AND NOT is_done LIMIT 1",
            [part.run, part.stage, "\(part.phase)"]) == 0
    }

    /// Results that were not taken yet, some of them.
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

    /// Notes that results were taken; they are kept here no longer.
    public func markCopied(_ ids: [String], of stage: String, run: String) async throws {
        guard !ids.isEmpty else { return }
        _ = try await rows(
            """
            UPDATE retort.task t SET is_copied = true, result = NULL
            FROM json_array_elements_text($3::json) AS c(id)
            WHERE t.run = $1 AND t.stage = $2 AND t.id = c.id AND t.is_done
            """, [run, stage, ExactJSON.text(.array(ids.map(JSONValue.string)))])
    }

    /// Tasks that nobody tries any more, because too many workers were lost over them.
    public func givenUp(in part: FleetPart) async throws -> [FleetClaim] {
        try await rows(
            """
            SELECT id, attempt, job FROM retort.task
            WHERE run = $1 AND stage = $2 AND phase = $3::int AND NOT is_done AND lost >= \(Self.maximumLosses)
                AND lease_until < now() LIMIT 64
            """, [part.run, part.stage, "\(part.phase)"]
        ).map { FleetClaim(id: $0[0], attempt: $0.integer(1), job: $0[2]) }
    }

    /// Ends a task that nobody tries any more.
    public func giveUp(_ claim: FleetClaim, in part: FleetPart, failure: String) async throws {
        _ = try await rows(
            """
            UPDATE retort.task SET
                is_done = true, is_copied = true, finished = now(), job = NULL, correct = false, failure = $5
            WHERE run = $1 AND stage = $2 AND id = $3 AND attempt = $4::int AND NOT is_done
            """, [part.run, part.stage, claim.id, "\(claim.attempt)", failure])
    }
}
