import RetortCore

/// A worker's report about itself.
public struct FleetSign: Sendable, Hashable {
    /// How many tasks it may work on at the same time.
    public var width: Int
    /// How many tasks it works on.
    public var busy: Int
    /// How many tasks it has recorded since it started.
    public var done: Int
    /// How many of them failed.
    public var failed: Int
    /// How many results came too late to count.
    public var dropped: Int
    /// The stage that it works on; empty for none.
    public var stage: String

    /// A report; nothing was done by default.
    public init(width: Int = 0, busy: Int = 0, done: Int = 0, failed: Int = 0, dropped: Int = 0, stage: String = "") {
        (self.width, self.busy, self.done, self.failed, self.dropped, self.stage) =
            (width, busy, done, failed, dropped, stage)
    }
}

extension FleetStore {
    /// Records a worker's report, which shows that it is alive.
    /// - Parameter hasLeft: whether it is its last one.
    public func note(
        _ sign: FleetSign, of worker: String, in run: String, version: String, hasLeft: Bool = false
    ) async throws {
        _ = try await rows(
            """
            INSERT INTO retort.worker (run, name, version, width, busy, done, failed, dropped, stage, has_left)
            SELECT $1, $2, $3, $4::int, $5::int, $6::bigint, $7::bigint, $8::bigint, $9, $10::boolean
            WHERE EXISTS (SELECT 1 FROM retort.run WHERE name = $1)
            ON CONFLICT (run, name) DO UPDATE SET
                seen = now(), width = excluded.width, busy = excluded.busy, done = excluded.done, failed = excluded.failed,
                dropped = excluded.dropped, stage = excluded.stage, has_left = excluded.has_left
            """,
            [
                run, worker, version, "\(sign.width)", "\(sign.busy)", "\(sign.done)", "\(sign.failed)",
                "\(sign.dropped)", sign.stage, hasLeft ? "t" : "f",
            ])
    }

    /// Records everything that a worker has spent so far, and returns what the other workers have spent.
    public func spend(_ usage: Usage, of worker: String, for account: String, in run: String) async throws -> Usage {
        let others = try await rows(
            """
            WITH own AS (
                INSERT INTO retort.spending AS s (run, account, worker, prompt, completion)
                SELECT $1, $2, $3, $4::bigint, $5::bigint WHERE EXISTS (SELECT 1 FROM retort.run WHERE name = $1)
                ON CONFLICT (run, account, worker) DO UPDATE SET
                    prompt = greatest(s.prompt, excluded.prompt), completion = greatest(s.completion, excluded.completion))
            SELECT coalesce(sum(prompt), 0), coalesce(sum(completion), 0) FROM retort.spending
            WHERE run = $1 AND account = $2 AND worker <> $3
            """, [run, account, worker, "\(usage.promptTokens)", "\(usage.completionTokens)"]
        ).first
        return Usage(promptTokens: others?.integer(0) ?? 0, completionTokens: others?.integer(1) ?? 0)
    }
}
