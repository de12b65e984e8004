import Foundation
import GRDB
import RetortCore

/// What somebody who read a trajectory says of it.
public struct TrajectoryLabel: Codable, Sendable, Hashable {
    /// The label's word.
    public enum Kind: String, Codable, Sendable, CaseIterable {
        /// Worth learning from, whatever its grade says.
        case good
        /// Not to be learned from.
        case bad
        /// Worth learning from as it was put right by hand.
        case mended
    }

    public var kind: Kind
    /// Why; empty for no reason.
    public var note: String
    /// The trajectory as it was put right; nil for one that was not.
    public var mended: Trajectory?

    /// - Parameter mended: the trajectory as it was put right; it makes the label `mended`.
    public init(_ kind: Kind, note: String = "", mended: Trajectory? = nil) {
        self.kind = mended == nil ? kind : .mended
        self.note = note
        self.mended = mended
    }
}

extension TrajectoryStore {
    /// Says something of a trajectory by hand, in place of what was said of it before; nil takes it back.
    ///
    /// A label is of a trajectory as it is: one that is made anew otherwise has none.
    /// - Returns: whether there is such a trajectory.
    /// - Throws: `StoreError`.
    @discardableResult
    public func label(_ label: TrajectoryLabel?, id: String, in set: String) async throws -> Bool {
        let text = try label.map { String(decoding: try JSONCoding.encoder.encode($0), as: UTF8.self) }
        return try await using { database in
            try await database.write { database in
                let content = try String.fetchOne(
                    database, sql: "SELECT content FROM fact WHERE \"set\" = ? AND id = ?", arguments: [set, id])
                guard let content else { return false }
                try database.execute(sql: "DELETE FROM label WHERE \"set\" = ? AND id = ?", arguments: [set, id])
                guard let text, let label else { return true }
                try database.execute(
                    sql: "INSERT INTO label (\"set\", id, content, label, kind) VALUES (?, ?, ?, ?, ?)",
                    arguments: [set, id, content, text, label.kind.rawValue])
                return true
            }
        }
    }

    /// The SHA-256 of what was said by hand of a set's trajectories as they are; nil when nothing was.
    /// - Throws: `StoreError`.
    public func digestOfLabels(in set: String) async throws -> String? {
        let labels = try await using { database in
            try await database.read { database in
                try Row.fetchAll(
                    database,
                    sql: """
                        SELECT l.id, l.content, l.label FROM label l
                        JOIN fact f ON f."set" = l."set" AND f.id = l.id AND f.content = l.content
                        WHERE l."set" = ? ORDER BY l.id
                        """, arguments: [set]
                ).map { row -> String in
                    let (id, content, label): (String, String, String) = (row["id"], row["content"], row["label"])
                    return "\(id.utf8.count) \(id) \(content) \(label.utf8.count) \(label)"
                }
            }
        }
        return labels.isEmpty ? nil : FactTables.digest(labels.joined(separator: "\n"))
    }
}
