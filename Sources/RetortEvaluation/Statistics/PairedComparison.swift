import RetortCore

/// Two systems compared on the tasks that both were given.
public struct PairedComparison: Codable, Sendable, Hashable {
    /// The first system's name.
    public let first: String
    /// The second system's name.
    public let second: String
    /// The number of tasks that both were given.
    public let n: Int
    /// Tasks that only the first system solved.
    public let onlyFirst: Int
    /// Tasks that only the second system solved.
    public let onlySecond: Int
    /// The p-value of McNemar's exact test.
    public let pValue: Double
    /// The second system's accuracy minus the first one's, in percentage points; nil without common tasks.
    public let difference: Bootstrap.Difference?

    /// Compares records by their tasks' ids; of several records of one task in `b` the first counts.
    public init(_ first: String, _ a: [RunRecord], _ second: String, _ b: [RunRecord]) {
        let other = Dictionary(b.map { ($0.task.id, $0.isCorrect) }, uniquingKeysWith: { old, _ in old })
        let pairs = a.compactMap { record in other[record.task.id].map { (record.isCorrect, $0) } }
        let test = PairedTest(onlyFirst: pairs.count { $0.0 && !$0.1 }, onlySecond: pairs.count { !$0.0 && $0.1 })
        (self.first, self.second, n) = (first, second, pairs.count)
        (onlyFirst, onlySecond, pValue) = (test.onlyFirst, test.onlySecond, test.pValue)
        difference = Bootstrap.difference(pairs.map { ($0.0 ? 100 : 0, $0.1 ? 100 : 0) })
    }
}
