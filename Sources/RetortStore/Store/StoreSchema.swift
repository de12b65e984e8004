import GRDB

/// The tables of a trajectory store, by version.
enum StoreSchema {
    /// Marks the file as Retort's own (`Retr` in ASCII), in SQLite's header.
    static let applicationID = 0x5265_7472

    /// Each version of the tables is one migration; a later one is added below, and none is ever changed.
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("v1") { database in
            try database.execute(sql: "PRAGMA application_id = \(applicationID)")
            try database.create(table: "trajectory") { table in
                table.autoIncrementedPrimaryKey("sequence")
                table.column("set", .text).notNull()
                table.column("id", .text).notNull()
                table.column("task", .text).notNull()
                table.column("family", .text).notNull()
                table.column("split", .text).notNull()
                table.column("policy", .text).notNull()
                table.column("ending", .text).notNull()
                table.column("correct", .boolean)
                table.column("verdict", .text)
                table.column("trajectory", .text).notNull()
                table.uniqueKey(["set", "id"])
            }
            try database.create(index: "trajectory_task", on: "trajectory", columns: ["set", "task"])
            try database.create(
                index: "trajectory_kind", on: "trajectory", columns: ["set", "family", "split", "correct"])
        }
        migrator.registerMigration("judge") { database in
            try database.alter(table: "trajectory") { $0.add(column: "judge", .text) }
        }
        migrator.registerMigration("imports") { database in
            try database.create(table: "imported") { table in
                table.primaryKey("set", .text)
            }
        }
        migrator.registerMigration("also") { database in
            try database.alter(table: "trajectory") { $0.add(column: "also", .text) }
        }
        migrator.registerMigration("facts") { database in
            try FactTables.create(database)
            try FactTables.fill(database)
        }
        return migrator
    }
}
