import GRDB

/// The tables of a passage index, and the statements over them.
///
/// Passages are stored in the order of the corpus, numbered from 1. Ties are therefore broken by that order, and
/// vectors that other programs made of the same corpus fit.
enum IndexSchema {
    /// Must be increased whenever an older file would be searched wrongly. In version 1, passages are in the order of
    /// their ids.
    private static let version = 2
    private static let titleWeight = 4.0

    static func create(in database: Database) throws {
        try database.execute(
            sql: """
                CREATE TABLE source (version INTEGER, hash TEXT, count INTEGER, quoted INTEGER);
                CREATE TABLE passage (rowid INTEGER PRIMARY KEY, id TEXT NOT NULL, title TEXT, body TEXT);
                CREATE VIRTUAL TABLE words USING fts5(
                    title, body, content = 'passage', content_rowid = 'rowid',
                    tokenize = "unicode61 remove_diacritics 2");
                """)
    }

    /// Adds the next passage.
    static func add(_ passage: Passage, in database: Database) throws {
        try database.cachedStatement(sql: "INSERT INTO passage (id, title, body) VALUES (?, ?, ?)")
            .execute(arguments: [passage.id, passage.title, passage.text])
        let row = database.lastInsertedRowID
        try database.cachedStatement(sql: "INSERT INTO words (rowid, title, body) VALUES (?, ?, ?)")
            .execute(arguments: [row, passage.title, passage.text])
    }

    /// The place of the first passage whose id has occurred before.
    static func firstRepeated(in database: Database) throws -> (place: Int, id: String)? {
        try Row.fetchOne(
            database,
            sql: """
                SELECT number, id FROM (
                    SELECT rowid AS number, id, row_number() OVER (PARTITION BY id ORDER BY rowid) AS n FROM passage
                ) WHERE n = 2 ORDER BY number LIMIT 1
                """
        ).map { (place: $0["number"], id: $0["id"]) }
    }

    /// Marks the index as complete.
    /// - Returns: the number of passages.
    static func finish(source: String, quoted: Int, in database: Database) throws -> Int {
        let count = try Int.fetchOne(database, sql: "SELECT count(*) FROM passage") ?? 0
        try database.execute(
            sql: "INSERT INTO source VALUES (?, ?, ?, ?)",
            arguments: [version, source, count, count > 0 && quoted == count])
        return count
    }

    /// The corpus that a complete index was made of.
    struct Source {
        let hash: String
        let count: Int
        /// Whether all titles are in quotation marks.
        let isQuoted: Bool
    }

    /// - Parameter older: whether to accept a searchable file of an older version.
    /// - Throws: `DatabaseError` for other versions.
    static func source(in database: Database, older: Bool) throws -> Source {
        guard let row = try Row.fetchOne(database, sql: "SELECT * FROM source"), let found: Int = row["version"],
            found == version || (older && found == 1)
        else { throw DatabaseError(message: "it was built by another version") }
        let quoted: Bool? = row["quoted"]
        return Source(hash: row["hash"], count: row["count"], isQuoted: quoted ?? false)
    }

    static func search(_ expression: String, limit: Int, in database: Database) throws -> [RetrievedPassage] {
        let statement = try database.cachedStatement(
            sql: """
                SELECT passage.id, passage.title, passage.body, best.score FROM (
                    SELECT rowid, bm25(words, ?, 1) AS score FROM words
                    WHERE words MATCH ? ORDER BY score, rowid LIMIT ?
                ) AS best JOIN passage ON passage.rowid = best.rowid ORDER BY best.score, best.rowid
                """)
        return try Row.fetchAll(statement, arguments: [titleWeight, expression, limit]).map { row in
            let score: Double = row["score"]
            return RetrievedPassage(id: row["id"], title: row["title"], text: row["body"], score: -score)
        }
    }

    /// Passages by their places, counted from 1; their score is 0.
    static func passages(at rows: [Int], in database: Database) throws -> [RetrievedPassage] {
        let statement = try database.cachedStatement(sql: "SELECT id, title, body FROM passage WHERE rowid = ?")
        return try rows.map { place in
            guard let row = try Row.fetchOne(statement, arguments: [place]) else {
                throw DatabaseError(message: "it has no passage \(place)")
            }
            return RetrievedPassage(id: row["id"], title: row["title"], text: row["body"], score: 0)
        }
    }
}
