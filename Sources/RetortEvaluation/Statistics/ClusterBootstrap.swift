import RetortCore

/// A mean with its 95 % interval.
public struct Estimate: Codable, Sendable, Hashable {
    /// The mean.
    public let value: Double
    /// The lower end of the interval.
    public let low: Double
    /// The upper end of the interval.
    public let high: Double
    /// The number of values.
    public let count: Int
}

/// Intervals for means of values that come in groups, such as the turns of trajectories: whole groups are drawn with
/// replacement, and the 2.5th and 97.5th percentile of the means are taken (Davison and Hinkley, 1997, section 3.8).
public struct ClusterBootstrap: Sendable {
    private let draws: Int
    private let seed: UInt64

    /// - Parameter draws: at least one; fewer than forty give the smallest and the largest mean as ends.
    public init(draws: Int = 2000, seed: UInt64 = 0) {
        self.draws = max(draws, 1)
        self.seed = seed
    }

    /// The mean of all values with its interval.
    /// - Parameter values: each value with its group.
    /// - Returns: nil without values.
    public func estimate(_ values: [(group: Int, value: Double)]) -> Estimate? {
        guard !values.isEmpty else { return nil }
        var groups: [Int: (sum: Double, count: Int)] = [:]
        for (group, value) in values {
            groups[group, default: (0, 0)].sum += value
            groups[group, default: (0, 0)].count += 1
        }
        let clusters = groups.sorted { $0.key < $1.key }.map(\.value)
        var generator = SeededGenerator(seed: seed)
        var means = (0..<draws).map { _ in
            var (sum, count) = (0.0, 0)
            for _ in clusters {
                let cluster = clusters[Int.random(in: clusters.indices, using: &generator)]
                sum += cluster.sum
                count += cluster.count
            }
            return sum / Double(count)
        }
        means.sort()
        let mean = values.reduce(0) { $0 + $1.value } / Double(values.count)
        let (low, high) = Self.ends(of: means)
        return Estimate(value: mean, low: low, high: high, count: values.count)
    }

    /// The 2.5th and 97.5th percentile, with as many values below as above.
    /// - Parameter sorted: at least one value.
    static func ends(of sorted: [Double]) -> (low: Double, high: Double) {
        let outside = Int(0.025 * Double(sorted.count))
        return (sorted[outside], sorted[sorted.count - 1 - outside])
    }
}
