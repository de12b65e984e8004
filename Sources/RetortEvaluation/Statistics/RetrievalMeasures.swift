import Foundation

/// How well a search finds the passages that questions need; each measure has one value per question.
public struct RetrievalMeasures: Sendable {
    /// A question's passages, and what was found for it, best first.
    public struct Case: Sendable {
        /// The ids of the question's passages.
        public let wanted: Set<String>
        /// The ids of what the search returned, best first.
        public let found: [String]

        /// - Parameters:
        ///   - wanted: the ids of the question's passages.
        ///   - found: the ids of what the search returned, best first.
        public init(wanted: Set<String>, found: [String]) { (self.wanted, self.found) = (wanted, found) }
    }

    private let cases: [Case]

    /// - Parameter cases: one for each question.
    public init(_ cases: [Case]) { self.cases = cases }

    /// A mean over the questions with its 95 % interval (bootstrap), in 0…1.
    public struct Figure: Codable, Sendable, Hashable {
        /// The mean, and the ends of its interval; all 0 without questions.
        public let mean, low, high: Double
    }

    private func figure(_ value: (Case) -> Double) -> Figure {
        let values = cases.map(value)
        guard let interval = Bootstrap.mean(values) else { return Figure(mean: 0, low: 0, high: 0) }
        return Figure(mean: values.reduce(0, +) / Double(values.count), low: interval.low, high: interval.high)
    }

    /// The share of a question's passages among the first `k` that were found.
    public func recall(at k: Int) -> Figure {
        figure { Double($0.wanted.intersection($0.found.prefix(k)).count) / Double(max(1, $0.wanted.count)) }
    }

    /// Whether all of a question's passages are among the first `k`.
    public func complete(at k: Int) -> Figure { figure { $0.wanted.isSubset(of: $0.found.prefix(k)) ? 1 : 0 } }

    /// One over the rank of the first of a question's passages; 0 where none was found.
    public var reciprocalRank: Figure {
        figure { one in one.found.firstIndex(where: one.wanted.contains).map { 1 / Double($0 + 1) } ?? 0 }
    }

    /// Gain discounted by rank, as a share of the best possible (Järvelin and Kekäläinen, TOIS 20, 2002, with gains of
    /// 0 and 1).
    public func discountedGain(at k: Int) -> Figure {
        figure { one in
            func gain(_ ranks: some Sequence<Int>) -> Double { ranks.reduce(0) { $0 + 1 / log2(Double($1 + 2)) } }
            let ranks = one.found.prefix(k).enumerated().filter { one.wanted.contains($0.element) }.map(\.offset)
            let best = gain(0..<min(k, one.wanted.count))
            return best > 0 ? gain(ranks) / best : 0
        }
    }
}
