import GRDB

/// Sets that came from elsewhere. A run neither makes such a set again nor removes it; it uses the set as it is.
extension TrajectoryStore {
    /// Saves trajectories of others, in one transaction, and marks the set as imported.
    /// - Throws: `StoreError.notImported` when the set contains trajectories that were not imported.
    public func importing(_ trajectories: [StoredTrajectory], in set: String) async throws {
        let rows = try trajectories.map { try TrajectoryRow($0, set: set) }
        let path = path
        try await using { database in
            try await database.write { database in
                let count = try Self.count(set, database)
                guard try count == 0 || Self.isImported(set, database) else {
                    throw StoreError.notImported(file: path, set: set, count: count)
                }
                try database.execute(sql: "INSERT OR IGNORE INTO imported (\"set\") VALUES (?)", arguments: [set])
                for row in rows { try row.upsert(database) }
            }
        }
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
