import Foundation
import GRDB
import RetortCore

/// Full-text search over passages: SQLite's FTS5 with BM25 ranking, titles weighted, diacritics and case folded.
///
/// Built from JSON Lines of `{"id", "contents"}`, the title on the contents' first line (the format of Search-R1's and
/// agent-distillation's corpora), compressed by gzip or not. Searches may run at once from any number of tasks.
///
/// ```swift
/// try PassageIndex.buildIfNeeded(from: corpus, to: file)
/// let found = try await PassageIndex(file).search("capital of France", limit: 3)
/// ```
public struct PassageIndex: Sendable {
    private let database: any DatabaseReader

    /// The number of passages.
    public let count: Int
    /// Whether all titles of the corpus stand in quotation marks, as in Search-R1's.
    public let quotesTitles: Bool
    /// What tells it from the index of another corpus.
    let source: String

    /// Opens an index.
    /// - Throws: `RetrievalError` when there is none, or the file is something else.
    public init(_ file: URL) throws {
        try self.init(file) { try IndexSchema.source(in: $0, older: true) }
    }

    /// Opens what there is of an index that is being built.
    init(draft: URL) throws {
        try self.init(draft) { database in
            let count = try Int.fetchOne(database, sql: "SELECT max(rowid) FROM passage") ?? 0
            return IndexSchema.Source(hash: "draft", count: count, isQuoted: false)
        }
    }

    private init(_ file: URL, _ read: (Database) throws -> IndexSchema.Source) throws {
        guard FileManager.default.fileExists(atPath: file.path) else { throw RetrievalError.missing(file: file.path) }
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

    /// An index in memory, for small collections and tests. Of passages with one id, the first stands.
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
        (source, quotesTitles) = ("", false)
    }

    /// The best passages for a query in plain words, best first; equal scores in the order of the corpus.
    ///
    /// Any text is a valid query: words are looked for one by one, and quotation marks or operators mean nothing. A
    /// text without words finds nothing.
    public func search(_ query: String, limit: Int = 3) async throws -> [RetrievedPassage] {
        guard limit > 0, let expression = SearchQuery.expression(for: query) else { return [] }
        return try await database.read { database in
            try IndexSchema.search(expression, limit: limit, in: database)
        }
    }

    /// Passages by their places from 1, which are in the order of their ids.
    func passages(at rows: [Int]) async throws -> [RetrievedPassage] {
        try await database.read { database in try IndexSchema.passages(at: rows, in: database) }
    }
}
