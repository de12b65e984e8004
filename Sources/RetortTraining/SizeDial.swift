import Foundation

/// The rank, rate and epochs of a training, from the model's width and the number of samples.
///
/// * The rate of full weights falls with the width (as Adam's does in arXiv 2203.03466), through 1.5e-3 at width 224; that of
///   adapters more slowly, through 1e-3 at width 576 and about 2e-4 at width 4096 (the rate of arXiv 2305.14314).
/// * The rank is about the square root of the number of samples, at most an eighth of the width.
/// * Few samples are seen several times, many once; never more than four times: up to there passes over the same data are worth
///   nearly as much as new data (arXiv 2305.16264).
package struct SizeDial: Codable, Sendable, Hashable {
    /// The rank of adapters; alpha is twice as much.
    package let rank: Int
    /// The learning rate's peak.
    package let rate: Double
    /// How often each sample is seen.
    package let epochs: Int

    /// - Parameters:
    ///   - width: the model's hidden size.
    ///   - samples: how many samples are trained on.
    package init(width: Int, samples: Int, method: TrainingConfiguration.Method) {
        let (width, samples) = (Double(max(width, 1)), Double(max(samples, 1)))
        // A power of two near the root.
        let wished = pow(2, log2(samples.squareRoot()).rounded())
        let most = pow(2, max(log2(width / 8).rounded(.down), 0))
        rank = Int(min(max(wished, 8), max(most, 4), 128))
        let usual =
            switch method {
            case .full: 1.5e-3 * (224 / width)
            case .lora: 1e-3 * pow(576 / width, 0.8)
            }
        rate = Self.rounded(min(max(usual, 1e-5), 3e-3))
        epochs = Int(min(max((2400 * (576 / width).squareRoot() / samples).rounded(), 1), 4))
    }

    /// To two digits, as people write rates.
    package static func rounded(_ rate: Double) -> Double {
        guard rate > 0, rate.isFinite else { return rate }
        return Double(String(format: "%.1e", rate)) ?? rate
    }
}
