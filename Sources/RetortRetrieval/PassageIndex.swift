import Foundation
import GRDB
import RetortCore

/// Full-text search over passages: SQLite's FTS5 with BM25 ranking; titles count more, diacritics and case are
/// ignored.
///
/// It is built from JSON Lines of `{"id", "contents"}` with the title on the first line of the contents (the format
/// of the corpora of Search-R1 and agent-distillation), optionally compressed by gzip. Any number of tasks may search
/// at once.
///
/// ```swift
/// try PassageIndex.buildIfNeeded(from: corpus, to: file)
/// let found = try await PassageIndex(file).search("capital of France", limit: 3)
/// ```
public struct PassageIndex: Sendable {
    private let database: any DatabaseReader
    /// For errors.
    private let path: String

    /// The number of passages.
    public let count: Int
    /// Whether all titles of the corpus are in quotation marks, as in Search-R1's.
    public let quotesTitles: Bool
    /// Identifies the corpus that the index was made of.
    let source: String

    /// Opens an index.
    /// - Throws: `RetrievalError` when there is no such file, or it is not an index.
    public init(_ file: URL) throws {
        try self.init(file) { try IndexSchema.source(in: $0, older: true) }
    }

    /// Opens the existing part of an index that is being built.
    init(draft: URL) throws {
        try self.init(draft) { database in
            let count = try Int.fetchOne(database, sql: "SELECT max(rowid) FROM passage") ?? 0
            return IndexSchema.Source(hash: "draft", count: count, isQuoted: false)
        }
    }

    private init(_ file: URL, _ read: (Database) throws -> IndexSchema.Source) throws {
        guard FileManager.default.fileExists(atPath: file.path) else { throw RetrievalError.missing(file: file.path) }
        path = file.path
        var configuration = Configuration()
        configuration.readonly = true
        do {
            let pool = try DatabasePool(path: file.path, configuration: configuration)
            let found = try pool.read(read)
            (count, source, quotesTitles) = (found.count, found.hash, found.isQuoted)
            database = pool
        } catch let error as DatabaseError {
            throw RetrievalError.notAnIndex(file: file.path, reason: error.message ?? "\(error.resultCode)")
        }
    }

    /// An index in memory, for small collections and tests. Of passages with the same id, the first is kept.
    /// - Parameter passages: ids, and contents with the title on the first line.
    public init(passages: some Sequence<(id: String, contents: String)>) throws {
        let queue = try DatabaseQueue()
        var seen: Set<String> = []
        count = try queue.write { database in
            try IndexSchema.create(in: database)
            for passage in passages where seen.insert(passage.id).inserted {
                try IndexSchema.add(Passage(id: passage.id, contents: passage.contents), in: database)
            }
            return try IndexSchema.finish(source: "", quoted: 0, in: database)
        }
        database = queue
        (source, quotesTitles, path) = ("", false, ":memory:")
    }

    /// The best passages for a query in plain words, best first; equal scores are in the order of the corpus.
    ///
    /// Any text is a valid query: each word is looked up, and quotation marks and operators have no meaning. A text
    /// without words finds nothing.
    /// - Throws: `RetrievalError.notAnIndex` for a file that was damaged or replaced since it was opened.
    public func search(_ query: String, limit: Int = 3) async throws -> [RetrievedPassage] {
        guard limit > 0, let expression = SearchQuery.expression(for: query) else { return [] }
        return try await reading { try IndexSchema.search(expression, limit: limit, in: $0) }
    }

    /// Passages by their places in the index, counted from 1.
    func passages(at rows: [Int]) async throws -> [RetrievedPassage] {
        try await reading { try IndexSchema.passages(at: rows, in: $0) }
    }

    /// Any text is a valid query, so an error of SQLite's is the file's, unless others hold it or the task is cancelled.
    private func reading<Value: Sendable>(_ read: @escaping @Sendable (Database) throws -> Value) async throws -> Value
    {
        do {
            return try await database.read(read)
        } catch let error as DatabaseError {
            let passing: [ResultCode] = [.SQLITE_BUSY, .SQLITE_LOCKED, .SQLITE_INTERRUPT, .SQLITE_ABORT]
            guard !passing.contains(error.resultCode) else { throw error }
            throw RetrievalError.notAnIndex(file: path, reason: error.message ?? "\(error.resultCode)")
        }
    }
}
