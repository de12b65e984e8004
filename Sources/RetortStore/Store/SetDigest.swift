import Crypto
import Foundation
import GRDB
import RetortCore

extension TrajectoryStore {
    /// Which part of a set's entries a digest covers.
    public enum Part: String, Sendable {
        /// The trajectories alone.
        case trajectories = "trajectory"
        /// With their grades.
        case graded = "trajectory || ifnull(verdict, '')"
        /// The verdicts of a model that judges.
        case judged = "ifnull(judge, '')"
        /// The verdicts of other graders.
        case others = "ifnull(also, '')"
    }

    /// The SHA-256 of a set's content, in hexadecimal digits, independent of the order of saving; nil when there is no
    /// such set. One trajectory is read at a time.
    /// - Throws: `StoreError`.
    public func digest(of set: String, _ part: Part) async throws -> String? {
        try await using { database in
            try await database.read { database in
                let rows = try Row.fetchCursor(
                    database,
                    sql: "SELECT id, \(part.rawValue) AS content FROM trajectory WHERE \"set\" = ? ORDER BY id",
                    arguments: [set])
                var hash = SHA256()
                var isEmpty = true
                while let row = try rows.next() {
                    isEmpty = false
                    let (id, content): (String, String) = (row["id"], row["content"])
                    hash.update(data: Data("\(id.utf8.count) \(content.utf8.count) \(id)\(content)".utf8))
                }
                guard !isEmpty else { return nil }
                return ContentHash.text(hash.finalize())
            }
        }
    }

    /// Why trajectories of a set ended because the model or the environment broke, one reason for each.
    /// - Throws: `StoreError`.
    public func failureReasons(in set: String) async throws -> [String] {
        var reasons: [String] = []
        for id in try await failedIDs(in: set).sorted() {
            guard case .failed(let reason)? = try await entry(id: id, in: set)?.trajectory.ending else { continue }
            reasons.append(reason)
        }
        return reasons
    }

    /// Removes the judge's verdicts from all trajectories of a set.
    public func removeJudgements(in set: String) async throws { try await clear("judge", in: set) }

    /// Removes the other graders' verdicts from all trajectories of a set.
    public func removeOtherVerdicts(in set: String) async throws { try await clear("also", in: set) }

    private func clear(_ column: String, in set: String) async throws {
        try await using { database in
            try await database.write { database in
                try database.execute(
                    sql: "UPDATE trajectory SET \(column) = NULL WHERE \"set\" = ?", arguments: [set])
            }
        }
    }
}
