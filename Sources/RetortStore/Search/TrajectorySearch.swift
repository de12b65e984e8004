import Foundation
import GRDB
import RetortCore

/// A trajectory in a list: what is known of it without reading it.
public struct TrajectoryListing: Sendable, Hashable, Identifiable {
    /// The place in the order of saving.
    public let sequence: Int64
    public let set: String
    public let id: String
    public let task: String
    /// Its beginning.
    public let question: String
    /// Its beginning; nil where there is none.
    public let answer: String?
    /// `answered`, `forced`, `gaveUp`, `failed` or `unfinished`.
    public let ending: String
    /// The grade; nil where there is none.
    public let isCorrect: Bool?
    public let steps: Int
    public let calls: Int
    /// Read and written.
    public let tokens: Int
    public let seconds: Double
    /// What was said of it by hand.
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

/// What the trajectories of a set can be told apart by, with how many there are of each.
public struct TrajectoryFacets: Sendable, Hashable {
    public var outcomes: [TrajectoryQuery.Outcome: Int] = [:]
    public var faults: [(name: String, count: Int)] = []
    public var tools: [(name: String, count: Int)] = []
    public var labels: [TrajectoryLabel.Kind: Int] = [:]
    public var longest = 0

    public static func == (left: Self, right: Self) -> Bool {
        left.outcomes == right.outcomes && left.labels == right.labels && left.longest == right.longest
            && left.faults.elementsEqual(right.faults, by: ==) && left.tools.elementsEqual(right.tools, by: ==)
    }

    /// As equality has it.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(outcomes)
        hasher.combine(labels)
    }
}

/// A set by what its trajectories have in sum.
public struct TrajectorySetOutline: Sendable, Hashable {
    public let set: String
    public let count: Int
    /// How many have a grade, and how many of these are right.
    public let graded: Int
    public let correct: Int
    /// How many broke, or did not end.
    public let failed: Int
    /// Different tasks.
    public let tasks: Int
    /// Means.
    public let steps: Double
    public let calls: Double
    public let tokens: Double
    public let seconds: Double

    fileprivate init(_ row: Row) {
        (set, count, graded, correct) = (row["set"], row["n"], row["graded"], row["correct"])
        (failed, tasks) = (row["failed"], row["tasks"])
        (steps, calls, tokens, seconds) = (row["steps"], row["calls"], row["tokens"], row["seconds"])
    }
}

extension TrajectoryStore {
    /// Finds trajectories, so many from a place in the order, and counts all; where words are looked for, up to
    /// `TrajectoryQuery.mostCounted`.
    /// - Parameter offset: how many are passed over.
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

    /// What the trajectories of a set can be told apart by.
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

    /// What stands before and after a trajectory in its set, as saved.
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

    /// All sets by what their trajectories have in sum.
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

    /// All trajectories of a task, whatever their sets, in the order of saving.
    /// - Throws: `StoreError`.
    public func sameTask(_ task: String, limit: Int = 64) async throws -> [TrajectoryListing] {
        try await find(TrajectoryQuery(task: task), limit: limit).found
    }
}
