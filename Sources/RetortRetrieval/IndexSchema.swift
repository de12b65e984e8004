import GRDB

/// The tables of a passage index, and the statements over them.
///
/// Passages are staged in the order of the corpus, then moved in the order of their ids: so a smaller rowid is a
/// smaller id, and ties are broken without looking ids up for each match.
enum IndexSchema {
    /// Changed whenever an older file would be searched wrongly.
    private static let version = 1
    private static let titleWeight = 4.0

    static func create(in database: Database) throws {
        try database.execute(
            sql: """
                CREATE TABLE source (version INTEGER, hash TEXT, count INTEGER);
                CREATE TABLE staged (id TEXT NOT NULL PRIMARY KEY, title TEXT, body TEXT) WITHOUT ROWID;
                CREATE TABLE passage (rowid INTEGER PRIMARY KEY, id TEXT NOT NULL, title TEXT, body TEXT);
                CREATE VIRTUAL TABLE words USING fts5(
                    title, body, content = 'passage', content_rowid = 'rowid',
                    tokenize = "unicode61 remove_diacritics 2");
                """)
    }

    /// Takes a passage.
    /// - Returns: whether it is new; of passages with one id the first stands.
    static func stage(_ passage: Passage, in database: Database) throws -> Bool {
        let statement = try database.cachedStatement(sql: "INSERT OR IGNORE INTO staged VALUES (?, ?, ?)")
        try statement.execute(arguments: [passage.id, passage.title, passage.text])
        return database.changesCount == 1
    }

    /// Indexes what was staged.
    /// - Returns: the number of passages.
    static func finish(source: String, in database: Database) throws -> Int {
        try database.execute(
            sql: """
                INSERT INTO passage (id, title, body) SELECT id, title, body FROM staged ORDER BY id;
                DROP TABLE staged;
                INSERT INTO words(words) VALUES ('rebuild');
                INSERT INTO words(words) VALUES ('optimize');
                """)
        let count = try Int.fetchOne(database, sql: "SELECT count(*) FROM passage") ?? 0
        try database.execute(sql: "INSERT INTO source VALUES (?, ?, ?)", arguments: [version, source, count])
        return count
    }

    /// The number of passages, of a complete index of this version.
    static func count(in database: Database) throws -> Int {
        guard
            let count = try Int.fetchOne(
                database, sql: "SELECT count FROM source WHERE version = ?", arguments: [version])
        else {
            throw DatabaseError(message: "it was built by another version")
        }
        return count
    }

    /// The hash of the corpus an index was built from, and the number of passages; nil for another version's.
    static func source(in database: Database) throws -> (hash: String, count: Int)? {
        try Row.fetchOne(database, sql: "SELECT hash, count FROM source WHERE version = ?", arguments: [version])
            .map { (hash: $0["hash"], count: $0["count"]) }
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

    /// Passages by their places from 1, with no score.
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
