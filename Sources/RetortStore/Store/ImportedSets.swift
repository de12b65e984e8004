import GRDB
import RetortCore

/// Sets that came from elsewhere. A run neither makes such a set again nor removes it; it uses the set as it is.
extension TrajectoryStore {
    /// What became of trajectories that were to be added to a set.
    public struct Imported: Sendable, Hashable {
        /// How many were added.
        public var added = 0
        /// How many the set contained already, step by step.
        public var known = 0
        /// How many of those added got another id, because theirs belongs to another trajectory of the set.
        public var renamed = 0

        /// Counts of trajectories; none by default.
        public init(added: Int = 0, known: Int = 0, renamed: Int = 0) {
            (self.added, self.known, self.renamed) = (added, known, renamed)
        }
    }

    /// Saves trajectories of others, in one transaction, and marks the set as imported. A trajectory never takes the
    /// place of a different one: where its id is taken, it becomes a further attempt, or its task gets an id of its own.
    /// - Throws: `StoreError.notImported` when the set contains trajectories that were not imported.
    @discardableResult
    public func importing(_ trajectories: [StoredTrajectory], in set: String) async throws -> Imported {
        let path = path
        return try await using { database in
            try await database.write { database in
                let count = try Self.count(set, database)
                guard try count == 0 || Self.isImported(set, database) else {
                    throw StoreError.notImported(file: path, set: set, count: count)
                }
                try database.execute(sql: "INSERT OR IGNORE INTO imported (\"set\") VALUES (?)", arguments: [set])
                var done = Imported()
                for stored in trajectories {
                    var stored = stored
                    let id = stored.trajectory.id
                    let isKnown = try Self.rename(&stored.trajectory, for: set, database, path)
                    done.known += isKnown ? 1 : 0
                    done.added += isKnown ? 0 : 1
                    done.renamed += isKnown || stored.trajectory.id == id ? 0 : 1
                    try TrajectoryRow(stored, set: set).upsert(database)
                }
                return done
            }
        }
    }

    /// Gives a trajectory the first id of its task and policy that no different trajectory of the set has.
    /// - Returns: whether the set contains the trajectory already.
    private static func rename(
        _ trajectory: inout Trajectory, for set: String, _ database: Database, _ path: String
    ) throws -> Bool {
        let task = trajectory.task
        var number = 1
        while let other = try question(of: trajectory.task.id, in: set, database, path), other != task.question {
            number += 1
            trajectory.task.id = task.variant(number)
        }
        if number > 1 { trajectory.number(trajectory.provenance.attempt) }
        var attempt = 0
        while let other = try stored(id: trajectory.id, in: set, database, path) {
            if other == trajectory { return true }
            trajectory.number(attempt)
            attempt += 1
        }
        return false
    }

    private static func stored(
        id: String, in set: String, _ database: Database, _ path: String
    ) throws -> Trajectory? {
        try TrajectoryRow.fetchOne(
            database, sql: "\(TrajectoryRow.selection) WHERE t.\"set\" = ? AND t.id = ?", arguments: [set, id])?
            .stored(path: path).trajectory
    }

    /// The question of a task of the set; nil where the set has no such task.
    private static func question(
        of task: String, in set: String, _ database: Database, _ path: String
    ) throws -> String? {
        try TrajectoryRow.fetchOne(
            database, sql: "\(TrajectoryRow.selection) WHERE t.\"set\" = ? AND t.task = ? LIMIT 1",
            arguments: [set, task])?
            .stored(path: path).trajectory.task.question
    }

    /// Whether a set came from elsewhere.
    public func isImported(_ set: String) async throws -> Bool {
        try await using { database in try await database.read { try Self.isImported(set, $0) } }
    }

    private static func isImported(_ set: String, _ database: Database) throws -> Bool {
        try Bool.fetchOne(
            database, sql: "SELECT EXISTS (SELECT 1 FROM imported WHERE \"set\" = ?)", arguments: [set]) ?? false
    }

    private static func count(_ set: String, _ database: Database) throws -> Int {
        try Int.fetchOne(database, sql: "SELECT count(*) FROM trajectory WHERE \"set\" = ?", arguments: [set]) ?? 0
    }
}
