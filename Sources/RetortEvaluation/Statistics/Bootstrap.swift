import Foundation
import RetortCore

/// Intervals and tests by resampling (Efron and Tibshirani 1993); the same numbers give the same results.
public enum Bootstrap {
    /// The number of resamples.
    public static let rounds = 2000

    /// The 95 % percentile interval of a mean; nil without values.
    public static func mean(_ values: [Double], seed: UInt64 = 1) -> (low: Double, high: Double)? {
        // Independent values are groups of one.
        ClusterBootstrap(draws: rounds, seed: seed).estimate(values.enumerated().map { ($0, $1) }).map {
            ($0.low, $0.high)
        }
    }

    /// A difference between two systems on the same tasks.
    public struct Difference: Codable, Sendable, Hashable {
        /// The second system's mean minus the first one's.
        public let mean: Double
        /// The lower end of the 95 % interval.
        public let low: Double
        /// The upper end.
        public let high: Double
        /// How often systems that are equally good would differ at least this much, in 0…1: the share of resamples,
        /// taken after the differences were shifted to a mean of zero, whose mean is as far from zero. The observation
        /// counts as one of them, so the value is never 0 (Davison and Hinkley, 1997, section 4.2).
        public let pValue: Double
    }

    /// The paired bootstrap: tasks are drawn together with both systems' values; nil without pairs.
    /// - Parameter pairs: each task's value for the first and the second system.
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
            mean: observed, low: interval.low, high: interval.high, pValue: Double(extreme + 1) / Double(rounds + 1))
    }
}
