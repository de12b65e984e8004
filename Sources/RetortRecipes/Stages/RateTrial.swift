import RetortCore
import RetortTraining

/// A range test as a run keeps it, and the rate that training takes: `results/rate-STUDENT-KIND.json`.
struct RateTrial: Codable {
    /// What it was made under, but for the rate.
    let configuration: TrainingConfiguration
    let test: RateRangeTest
    /// The rate that the model's size asks for.
    let usual: Double
    /// The rate that training takes.
    let rate: Double

    /// A short test may stray; so far from the usual rate it is not followed.
    static let mostFactor = 8.0
    /// The share of the training's tokens that a test takes, and the shortest rows.
    private static let effort = 0.1
    private static let fewestTokens = 512

    init(configuration: TrainingConfiguration, test: RateRangeTest, usual: Double) {
        (self.configuration, self.test, self.usual) = (configuration, test, usual)
        let found = test.rate ?? usual
        rate = min(max(found, usual / Self.mostFactor), usual * Self.mostFactor)
    }

    /// Whether it was made under a configuration. How often checkpoints come is no part of that.
    func isOf(_ other: TrainingConfiguration) throws -> Bool {
        try JSONCoding.encoder.encode(configuration) == JSONCoding.encoder.encode(other)
    }

    /// The training's own samples, in rows that are so short that the test takes a small part of the training.
    static func rows(_ set: TrainingSet, _ configuration: TrainingConfiguration, updates: Int) -> [PackedRow] {
        let budget = effort * Double(set.tokenCount * configuration.epochs) / Double(updates)
        let tokens = min(configuration.rowTokens, max(fewestTokens, Int(budget)))
        var rows = EpochRows(set.examples, epochs: 1, rowTokens: tokens, seed: configuration.seed)
        var list: [PackedRow] = []
        while list.count < updates, let row = rows.next() { list.append(row) }
        return list
    }

    /// What was found, for people.
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
