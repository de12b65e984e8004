import RetortCore
import RetortTraining

/// A range test as stored by a run, and the rate for training: `results/rate-STUDENT-KIND.json`.
struct RateTrial: Codable {
    /// The configuration it was made with; the rate does not count.
    let configuration: TrainingConfiguration
    let test: RateRangeTest
    /// The rate for the model's size.
    let usual: Double
    /// The rate for training.
    let rate: Double

    /// A short test may be misleading; a rate this many times away from the usual one is not used.
    static let mostFactor = 8.0
    /// The share of the training's tokens that a test takes, and the shortest rows.
    private static let effort = 0.1
    private static let fewestTokens = 512

    init(configuration: TrainingConfiguration, test: RateRangeTest, usual: Double) {
        (self.configuration, self.test, self.usual) = (configuration, test, usual)
        let found = test.rate ?? usual
        rate = min(max(found, usual / Self.mostFactor), usual * Self.mostFactor)
    }

    /// Whether it was made with a configuration; the interval of checkpoints does not matter.
    func isOf(_ other: TrainingConfiguration) throws -> Bool {
        try JSONCoding.encoder.encode(configuration) == JSONCoding.encoder.encode(other)
    }

    /// The training's own samples, in rows so short that the test takes a small part of the training.
    static func rows(_ set: TrainingSet, _ configuration: TrainingConfiguration, updates: Int) -> [PackedRow] {
        let budget = effort * Double(set.tokenCount * configuration.epochs) / Double(updates)
        let tokens = min(configuration.rowTokens, max(fewestTokens, Int(budget)))
        var rows = EpochRows(set.examples, epochs: 1, rowTokens: tokens, seed: configuration.seed)
        var list: [PackedRow] = []
        while list.count < updates, let row = rows.next() { list.append(row) }
        return list
    }

    /// The result, for people.
    var words: String {
        guard let found = test.rate, let lowest = test.lowest else {
            return "rate \(rate) by size: the range test's loss did not fall, so it shows nothing"
        }
        let curve =
            "the loss of the range test is lowest at \(SizeDial.rounded(lowest.rate)) (\(Self.percent(lowest.smoothed)) of the untrained one), "
            + "a tenth of that is \(found)"
        return rate == found
            ? "rate \(rate): \(curve)"
            : "rate \(rate): \(curve), held within a factor of \(Int(Self.mostFactor)) of \(usual), the rate by size"
    }

    private static func percent(_ share: Double) -> String { "\(Int((share * 100).rounded())) %" }
}
