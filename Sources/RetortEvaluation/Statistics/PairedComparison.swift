import RetortCore

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
