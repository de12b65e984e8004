import Foundation
import GRDB
import RetortCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// An index that is being built, beside the place that it will take. Committed passages survive a kill, and can be
/// searched while the work goes on.
///
/// Only one process at a time works on a draft.
final class IndexDraft {
    /// How far the work is.
    private struct State: Codable {
        var source: String
        var place = PassageCorpus.Position()
        var count = 0
        var quoted = 0
        /// Whether all passages are read, and the word lists are being merged.
        var isRead = false
    }

    let url: URL
    private let lock: Int32
    private let queue: DatabaseQueue
    private var state: State

    /// The file of an index's draft.
    static func url(of index: URL) -> URL {
        index.deletingLastPathComponent().appendingPathComponent(".\(index.lastPathComponent).building")
    }

    /// Resumes the draft of an index, or begins one.
    /// - Parameter source: identifies the corpus; a draft of another corpus is discarded.
    /// - Throws: `RetrievalError.busy` when another process works on it; `DatabaseError`, `POSIXError`.
    init(of index: URL, source: String) throws {
        url = Self.url(of: index)
        lock = try Self.locked(url.appendingPathExtension("lock"))
        do {
            if let known = try? Self.opened(url, source: source) {
                (queue, state) = known
            } else {
                Self.removeFiles(url)
                (queue, state) = try Self.begun(url, source: source)
            }
        } catch {
            Self.unlock(lock, url)
            throw error
        }
    }

    deinit { Self.unlock(lock, url) }

    private static func unlock(_ lock: Int32, _ url: URL) {
        unlink(url.appendingPathExtension("lock").path)
        close(lock)
    }

    private static func removeFiles(_ url: URL) {
        for ending in ["", "-wal", "-shm", "-journal"] { unlink(url.path + ending) }
    }

    /// The longest wait for another process that builds the same index, in seconds.
    private static let patience = 600.0

    private static func locked(_ url: URL) throws -> Int32 {
        let end = Date(timeIntervalSinceNow: patience)
        while true {
            let descriptor = open(url.path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
            guard descriptor >= 0 else { throw systemError() }
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 {
                // The previous owner removed the file.
                var (own, there) = (stat(), stat())
                if fstat(descriptor, &own) == 0, stat(url.path, &there) == 0, own.st_ino == there.st_ino {
                    return descriptor
                }
            }
            close(descriptor)
            try Task.checkCancellation()
            guard Date.now < end else { throw RetrievalError.busy(file: url.path) }
            usleep(50_000)
        }
    }

    private static func connected(_ url: URL) throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.busyMode = .timeout(60)
        // Searches of the draft must not wait for the work, and committed passages must survive a kill.
        configuration.prepareDatabase {
            try $0.execute(
                sql: "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -65536")
        }
        return try DatabaseQueue(path: url.path, configuration: configuration)
    }

    private static func opened(_ url: URL, source: String) throws -> (DatabaseQueue, State) {
        let queue = try connected(url)
        let text = try queue.read { try String.fetchOne($0, sql: "SELECT state FROM draft") }
        guard let text, let state = try? JSONCoding.decoder.decode(State.self, from: Data(text.utf8)),
            state.source == source
        else { throw RetrievalError.notAnIndex(file: url.path, reason: "it is of another corpus") }
        return (queue, state)
    }

    private static func begun(_ url: URL, source: String) throws -> (DatabaseQueue, State) {
        let (queue, state) = (try connected(url), State(source: source))
        try queue.write { database in
            try IndexSchema.create(in: database)
            // How many bytes of word lists are gathered in memory before they are written.
            try database.execute(
                sql: """
                    INSERT INTO words(words, rank) VALUES ('hashsize', \(16 << 20));
                    CREATE TABLE draft (state TEXT);
                    """)
            try database.execute(sql: "INSERT INTO draft VALUES (?)", arguments: [text(state)])
        }
        return (queue, state)
    }

    private static func text(_ state: State) throws -> String {
        String(decoding: try JSONCoding.encoder.encode(state), as: UTF8.self)
    }

    private func note(_ database: Database) throws {
        try database.execute(sql: "UPDATE draft SET state = ?", arguments: [Self.text(state)])
    }

    /// The number of passages read so far.
    var count: Int { state.count }

    /// How many passages are committed at once, and so the most that a kill loses.
    private static let step = 5000

    /// Reads the passages that are not in the draft yet.
    /// - Parameter progress: called with the number of passages in the draft, after each commit.
    func read(_ corpus: PassageCorpus, _ progress: (Int) throws -> Void) throws {
        guard !state.isRead else { return }
        var passages: [Passage] = []
        var last = state.place
        func commit() throws {
            try Task.checkCancellation()
            try queue.write { database in
                for passage in passages { try IndexSchema.add(passage, in: database) }
                state.place = last
                state.count += passages.count
                state.quoted += passages.count { $0.isQuoted }
                try note(database)
            }
            passages.removeAll(keepingCapacity: true)
            try progress(state.count)
        }
        try corpus.forEach(behind: state.place) { passage, place in
            passages.append(passage)
            last = place
            if passages.count == Self.step { try commit() }
        }
        if !passages.isEmpty || state.count == 0 { try commit() }
        try queue.write { database in
            if let repeated = try IndexSchema.firstRepeated(in: database) {
                let (file, line) = try corpus.line(of: repeated.place)
                throw RetrievalError.repeatedID(file: file.path, line: line, id: repeated.id)
            }
            // A negative number of pages puts all lists on one level, so that they are merged into one.
            try database.execute(sql: "INSERT INTO words(words, rank) VALUES ('merge', -\(Self.pages))")
            state.isRead = true
            try note(database)
        }
    }

    /// How many pages of word lists are merged at once.
    private static let pages = 4000

    /// Merges the word lists into one, step by step.
    /// - Parameter progress: called with the number of pages merged so far.
    func merge(_ progress: (Int) -> Void) throws {
        var done = 0
        while true {
            try Task.checkCancellation()
            let isOver = try queue.write { database in
                let before = database.totalChangesCount
                try database.execute(sql: "INSERT INTO words(words, rank) VALUES ('merge', \(Self.pages))")
                // By SQLite's documentation, this shows that there is nothing left to do.
                return database.totalChangesCount - before < 2
            }
            if isOver { return }
            done += Self.pages
            progress(done)
        }
    }

    /// Moves the finished index to its place.
    /// - Returns: the number of passages.
    func finish(as index: URL) throws -> Int {
        let count = try queue.write { database in
            try database.execute(sql: "DELETE FROM source; DROP TABLE IF EXISTS draft")
            return try IndexSchema.finish(source: state.source, quoted: state.quoted, in: database)
        }
        // A single file, which can also be searched where nothing can be written.
        try queue.inDatabase { try $0.execute(sql: "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE") }
        try queue.close()
        let file = open(url.path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw Self.systemError() }
        defer { close(file) }
        guard fsync(file) == 0, rename(url.path, index.path) == 0 else { throw Self.systemError() }
        return count
    }

    /// Gives up the work, and removes the draft.
    func remove() {
        try? queue.close()
        Self.removeFiles(url)
    }

    private static func systemError() -> POSIXError { POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
}
