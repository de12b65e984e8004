import GRDB

/// A store that cannot be used, or a record in it.
public enum StoreError: Error, CustomStringConvertible, Equatable {
    /// There is no file, and the caller asked for one that exists.
    case missing(file: String)
    /// The file is not SQLite, or it is the database of something else.
    case notAStore(file: String)
    /// SQLite found the file damaged.
    case damaged(file: String, reason: String)
    /// A newer version of Retort wrote it.
    case newer(file: String)
    /// An older version wrote it, and it was to be read as it is.
    case older(file: String)
    /// The file system refused: no permission, no space, a missing folder, a lock that was not released.
    case unavailable(file: String, reason: String)
    /// One record does not read as a trajectory.
    case unreadable(file: String, set: String, id: String, reason: String)
    /// Trajectories were to be imported into a set that something else made.
    case notImported(file: String, set: String, count: Int)

    /// What went wrong, and what to do.
    public var description: String {
        switch self {
        case .missing(let file):
            "\(file) does not exist; check the path of the run folder"
        case .notAStore(let file):
            "\(file) is not a trajectory store; give the path of one, or move the file away to start a new store there"
        case .damaged(let file, let reason):
            "\(file) is damaged (\(reason)); move it away and run again, or restore it from a copy"
        case .newer(let file):
            "\(file) was written by a newer version of Retort; update, or use another run folder"
        case .older(let file):
            "\(file) was written by an older version of Retort; open it once for writing ('retort inspect'), when no run "
                + "works in it"
        case .unavailable(let file, let reason):
            "\(file) cannot be used now: \(reason); check the folder, its permissions, free space and other processes"
        case .unreadable(let file, let set, let id, let reason):
            "\(file): trajectory '\(id)' of '\(set)' cannot be read: \(reason); remove the set and make it anew"
        case .notImported(let file, let set, let count):
            "the set '\(set)' of \(file) holds \(count) trajectories that a run made; import into another set, or into the "
                + "store of a new run folder"
        }
    }

    /// What an error of SQLite means for the file.
    static func of(_ error: DatabaseError, file: String) -> StoreError {
        let reason = error.message ?? "SQLite error \(error.resultCode.rawValue)"
        return switch error.resultCode {
        case .SQLITE_NOTADB: .notAStore(file: file)
        case .SQLITE_CORRUPT: .damaged(file: file, reason: reason)
        default: .unavailable(file: file, reason: reason)
        }
    }
}
