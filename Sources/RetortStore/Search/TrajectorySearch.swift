import Foundation
import GRDB
import RetortCore

/// A trajectory in a list: what is known of it without reading it.
public struct TrajectoryListing: Sendable, Hashable, Identifiable {
    /// Its position in the order of saving.
    public let sequence: Int64
    /// The set that it belongs to.
    public let set: String
    /// The trajectory's id.
    public let id: String
    /// The task's id.
    public let task: String
    /// The beginning of the question.
    public let question: String
    /// The beginning of the answer; nil where there is none.
    public let answer: String?
    /// `answered`, `forced`, `gaveUp`, `failed` or `unfinished`.
    public let ending: String
    /// Whether it was graded as right; nil where it was not graded.
    public let isCorrect: Bool?
    /// The number of steps.
    public let steps: Int
    /// The number of tool calls.
    public let calls: Int
    /// The number of tokens read and written.
    public let tokens: Int
    /// The seconds that the run took.
    public let seconds: Double
    /// The label that a person gave it; nil for none.
    public let label: TrajectoryLabel.Kind?

    fileprivate static let columns = "f.*, t.question, t.answer, l.kind"
    fileprivate static let joins = """
        LEFT JOIN title t ON t.sequence = f.sequence
        LEFT JOIN label l ON l."set" = f."set" AND l.id = f.id AND l.content = f.content
        """
    fileprivate static let selection = "SELECT \(columns) FROM fact f \(joins)"

    fileprivate init(_ row: Row) {
        (sequence, set, id, task) = (row["sequence"], row["set"], row["id"], row["task"])
        (question, answer, ending) = (row["question"] ?? "", row["answer"], row["ending"])
        (steps, calls, tokens, seconds) = (row["steps"], row["calls"], row["tokens"], row["seconds"])
        isCorrect = row["correct"]
        label = (row["kind"] as String?).flatMap(TrajectoryLabel.Kind.init(rawValue:))
    }
}

/// The properties that distinguish a set's trajectories, with the number of each.
public struct TrajectoryFacets: Sendable, Hashable {
    /// The number of trajectories by outcome; one may count under several.
    public var outcomes: [TrajectoryQuery.Outcome: Int] = [:]
    /// The kinds of fault with the number of trajectories, the most frequent first; at most 200.
    public var faults: [(name: String, count: Int)] = []
    /// The tools called with the number of trajectories, the most frequent first; at most 200.
    public var tools: [(name: String, count: Int)] = []
    /// The number of trajectories by label.
    public var labels: [TrajectoryLabel.Kind: Int] = [:]
    /// The largest number of steps.
    public var longest = 0

    /// Whether all counts are the same.
    public static func == (left: Self, right: Self) -> Bool {
        left.outcomes == right.outcomes && left.labels == right.labels && left.longest == right.longest
            && left.faults.elementsEqual(right.faults, by: ==) && left.tools.elementsEqual(right.tools, by: ==)
    }

    /// Hashes a part that equal facets share.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(outcomes)
        hasher.combine(labels)
    }
}

/// Totals and means of a set's trajectories.
public struct TrajectorySetOutline: Sendable, Hashable {
    /// The set's name.
    public let set: String
    /// The number of trajectories.
    public let count: Int
    /// How many have a grade.
    public let graded: Int
    /// How many are graded as right.
    public let correct: Int
    /// How many broke, or did not end.
    public let failed: Int
    /// The number of different tasks.
    public let tasks: Int
    /// The mean number of steps.
    public let steps: Double
    /// The mean number of tool calls.
    public let calls: Double
    /// The mean number of tokens read and written.
    public let tokens: Double
    /// The mean time, in seconds.
    public let seconds: Double

    fileprivate init(_ row: Row) {
        (set, count, graded, correct) = (row["set"], row["n"], row["graded"], row["correct"])
        (failed, tasks) = (row["failed"], row["tasks"])
        (steps, calls, tokens, seconds) = (row["steps"], row["calls"], row["tokens"], row["seconds"])
    }
}

extension TrajectoryStore {
    /// Finds up to `limit` trajectories from a position in the order, and counts all; when words are searched, up to
    /// `TrajectoryQuery.mostCounted`.
    /// - Parameter offset: how many are skipped.
    /// - Throws: `StoreError`.
    public func find(
        _ query: TrajectoryQuery, offset: Int = 0, limit: Int = 50
    ) async throws -> (found: [TrajectoryListing], total: Int) {
        let (every, everyArguments) = query.condition(.whole)
        let (condition, arguments) = query.condition(.each)
        return try await using { database in
            try await database.read { database in
                let total = try Int.fetchOne(
                    database,
                    sql: "SELECT count(*) FROM (SELECT 1 FROM \(query.tables) WHERE \(every) LIMIT ?)",
                    arguments: everyArguments + [query.mostCounted ?? -1])
                let rows = try Row.fetchAll(
                    database,
                    sql: """
                        SELECT \(TrajectoryListing.columns) FROM \(query.tables) \(TrajectoryListing.joins)
                        WHERE \(condition) ORDER BY \(query.sorting) LIMIT ? OFFSET ?
                        """, arguments: arguments + [limit, offset])
                return (rows.map(TrajectoryListing.init), total ?? 0)
            }
        }
    }

    /// The properties that distinguish a set's trajectories.
    /// - Throws: `StoreError`.
    public func facets(of set: String) async throws -> TrajectoryFacets {
        try await using { database in
            try await database.read { database in
                var facets = TrajectoryFacets()
                let rows = try Row.fetchAll(
                    database,
                    sql: """
                        SELECT ending, correct, count(*) AS n, max(steps) AS steps FROM fact WHERE "set" = ?
                        GROUP BY ending, correct
                        """, arguments: [set])
                for row in rows {
                    let isCorrect: Bool? = row["correct"]
                    facets.longest = max(facets.longest, row["steps"])
                    for outcome in TrajectoryQuery.Outcome.allCases where outcome.holds(row["ending"], isCorrect) {
                        facets.outcomes[outcome, default: 0] += row["n"]
                    }
                }
                func marks(_ kind: String) throws -> [(name: String, count: Int)] {
                    try Row.fetchAll(
                        database,
                        sql: """
                            SELECT value, count(*) AS n FROM mark WHERE kind = ? AND "set" = ?
                            GROUP BY value ORDER BY n DESC, value LIMIT 200
                            """, arguments: [kind, set]
                    ).map { ($0["value"], $0["n"]) }
                }
                (facets.tools, facets.faults) = (try marks("tool"), try marks("fault"))
                let labels = try Row.fetchAll(
                    database,
                    sql: """
                        SELECT l.kind, count(*) AS n FROM label l
                        JOIN fact f ON f."set" = l."set" AND f.id = l.id AND f.content = l.content
                        WHERE l."set" = ? GROUP BY 1
                        """, arguments: [set])
                for row in labels {
                    guard let kind = TrajectoryLabel.Kind(rawValue: row["kind"]) else { continue }
                    facets.labels[kind] = row["n"]
                }
                return facets
            }
        }
    }

    /// The first trajectory of each task of a set, by task.
    /// - Throws: `StoreError`.
    public func firstOfEachTask(in set: String) async throws -> [String: TrajectoryListing] {
        try await using { database in
            try await database.read { database in
                let rows = try Row.fetchCursor(
                    database,
                    sql: """
                        \(TrajectoryListing.selection) WHERE f."set" = ? ORDER BY f.sequence
                        """, arguments: [set])
                var first: [String: TrajectoryListing] = [:]
                while let row = try rows.next() {
                    let listing = TrajectoryListing(row)
                    if first[listing.task] == nil { first[listing.task] = listing }
                }
                return first
            }
        }
    }

    /// The trajectories before and after one in its set, in the order of saving; nil at the ends.
    /// - Throws: `StoreError`.
    public func neighbours(
        of listing: TrajectoryListing
    ) async throws -> (before: TrajectoryListing?, after: TrajectoryListing?) {
        try await using { database in
            try await database.read { database in
                func one(_ condition: String) throws -> TrajectoryListing? {
                    try Row.fetchOne(
                        database,
                        sql: "\(TrajectoryListing.selection) WHERE f.\"set\" = ? AND f.sequence \(condition) LIMIT 1",
                        arguments: [listing.set, listing.sequence]
                    ).map(TrajectoryListing.init)
                }
                return (try one("< ? ORDER BY f.sequence DESC"), try one("> ? ORDER BY f.sequence"))
            }
        }
    }

    /// A trajectory as lists show it; nil where there is none.
    /// - Throws: `StoreError`.
    public func listing(id: String, in set: String) async throws -> TrajectoryListing? {
        try await using { database in
            try await database.read { database in
                try Row.fetchOne(
                    database, sql: "\(TrajectoryListing.selection) WHERE f.\"set\" = ? AND f.id = ?",
                    arguments: [set, id]
                ).map(TrajectoryListing.init)
            }
        }
    }

    /// Totals and means of all sets, sorted by name.
    /// - Throws: `StoreError`.
    public func outline() async throws -> [TrajectorySetOutline] {
        try await using { database in
            try await database.read { database in
                try Row.fetchAll(
                    database,
                    sql: """
                        SELECT "set", count(*) AS n, count(correct) AS graded, ifnull(sum(correct), 0) AS correct,
                            sum(ending IN ('failed', 'unfinished')) AS failed, avg(steps) AS steps, avg(calls) AS calls,
                            avg(tokens) AS tokens, avg(seconds) AS seconds, count(DISTINCT task) AS tasks
                        FROM fact GROUP BY 1 ORDER BY 1
                        """
                ).map(TrajectorySetOutline.init)
            }
        }
    }

    /// All trajectories of a task in any set, in the order of saving.
    /// - Throws: `StoreError`.
    public func sameTask(_ task: String, limit: Int = 64) async throws -> [TrajectoryListing] {
        try await find(TrajectoryQuery(task: task), limit: limit).found
    }
}
