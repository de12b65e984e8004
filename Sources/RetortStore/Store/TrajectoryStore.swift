import Foundation
import GRDB
import RetortCore

/// A run's trajectories, in sets named after the stage that made them (`rollout/teacher`, `evaluate/agent`): one SQLite
/// file in WAL mode.
///
/// Each save is a transaction of its own, synced to disk before it returns: a killed process, or a machine that loses
/// power, loses at most the trajectory in progress. Any number of tasks may read and save at the same time, and other
/// processes may read meanwhile.
///
/// ```swift
/// let store = try TrajectoryStore(folder.appendingPathComponent("trajectories.sqlite"))
/// try await store.save(trajectory, verdict: verdict, in: "rollout/teacher")
/// for try await stored in store.trajectories(in: "rollout/teacher") { print(stored.trajectory.id) }
/// ```
public struct TrajectoryStore: Sendable {
    /// A trajectory, and its grade when it has one.
    public typealias Entry = StoredTrajectory

    /// Whether a store must exist already.
    public enum Opening: Sendable {
        /// An absent file becomes an empty store.
        case createWhenAbsent
        /// An absent file is an error: for commands that only look.
        case existing
        /// Nothing is written, not even tables that a newer version added: for use beside a run that works in the file.
        case readOnly
    }

    /// The order in which trajectories are read.
    public enum Order: Sendable {
        /// By trajectory id, so that the order depends neither on which one finished first nor on where a run was
        /// killed.
        case byID
        /// As first saved. Saving a trajectory again does not move it.
        case asSaved
    }

    let database: DatabasePool
    let path: String

    /// Opens a store, or creates one.
    /// - Throws: `StoreError` for a file that is something else, damaged, or from a newer version.
    public init(_ file: URL, _ opening: Opening = .createWhenAbsent) throws {
        path = file.path
        guard opening == .createWhenAbsent || FileManager.default.fileExists(atPath: file.path) else {
            throw StoreError.missing(file: file.path)
        }
        var configuration = Configuration()
        // Another process of the same run, such as `inspect`, may hold the file for a moment.
        configuration.busyMode = .timeout(10)
        configuration.readonly = opening == .readOnly
        do {
            // Check before WAL mode is set, so that another program's database stays unchanged.
            try Self.recognise(file)
            database = try DatabasePool(path: file.path, configuration: configuration)
            let migrator = StoreSchema.migrator
            guard try database.read(migrator.hasBeenSuperseded) == false else {
                throw StoreError.newer(file: file.path)
            }
            guard opening != .readOnly else {
                guard try database.read(migrator.hasCompletedMigrations) else {
                    throw StoreError.older(file: file.path)
                }
                return
            }
            // GRDB's default for WAL is NORMAL, which can lose the last commits with the power. A trajectory costs
            // seconds of a model's time and a sync costs milliseconds.
            try database.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = FULL") }
            try migrator.migrate(database)
        } catch let error as DatabaseError {
            throw StoreError.of(error, file: file.path)
        }
    }

    private static func recognise(_ file: URL) throws {
        let attributes = try? FileManager.default.attributesOfItem(atPath: file.path)
        guard let size = attributes?[.size] as? Int, size > 0 else { return }
        var configuration = Configuration()
        configuration.busyMode = .timeout(10)
        configuration.readonly = true
        let queue = try DatabaseQueue(path: file.path, configuration: configuration)
        defer { try? queue.close() }
        let isOurs = try queue.read { database in
            let mark = try Int.fetchOne(database, sql: "PRAGMA application_id")
            // A process that was killed while creating the store may have left only the list of migrations.
            let tables = try Int.fetchOne(
                database, sql: "SELECT count(*) FROM sqlite_master WHERE tbl_name <> 'grdb_migrations'")
            return mark == StoreSchema.applicationID || tables == 0
        }
        guard isOurs else { throw StoreError.notAStore(file: file.path) }
    }

    // MARK: Saving

    /// Saves a trajectory, in place of one with the same set and id.
    public func save(_ trajectory: Trajectory, verdict: Verdict? = nil, in set: String) async throws {
        try await save([StoredTrajectory(trajectory: trajectory, verdict: verdict)], in: set)
    }

    /// Saves trajectories in one transaction: all of them or none.
    public func save(_ trajectories: [StoredTrajectory], in set: String) async throws {
        let rows = try trajectories.map { try TrajectoryRow($0, set: set) }
        try await using { database in
            try await database.write { database in
                for row in rows { try row.upsert(database) }
            }
        }
    }

    /// Removes a set, before its stage is run again.
    public func remove(set: String) async throws {
        try await using { database in
            try await database.write { database in
                try database.execute(sql: "DELETE FROM trajectory WHERE \"set\" = ?", arguments: [set])
                try database.execute(sql: "DELETE FROM imported WHERE \"set\" = ?", arguments: [set])
            }
        }
    }

    // MARK: Reading

    /// A set's trajectories one after the other, with only a few in memory.
    ///
    /// A trajectory saved during the iteration is included when it lies ahead in the order.
    public func trajectories(in set: String, order: Order = .byID) -> StoredTrajectories {
        StoredTrajectories(store: self, set: set, order: order)
    }

    /// A set's trajectories, all at once.
    public func entries(in set: String, order: Order = .byID) async throws -> [StoredTrajectory] {
        var entries: [StoredTrajectory] = []
        for try await entry in trajectories(in: set, order: order) { entries.append(entry) }
        return entries
    }

    /// One trajectory, or nil when the set lacks it.
    public func entry(id: String, in set: String) async throws -> StoredTrajectory? {
        let row = try await using { database in
            try await database.read { database in
                try TrajectoryRow.fetchOne(
                    database, sql: "\(TrajectoryRow.selection) WHERE t.\"set\" = ? AND t.id = ?",
                    arguments: [set, id])
            }
        }
        return try row?.stored(path: path)
    }

    /// Whether a set contains a trajectory.
    public func contains(id: String, in set: String) async throws -> Bool {
        try await using { database in
            try await database.read { database in
                try Bool.fetchOne(
                    database, sql: "SELECT EXISTS (SELECT 1 FROM trajectory WHERE \"set\" = ? AND id = ?)",
                    arguments: [set, id]) ?? false
            }
        }
    }

    /// The ids of a set's trajectories.
    public func ids(in set: String) async throws -> Set<String> {
        try await using { database in
            try await database.read { database in
                try String.fetchSet(database, sql: "SELECT id FROM trajectory WHERE \"set\" = ?", arguments: [set])
            }
        }
    }

    /// The ids of a set's trajectories that ended because the model or the environment broke.
    public func failedIDs(in set: String) async throws -> Set<String> {
        try await using { database in
            try await database.read { database in
                try String.fetchSet(
                    database, sql: "SELECT id FROM trajectory WHERE \"set\" = ? AND ending = 'failed'", arguments: [set]
                )
            }
        }
    }

    /// The ids of the tasks that a set has trajectories for.
    public func taskIDs(in set: String) async throws -> Set<String> {
        try await using { database in
            try await database.read { database in
                try String.fetchSet(database, sql: "SELECT task FROM trajectory WHERE \"set\" = ?", arguments: [set])
            }
        }
    }

    /// The ids of the tasks for which a set has trajectories that did not break.
    public func endedTaskIDs(in set: String) async throws -> Set<String> {
        try await using { database in
            try await database.read { database in
                try String.fetchSet(
                    database, sql: "SELECT task FROM trajectory WHERE \"set\" = ? AND ending <> 'failed'",
                    arguments: [set])
            }
        }
    }

    /// The number of trajectories in a set; 0 when there is no such set.
    public func count(in set: String) async throws -> Int {
        try await sets().first { $0.name == set }?.count ?? 0
    }

    /// The names of all sets, with the number of trajectories in each.
    public func sets() async throws -> [(name: String, count: Int)] {
        try await using { database in
            try await database.read { database in
                try Row.fetchAll(database, sql: "SELECT \"set\", count(*) AS n FROM trajectory GROUP BY 1 ORDER BY 1")
                    .map { (name: $0["set"], count: $0["n"]) }
            }
        }
    }

    /// Runs an access and converts SQLite's errors to the store's.
    func using<Value>(_ access: (DatabasePool) async throws -> Value) async throws -> Value {
        do {
            return try await access(database)
        } catch let error as DatabaseError {
            throw StoreError.of(error, file: path)
        }
    }
}
