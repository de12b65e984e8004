import Foundation
import RealModule

/// The 97.5th percentile of the normal distribution: half the width of a 95 % interval in standard errors.
let normalQuantile = 1.959_963_984_540_054

/// A share with its 95 % interval.
public struct Proportion: Codable, Sendable, Hashable {
    /// The number of successes.
    public let successes: Int
    /// The number of trials.
    public let count: Int

    /// A share of trials.
    public init(successes: Int, count: Int) {
        self.successes = successes
        self.count = count
    }

    /// In 0…1; 0 for an empty sample.
    public var value: Double { count > 0 ? Double(successes) / Double(count) : 0 }

    /// Wilson's score interval (Wilson, JASA 22, 1927), in 0…1.
    public var interval: (low: Double, high: Double) {
        guard count > 0 else { return (0, 1) }
        let (n, z) = (Double(count), normalQuantile)
        let centre = (value + z * z / (2 * n)) / (1 + z * z / n)
        let half = z * sqrt(value * (1 - value) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        return (max(0, centre - half), min(1, centre + half))
    }
}

/// The exact McNemar test (McNemar, Psychometrika 12, 1947) between two systems on the same tasks.
public struct PairedTest: Sendable, Hashable {
    /// Tasks that only the first system solved.
    public let onlyFirst: Int
    /// Tasks that only the second system solved.
    public let onlySecond: Int

    /// A test of tasks that only one of two systems solved.
    public init(onlyFirst: Int, onlySecond: Int) {
        self.onlyFirst = onlyFirst
        self.onlySecond = onlySecond
    }

    /// The two-sided probability of a split at least this uneven when the systems are equally good, in 0…1. The
    /// binomial terms are summed relative to the largest one, whose logarithm is taken, so any number of tasks can be
    /// handled.
    public var pValue: Double {
        let n = onlyFirst + onlySecond
        let fewer = min(onlyFirst, onlySecond)
        guard n > 0, fewer < n - fewer else { return 1 }
        func logFactorial(_ k: Int) -> Double { Double.logGamma(Double(k) + 1) }
        let largest = logFactorial(n) - logFactorial(fewer) - logFactorial(n - fewer) - Double(n) * Double.log(2)
        var (term, sum) = (1.0, 1.0)
        for k in stride(from: fewer, to: 0, by: -1) where term > 1e-18 {
            term *= Double(k) / Double(n - k + 1)
            sum += term
        }
        return min(1, 2 * Double.exp(largest) * sum)
    }
}
