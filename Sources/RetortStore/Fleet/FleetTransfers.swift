import Foundation
import RetortCore

/// Files that a worker lacks, on their way from the planner through the database, known by their SHA-256.
extension FleetStore {
    /// The size of the pieces in which a file is sent, in bytes.
    private static let partSize = 1 << 20

    /// Asks for a file, or asks again for one that could not be sent.
    public func want(_ digest: String, path: String, in run: String) async throws {
        _ = try await rows(
            """
            INSERT INTO retort.file AS f (run, digest, path) VALUES ($1, $2, $3)
            ON CONFLICT (run, digest) DO UPDATE SET failure = NULL WHERE f.failure IS NOT NULL
            """, [run, digest, path])
    }

    /// Files that were asked for and are not there yet.
    public func wanted(in run: String) async throws -> [(digest: String, path: String)] {
        try await rows(
            "SELECT digest, path FROM retort.file WHERE run = $1 AND NOT is_there AND failure IS NULL LIMIT 16", [run]
        ).map { ($0[0], $0[1]) }
    }

    /// Sends a file, a piece at a time.
    /// - Throws: `FleetError`, what reading throws.
    public func send(_ file: URL, as digest: String, in run: String) async throws {
        let handle = try FileHandle(forReadingFrom: file)
        defer { try? handle.close() }
        var part = 0
        while let piece = try handle.read(upToCount: Self.partSize), !piece.isEmpty {
            _ = try await rows(
                """
                INSERT INTO retort.file_part (run, digest, part, content) VALUES ($1, $2, $3::int, decode($4, 'base64'))
                ON CONFLICT DO NOTHING
                """, [run, digest, "\(part)", piece.base64EncodedString()])
            part += 1
        }
        _ = try await rows("UPDATE retort.file SET is_there = true WHERE run = $1 AND digest = $2", [run, digest])
    }

    /// Says why a file cannot be sent.
    public func refuse(_ digest: String, because reason: String, in run: String) async throws {
        _ = try await rows("UPDATE retort.file SET failure = $3 WHERE run = $1 AND digest = $2", [run, digest, reason])
    }

    /// How far a file is that was asked for.
    public enum Arrival: Sendable, Hashable {
        /// So many pieces are there.
        case underWay(Int)
        case there
        case refused(String)
    }

    public func arrival(of digest: String, in run: String) async throws -> Arrival {
        let row = try await rows(
            """
            SELECT is_there, failure, (SELECT count(*) FROM retort.file_part p WHERE p.run = $1 AND p.digest = $2)
            FROM retort.file WHERE run = $1 AND digest = $2
            """, [run, digest]
        ).first
        guard let row else { return .refused("it is no longer asked for") }
        if row.flag(0) { return .there }
        return row.values[1].map(Arrival.refused) ?? .underWay(row.integer(2))
    }

    /// A piece of a file; nil behind the last.
    public func piece(_ part: Int, of digest: String, in run: String) async throws -> Data? {
        let row = try await rows(
            "SELECT encode(content, 'base64') FROM retort.file_part WHERE run = $1 AND digest = $2 AND part = $3::int",
            [run, digest, "\(part)"]
        ).first
        return try row.map { row in
            guard let data = Data(base64Encoded: row[0], options: .ignoreUnknownCharacters) else {
                throw FleetError.unreadable(store: name, what: "a piece of a file", reason: "it is not base64")
            }
            return data
        }
    }
}
