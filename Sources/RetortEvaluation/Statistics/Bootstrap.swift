import Foundation
import RetortCore

/// Intervals and tests by resampling (Efron and Tibshirani 1993), the same for the same numbers.
public enum Bootstrap {
    /// How often the numbers are drawn again.
    public static let rounds = 2000

    /// The 95 % percentile interval of a mean; nil of no numbers.
    public static func mean(_ values: [Double], seed: UInt64 = 1) -> (low: Double, high: Double)? {
        guard !values.isEmpty else { return nil }
        var generator = SeededGenerator(seed: seed)
        let means = (0..<rounds).map { _ in
            (0..<values.count).reduce(0.0) { sum, _ in
                sum + values[Int(generator.next() % UInt64(values.count))]
            } / Double(values.count)
        }.sorted()
        return (means[rounds / 40], means[rounds - 1 - rounds / 40])
    }

    /// A difference between two systems on the same tasks.
    public struct Difference: Codable, Sendable, Hashable {
        /// The second system's mean minus the first one's.
        public let mean: Double
        /// The 95 % interval.
        public let low: Double
        public let high: Double
        /// The two-sided share of draws on the other side of zero.
        public let pValue: Double
    }

    /// The paired bootstrap: tasks are drawn, and both systems' values with them.
    /// - Parameter pairs: each task's value with the first and the second system.
    public static func difference(_ pairs: [(first: Double, second: Double)], seed: UInt64 = 1) -> Difference? {
        let differences = pairs.map { $0.second - $0.first }
        guard let interval = mean(differences, seed: seed) else { return nil }
        var generator = SeededGenerator(seed: seed &+ 1)
        let observed = differences.reduce(0, +) / Double(differences.count)
        // Under the null hypothesis the mean difference is zero.
        let extreme = (0..<rounds).count { _ in
            let drawn =
                (0..<differences.count).reduce(0.0) { sum, _ in
                    sum + differences[Int(generator.next() % UInt64(differences.count))] - observed
                } / Double(differences.count)
            return abs(drawn) >= abs(observed) - 1e-12
        }
        return Difference(
            mean: observed, low: interval.low, high: interval.high, pValue: Double(extreme) / Double(rounds))
    }
}

/// Two systems on the tasks that both were given.
public struct PairedComparison: Codable, Sendable, Hashable {
    public let first: String
    public let second: String
    /// Tasks that both were given.
    public let n: Int
    public let onlyFirst: Int
    public let onlySecond: Int
    /// McNemar's exact test.
    public let pValue: Double
    /// In percentage points.
    public let difference: Bootstrap.Difference?

    public init(_ first: String, _ a: [RunRecord], _ second: String, _ b: [RunRecord]) {
        let other = Dictionary(b.map { ($0.task.id, $0.isCorrect) }, uniquingKeysWith: { old, _ in old })
        let pairs = a.compactMap { record in other[record.task.id].map { (record.isCorrect, $0) } }
        let test = PairedTest(onlyFirst: pairs.count { $0.0 && !$0.1 }, onlySecond: pairs.count { !$0.0 && $0.1 })
        (self.first, self.second, n) = (first, second, pairs.count)
        (onlyFirst, onlySecond, pValue) = (test.onlyFirst, test.onlySecond, test.pValue)
        difference = Bootstrap.difference(pairs.map { ($0.0 ? 100 : 0, $0.1 ? 100 : 0) })
    }
}

/// Accuracy by a member of the tasks' metadata, such as the level or the type.
public struct Breakdown: Codable, Sendable, Hashable {
    /// One value of that member.
    public struct Row: Codable, Sendable, Hashable {
        public let value: String
        public let result: Proportion
    }

    public let key: String
    public let rows: [Row]

    /// Nil when no task has the member, or all have the same.
    public init?(_ records: [RunRecord], by key: String) {
        let groups = Dictionary(grouping: records.filter { $0.task.metadata[key] != nil }) {
            $0.task.metadata[key]?.text ?? ""
        }
        guard groups.count > 1, groups.count <= 40 else { return nil }
        self.key = key
        rows = groups.sorted { $0.key < $1.key }.map { value, records in
            Row(value: value, result: Proportion(successes: records.count { $0.isCorrect }, count: records.count))
        }
    }
}
