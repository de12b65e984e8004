import Foundation
import GRDB
import RetortCore

/// A passage that a search found.
public struct RetrievedPassage: Sendable, Hashable {
    public let id: String
    /// The first line of its contents.
    public let title: String
    /// The rest.
    public let text: String
    /// BM25; larger is better.
    public let score: Double
}

/// Full-text search over passages: SQLite's FTS5 with BM25 ranking, titles weighted.
///
/// Built from JSON Lines of `{"id","contents"}`, the title on the contents' first line (the format of Search-R1's and
/// agent-distillation's corpora). Searches may run at once from any number of tasks.
public struct PassageIndex: Sendable {
    private let database: any DatabaseReader
    private static let titleWeight = 4.0

    /// Opens an index.
    public init(_ file: URL) throws {
        guard FileManager.default.fileExists(atPath: file.path) else { throw RetrievalError.missing(file: file.path) }
        var configuration = Configuration()
        configuration.readonly = true
        do {
            database = try DatabasePool(path: file.path, configuration: configuration)
            _ = try database.read { try Int.fetchOne($0, sql: "SELECT count FROM source") }
        } catch {
            throw RetrievalError.notAnIndex(file: file.path, "\(error)")
        }
    }

    /// An index in memory, for small collections and tests.
    public init(_ passages: some Sequence<(id: String, contents: String)>) throws {
        let queue = try DatabaseQueue()
        try queue.write { database in
            try Self.createTables(database)
            for passage in passages { try Self.insert(passage.id, passage.contents, database) }
        }
        database = queue
    }

    /// Builds the index of a passages file, unless it stands already and the file has not changed.
    /// - Returns: the number of passages.
    @discardableResult
    public static func buildIfNeeded(from source: URL, to file: URL) throws -> Int {
        let attributes = try? FileManager.default.attributesOfItem(atPath: source.path)
        guard let size = attributes?[.size] as? Int, let changed = attributes?[.modificationDate] as? Date else {
            throw RetrievalError.missing(file: source.path)
        }
        let stamp = "\(size) \(changed.timeIntervalSince1970)"
        if let known = try? DatabaseQueue(path: file.path).read({ database in
            try Row.fetchOne(database, sql: "SELECT stamp, count FROM source")
        }), known["stamp"] == stamp {
            return known["count"]
        }
        let temporary = file.appendingPathExtension("part")
        try? FileManager.default.removeItem(at: temporary)
        let count = try build(from: source, to: temporary, stamp: stamp)
        try? FileManager.default.removeItem(at: file)
        try FileManager.default.moveItem(at: temporary, to: file)
        return count
    }

    private static func build(from source: URL, to file: URL, stamp: String) throws -> Int {
        let queue = try DatabaseQueue(path: file.path)
        defer { try? queue.close() }
        var count = 0
        try queue.write { database in
            try createTables(database)
            try JSONLines.forEach(PassageRecord.self, in: source) { record, _ in
                try insert(record.id, record.contents, database)
                count += 1
            }
            try database.execute(sql: "INSERT INTO source VALUES (?, ?)", arguments: [stamp, count])
            try database.execute(sql: "INSERT INTO passages(passages) VALUES ('optimize')")
        }
        return count
    }

    private struct PassageRecord: Decodable {
        let id: String
        let contents: String
    }

    private static func createTables(_ database: Database) throws {
        try database.execute(
            sql: """
                CREATE TABLE source (stamp TEXT, count INTEGER);
                CREATE VIRTUAL TABLE passages USING fts5(
                    id UNINDEXED, title, body, tokenize = "unicode61 remove_diacritics 2");
                """)
    }

    private static func insert(_ id: String, _ contents: String, _ database: Database) throws {
        let parts = contents.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
        // Search-R1's corpus puts titles in quotation marks.
        let title = parts[0].trimmingCharacters(in: CharacterSet(charactersIn: "\" "))
        try database.execute(
            sql: "INSERT INTO passages VALUES (?, ?, ?)",
            arguments: [id, title, parts.count > 1 ? String(parts[1]) : ""])
    }

    /// The best passages for a query in plain words; any text is a valid query.
    public func search(_ query: String, limit: Int = 3) throws -> [RetrievedPassage] {
        let words = Self.words(of: query)
        guard !words.isEmpty, limit > 0 else { return [] }
        // Each word quoted, so that nothing in it is taken for an operator.
        let expression = words.map { "\"\($0)\"" }.joined(separator: " OR ")
        return try database.read { database in
            try Row.fetchAll(
                database,
                sql: """
                    SELECT id, title, body, bm25(passages, 0, ?, 1) AS rank FROM passages
                    WHERE passages MATCH ? ORDER BY rank, id LIMIT ?
                    """, arguments: [Self.titleWeight, expression, limit]
            ).map { row in
                let rank: Double = row["rank"]
                return RetrievedPassage(id: row["id"], title: row["title"], text: row["body"], score: -rank)
            }
        }
    }

    private static func words(of query: String) -> [String] {
        let words = query.lowercased().unicodeScalars.split {
            !$0.properties.isAlphabetic && $0.properties.numericType == nil
        }
        .map(String.init)
        let telling = words.filter { !stopWords.contains($0) }
        return Array((telling.isEmpty ? words : telling).prefix(64))
    }

    private static let stopWords: Set<String> = [
        "a", "an", "and", "are", "at", "by", "did", "do", "does", "for", "from", "how", "in", "is", "it", "of", "on",
        "or", "that", "the", "to", "was", "were", "what", "when", "where", "which", "who", "whom", "with",
    ]
}

/// An index or corpus that cannot be used.
public enum RetrievalError: Error, CustomStringConvertible {
    case missing(file: String)
    case notAnIndex(file: String, String)

    public var description: String {
        switch self {
        case .missing(let file): "\(file) cannot be read; check the path, or build the index first"
        case .notAnIndex(let file, let reason): "\(file) is not a passage index: \(reason); remove it and build it anew"
        }
    }
}
