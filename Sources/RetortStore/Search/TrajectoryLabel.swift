import Foundation
import GRDB
import RetortCore

/// What a person who read a trajectory says about it.
public struct TrajectoryLabel: Codable, Sendable, Hashable {
    /// The label's word.
    public enum Kind: String, Codable, Sendable, CaseIterable {
        /// Worth learning from, whatever its grade says.
        case good
        /// Not to be learned from.
        case bad
        /// Worth learning from as it was corrected by hand.
        case mended
    }

    /// The person's judgement.
    public var kind: Kind
    /// Why; empty for no reason.
    public var note: String
    /// The corrected trajectory; nil for one that was not corrected.
    public var mended: Trajectory?

    /// - Parameter mended: the corrected trajectory; it makes the label `mended`.
    public init(_ kind: Kind, note: String = "", mended: Trajectory? = nil) {
        self.kind = mended == nil ? kind : .mended
        self.note = note
        self.mended = mended
    }
}

extension TrajectoryStore {
    /// Labels a trajectory by hand, in place of its previous label; nil removes the label.
    ///
    /// A label belongs to a trajectory's present content: one that is made again with other content has none.
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

    /// The SHA-256 of the valid labels of a set's trajectories; nil when there are none.
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
