import Foundation
import GRDB
import RetortCore

/// Which trajectories of a store to find; a criterion that is nil or empty accepts all.
public struct TrajectoryQuery: Sendable, Hashable {
    /// How a run ended, with its grade. A run may have several outcomes.
    public enum Outcome: String, Sendable, CaseIterable {
        /// Graded as right; graded as wrong without a failure; answered when asked at the step limit; given up; broken
        /// or not ended; without a grade.
        case solved, wrong, forced, gaveUp = "gave-up", failed, ungraded

        /// Whether a run with this ending and grade has this outcome.
        func holds(_ ending: String, _ isCorrect: Bool?) -> Bool {
            switch self {
            case .solved: isCorrect == true
            case .wrong: isCorrect == false && !["failed", "unfinished"].contains(ending)
            case .forced: ending == "forced"
            case .gaveUp: ending == "gaveUp"
            case .failed: ["failed", "unfinished"].contains(ending)
            case .ungraded: isCorrect == nil
            }
        }

        var condition: String {
            switch self {
            case .solved: "f.correct = 1"
            case .wrong: "f.correct = 0 AND f.ending NOT IN ('failed', 'unfinished')"
            case .forced: "f.ending = 'forced'"
            case .gaveUp: "f.ending = 'gaveUp'"
            case .failed: "f.ending IN ('failed', 'unfinished')"
            case .ungraded: "f.correct IS NULL"
            }
        }
    }

    /// The order in which trajectories are listed.
    public enum Order: String, Sendable, CaseIterable {
        /// In the order of saving; by steps, most or fewest first; or by tokens, most first.
        case saved, longest, shortest, costliest

        var clause: String {
            switch self {
            case .saved: "f.sequence"
            case .longest: "f.steps DESC, f.sequence"
            case .shortest: "f.steps, f.sequence"
            case .costliest: "f.tokens DESC, f.sequence"
            }
        }
    }

    /// Which label a trajectory has; `none` is for those without one.
    public enum Labelled: Sendable, Hashable {
        /// This label.
        case with(TrajectoryLabel.Kind)
        /// No label.
        case none
    }

    /// Of this set.
    public var set: String?
    /// Of the task with this id.
    public var task: String?
    /// With this outcome.
    public var outcome: Outcome?
    /// With this kind of fault, as in `TrajectoryFacets.faults`.
    public var fault: String?
    /// With a call of this tool.
    public var tool: String?
    /// With a number of steps in this range.
    public var steps: ClosedRange<Int>?
    /// With this label.
    public var label: Labelled?
    /// All of these words must occur in it, the last one as the beginning of a word.
    public var words = ""
    /// The order of the list; that of saving by default.
    public var order = Order.saved

    /// A query for everything in the set, and of the task, where they are given.
    public init(set: String? = nil, task: String? = nil) {
        self.set = set
        self.task = task
    }

    /// How faults and tools are looked up.
    enum Lookup {
        /// All at once, for counting.
        case whole
        /// One by one, for the first few in an order.
        case each
    }

    /// Where trajectories are searched: words come in the order of saving, so the first few are found at once.
    var tables: String { match == nil ? "fact f" : "words CROSS JOIN fact f ON f.sequence = words.rowid" }

    /// The sort order; that of the words is the order of saving.
    var sorting: String { match != nil && order == .saved ? "words.rowid" : order.clause }

    /// The limit of a count when words are searched, because a common word is in every trajectory; nil counts all.
    var mostCounted: Int? { match == nil ? nil : Self.mostCounted }

    /// The most trajectories that are counted when words are searched.
    public static let mostCounted = 20_000

    /// The condition on `tables`, with its arguments.
    func condition(_ lookup: Lookup) -> (sql: String, arguments: StatementArguments) {
        var (parts, values): ([String], [(any DatabaseValueConvertible)?]) = ([], [])
        func add(_ part: String, _ value: (any DatabaseValueConvertible)?...) {
            parts.append(part)
            values += value
        }
        if let match { add("words MATCH ?", match) }
        if let set { add("f.\"set\" = ?", set) }
        if let task { add("f.task = ?", task) }
        if let outcome { add(outcome.condition) }
        if let steps { add("f.steps BETWEEN ? AND ?", steps.lowerBound, steps.upperBound) }
        for (kind, value) in [("fault", fault), ("tool", tool)] {
            guard let value else { continue }
            switch (lookup, set) {
            case (.whole, let set?):
                add(
                    "f.sequence IN (SELECT sequence FROM mark WHERE kind = ? AND \"set\" = ? AND value = ?)", kind, set,
                    value)
            case (.whole, nil):
                add("f.sequence IN (SELECT sequence FROM mark WHERE kind = ? AND value = ?)", kind, value)
            case (.each, _):
                add(
                    "EXISTS (SELECT 1 FROM mark m WHERE m.kind = ? AND m.\"set\" = f.\"set\" AND m.value = ? "
                        + "AND m.sequence = f.sequence)", kind, value)
            }
        }
        let labels = "SELECT 1 FROM label l WHERE l.\"set\" = f.\"set\" AND l.id = f.id AND l.content = f.content"
        switch label {
        case .with(let kind): add("EXISTS (\(labels) AND l.kind = ?)", kind.rawValue)
        case TrajectoryQuery.Labelled.none?: add("NOT EXISTS (\(labels))")
        case nil: break
        }
        return (parts.isEmpty ? "1" : parts.joined(separator: " AND "), StatementArguments(values))
    }

    /// The words in FTS5's language (sqlite.org/fts5.html, section 3): each quoted, the last one a prefix. Nil for
    /// none.
    private var match: String? {
        let found = words.split { !$0.isLetter && !$0.isNumber }.prefix(16)
        guard !found.isEmpty else { return nil }
        return found.map { "\"\($0)\"" }.joined(separator: " ") + "*"
    }
}
