import RetortCore

/// A system's mean accuracy over the kinds of task it was measured on. Each kind has the same weight, however many
/// tasks it has: the *Avg.* of agent distillation's main table (arXiv 2505.17612, table 2).
public struct SystemAverage: Codable, Sendable, Hashable {
    /// The student's name; nil in summaries without names.
    public let student: String?
    /// The number of the student's weights.
    public let parameters: Int
    /// The system's name.
    public let system: String
    /// In percent.
    public let mean: Double
    /// Half the width of its 95 % interval, in percentage points: the kinds are independent samples, and each share is
    /// smoothed by two solved and two unsolved tasks (Agresti and Coull 1998).
    public let margin: Double
    /// The number of kinds of task.
    public let kinds: Int

    /// - Parameter cells: of one student and system; at least one.
    init?(_ cells: [EvaluationSummary.Cell]) {
        guard let first = cells.first else { return nil }
        (student, parameters, system, kinds) = (first.student, first.parameters, first.system, cells.count)
        let count = Double(cells.count)
        mean = Self.rounded(cells.reduce(0) { $0 + $1.accuracy } / count)
        let variance = cells.reduce(0.0) { sum, cell in
            let n = Double(cell.n) + 4
            let share = (cell.accuracy / 100 * Double(cell.n) + 2) / n
            return sum + share * (1 - share) / n
        }
        margin = Self.rounded(100 * normalQuantile * variance.squareRoot() / count)
    }

    private static func rounded(_ value: Double) -> Double { (value * 100).rounded() / 100 }
}

extension EvaluationSummary {
    /// Computes each system's average from the present cells.
    public mutating func average() {
        averages = MarkdownTable.rows(self).compactMap { SystemAverage($0.cells) }
    }
}
