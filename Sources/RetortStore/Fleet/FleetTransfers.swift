import Foundation
import RetortCore

/// Files that a worker lacks: the planner sends them through the database, and their SHA-256 identifies them.
extension FleetStore {
    /// The size of the pieces that a file is sent in, in bytes.
    private static let partSize = 1 << 20

    /// Requests a file, or requests it again after it could not be sent.
    public func want(_ digest: String, path: String, in run: String) async throws {
        _ = try await rows(
            """
            INSERT INTO retort.file AS f (run, digest, path) VALUES ($1, $2, $3)
            ON CONFLICT (run, digest) DO UPDATE SET failure = NULL WHERE f.failure IS NOT NULL
            """, [run, digest, path])
    }

    /// Up to 16 requested files that have not been sent yet.
    public func wanted(in run: String) async throws -> [(digest: String, path: String)] {
        try await rows(
            "SELECT digest, path FROM retort.file WHERE run = $1 AND NOT is_there AND failure IS NULL LIMIT 16", [run]
        ).map { ($0[0], $0[1]) }
    }

    /// Sends a file, one piece at a time.
    /// - Throws: `FleetError`, and what reading the file throws.
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

    /// Reports why a file cannot be sent.
    public func refuse(_ digest: String, because reason: String, in run: String) async throws {
        _ = try await rows("UPDATE retort.file SET failure = $3 WHERE run = $1 AND digest = $2", [run, digest, reason])
    }

    /// How much of a requested file has arrived.
    public enum Arrival: Sendable, Hashable {
        /// This many pieces have arrived.
        case underWay(Int)
        /// The whole file has arrived.
        case there
        /// The file cannot be sent, for this reason.
        case refused(String)
    }

    /// The state of a requested file; `refused` for one that was not requested.
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

    /// A piece of a file, from 0; nil after the last.
    /// - Throws: `FleetError.unreadable`.
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
