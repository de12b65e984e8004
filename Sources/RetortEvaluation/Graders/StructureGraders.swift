import RetortCore

/// Accepts the same JSON: objects in any order of members, numbers by value.
public struct StructureGrader: Grader {
    private let tolerance: Double

    /// - Parameter tolerance: the largest error of a number, as a fraction of the reference, or of 1 where that is
    ///   larger.
    public init(tolerance: Double) { self.tolerance = tolerance }

    /// Compares the answer with each reference; a text that is not JSON is taken as a JSON string.
    public func grade(_ answer: String?, for task: AgentTask) async -> Verdict {
        if let verdict = task.verdictWithout(answer) { return verdict }
        let given = JSONValue.read(answer ?? "")
        let isRight = task.answers.contains { given.equals(JSONValue.read($0), tolerance: tolerance) }
        return Verdict(isCorrect: isRight, reason: isRight ? "equal values" : "another value")
    }
}

/// Accepts the same rows of a table: each is a list of values, in any order unless that counts. A table of one column
/// may be a plain list, and a single value a plain value; rows that are objects are the lists of their values, by key.
public struct RowsGrader: Grader {
    private let isOrdered: Bool
    private let tolerance: Double?
    /// For numbers with a fraction.
    private static let usualTolerance = 1e-6

    /// - Parameters:
    ///   - isOrdered: whether the order of the rows counts; that of the columns always does.
    ///   - tolerance: the largest error of a number, as a fraction of the reference, or of 1 where that is larger; nil allows whole
    ///     numbers none and others 1e-6.
    public init(isOrdered: Bool, tolerance: Double?) {
        self.isOrdered = isOrdered
        self.tolerance = tolerance
    }

    /// Compares the answer's rows with those of each reference.
    public func grade(_ answer: String?, for task: AgentTask) async -> Verdict {
        // An empty table is an answer.
        guard let answer else { return Verdict(isCorrect: false, reason: "no answer") }
        guard !task.answers.isEmpty else { return Verdict(isCorrect: false, reason: "no reference answer") }
        let given = Self.rows(JSONValue.read(answer))
        for reference in task.answers where same(given, Self.rows(JSONValue.read(reference))) {
            return Verdict(isCorrect: true, reason: "the same rows")
        }
        return Verdict(isCorrect: false, reason: "other rows (\(given.count))")
    }

    static func rows(_ value: JSONValue) -> [[JSONValue]] {
        switch value {
        case .array(let rows): rows.map(row)
        case .null: []
        default: [row(value)]
        }
    }

    private static func row(_ value: JSONValue) -> [JSONValue] {
        switch value {
        case .array(let cells): cells
        case .object(let members) where members["$int"] == nil: members.sorted { $0.key < $1.key }.map(\.value)
        default: [value]
        }
    }

    private func same(_ a: [[JSONValue]], _ b: [[JSONValue]]) -> Bool {
        guard a.count == b.count else { return false }
        func equal(_ x: [JSONValue], _ y: [JSONValue]) -> Bool {
            x.count == y.count && zip(x, y).allSatisfy(same)
        }
        if isOrdered { return zip(a, b).allSatisfy(equal) }
        // Rows are sorted by what the tolerance cannot change; the rest are matched one by one.
        func key(_ row: [JSONValue]) -> String {
            row.map { $0.number.map { String(Int(($0).rounded(.down).clamped)) } ?? $0.jsonText }.joined(
                separator: "\u{1F}")
        }
        let (x, y) = (a.sorted { key($0) < key($1) }, b.sorted { key($0) < key($1) })
        if zip(x, y).allSatisfy(equal) { return true }
        guard a.count <= Self.mostMatched else { return false }
        var left = y
        for row in x {
            guard let place = left.firstIndex(where: { equal(row, $0) }) else { return false }
            left.remove(at: place)
        }
        return true
    }

    private func same(_ a: JSONValue, _ b: JSONValue) -> Bool {
        if tolerance == nil, case (.integer, .integer) = (a, b) { return a == b }
        return a.equals(b, tolerance: tolerance ?? Self.usualTolerance)
    }

    /// The most rows that are matched one by one, which takes quadratic time.
    private static let mostMatched = 2000
}

extension Double {
    fileprivate var clamped: Double { isFinite ? Swift.min(Swift.max(self, -9e15), 9e15) : 0 }
}

extension JSONValue {
    /// An answer's text as JSON; a text that is not JSON is taken as a string.
    package static func read(_ text: String) -> JSONValue { (try? ExactJSON.value(of: text)) ?? .string(text) }

    /// The value of a number; nil for anything else.
    fileprivate var number: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }

    /// Whether two values are the same; numbers are compared by value.
    package func equals(_ other: JSONValue, tolerance: Double) -> Bool {
        switch (self, other) {
        case (.array(let a), .array(let b)):
            return a.count == b.count && zip(a, b).allSatisfy { $0.equals($1, tolerance: tolerance) }
        case (.object(let a), .object(let b)):
            return a.count == b.count
                && a.allSatisfy { key, value in b[key].map { value.equals($0, tolerance: tolerance) } ?? false }
        default:
            if self == other { return true }
            guard let x = number, let y = other.number else { return false }
            // As doubles, large whole numbers that differ may be the same.
            if case (.integer, .integer) = (self, other), tolerance == 0 { return false }
            return x == y || abs(x - y) <= tolerance * Swift.max(abs(y), 1)
        }
    }
}
