import Foundation
import GRDB

/// Changes files of indices.
enum IndexFile {
    /// Makes a file one of the version 1, which knew nothing of quotation marks.
    static func makeOlder(_ file: URL) throws {
        try DatabaseQueue(path: file.path).write { database in
            try database.execute(
                sql: "DROP TABLE source; CREATE TABLE source (version INTEGER, hash TEXT, count INTEGER);")
            try database.execute(sql: "INSERT INTO source VALUES (1, 'sha256:old', 10)")
        }
    }
}
