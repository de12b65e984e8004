import Foundation
import GRDB
import RetortCore

/// A run's trajectories, in sets named after the stage that made them: an SQLite file in WAL mode.
///
/// Each save is a transaction of its own, so killing the process at any moment loses at most the trajectory in flight.
public struct TrajectoryStore: Sendable {
    /// A trajectory, and its grade when it has one.
    public struct Entry: Codable, Sendable, Hashable {
        public var trajectory: Trajectory
        public var verdict: Verdict?

        public init(trajectory: Trajectory, verdict: Verdict?) {
            self.trajectory = trajectory
            self.verdict = verdict
        }
    }

    private let database: DatabasePool
    private let path: String

    /// Opens a store, or makes one.
    /// - Throws: `StoreError` for a file that is something else, or a newer version's.
    public init(_ file: URL) throws {
        path = file.path
        var configuration = Configuration()
        // Another process of the same run, such as `inspect`, may hold the file for a moment.
        configuration.busyMode = .timeout(10)
        do {
            database = try DatabasePool(path: file.path, configuration: configuration)
            let migrator = Self.migrator
            guard try database.read(migrator.hasBeenSuperseded) == false else {
                throw StoreError.newer(file: file.path)
            }
            try migrator.migrate(database)
        } catch let error as DatabaseError {
            throw StoreError.unusable(file: file.path, "\(error)")
        }
    }

    private static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("trajectories") { database in
            try database.create(table: "trajectory") { table in
                table.column("set", .text).notNull()
                table.column("id", .text).notNull()
                table.column("task", .text).notNull()
                table.column("correct", .boolean)
                table.column("entry", .text).notNull()
                table.primaryKey(["set", "id"])
            }
        }
        return migrator
    }

    /// Saves a trajectory, in place of one with the same set and id.
    public func save(_ trajectory: Trajectory, verdict: Verdict? = nil, in set: String) async throws {
        let entry = String(
            decoding: try JSONCoding.encoder.encode(Entry(trajectory: trajectory, verdict: verdict)), as: UTF8.self)
        try await database.write { database in
            try database.execute(
                sql: "INSERT OR REPLACE INTO trajectory VALUES (?, ?, ?, ?, ?)",
                arguments: [set, trajectory.id, trajectory.task.id, verdict?.isCorrect, entry])
        }
    }

    /// The ids of the tasks that a set has trajectories of.
    public func taskIDs(in set: String) async throws -> Set<String> {
        try await database.read { database in
            try String.fetchSet(database, sql: "SELECT task FROM trajectory WHERE \"set\" = ?", arguments: [set])
        }
    }

    /// A set's entries, ordered by id, so that the order does not depend on when each was finished.
    public func entries(in set: String) async throws -> [Entry] {
        let texts = try await database.read { database in
            try String.fetchAll(
                database, sql: "SELECT entry FROM trajectory WHERE \"set\" = ? ORDER BY id", arguments: [set])
        }
        return try texts.map { text in
            do {
                return try JSONCoding.decoder.decode(Entry.self, from: Data(text.utf8))
            } catch {
                throw StoreError.unusable(file: path, "a record of '\(set)' cannot be read: \(error)")
            }
        }
    }

    /// The names of all sets, with how many trajectories each holds.
    public func sets() async throws -> [(name: String, count: Int)] {
        try await database.read { database in
            try Row.fetchAll(database, sql: "SELECT \"set\", count(*) AS n FROM trajectory GROUP BY 1 ORDER BY 1")
                .map { (name: $0["set"], count: $0["n"]) }
        }
    }

    /// Removes a set, before a stage is made anew.
    public func remove(set: String) async throws {
        try await database.write { database in
            try database.execute(sql: "DELETE FROM trajectory WHERE \"set\" = ?", arguments: [set])
        }
    }
}

/// A store that cannot be used.
public enum StoreError: Error, CustomStringConvertible {
    case unusable(file: String, String)
    case newer(file: String)

    public var description: String {
        switch self {
        case .unusable(let file, let reason):
            "\(file) is not a usable trajectory store: \(reason). Move it away, and run again"
        case .newer(let file): "\(file) was written by a newer version of Retort; update, or use another folder"
        }
    }
}
