import Foundation
import RetortCore
import RetortTensor

/// What a short training with an ever larger rate shows (the range test of arXiv 1506.01186, section 3.3).
///
/// Each loss is taken relative to what the untrained weights have on the same row, so that easy and hard rows count alike. The
/// loss falls, is lowest at some rate, and turns; training takes a tenth of that rate, where a single step still helps most of
/// what it can and many steps do not yet undo one another.
public struct RateRangeTest: Codable, Sendable, Hashable {
    /// How it is done.
    public struct Plan: Codable, Sendable, Hashable {
        /// Updates, at rates that grow geometrically from `from` to `to`.
        public var updates: Int
        /// The first rate.
        public var from: Double
        /// The last rate.
        public var to: Double

        /// - Parameter updates: over how many the rate rises, geometrically.
        public init(updates: Int = 40, from: Double, to: Double) {
            self.updates = updates
            self.from = from
            self.to = to
        }

        func rate(at index: Int) -> Double { from * pow(to / from, Double(index) / Double(max(updates - 1, 1))) }
    }

    /// One update.
    public struct Point: Codable, Sendable, Hashable {
        /// The learning rate.
        public var rate: Double
        /// The loss before the update over that of the untrained weights on the same row.
        public var ratio: Double
        /// The same, smoothed.
        public var smoothed: Double
    }

    /// The share of the rate with the lowest loss that training takes.
    public static let share = 0.1
    /// The weight of what was before in the smoothed curve.
    static let memory = 0.8
    /// The curve ends where it lies so much above its lowest point.
    static let turn = 1.5

    /// The updates that were done, up to the one at which the loss had turned.
    public private(set) var points: [Point] = []
    private var (sum, weight) = (0.0, 0.0)

    private enum CodingKeys: String, CodingKey { case points }

    init() {}

    /// Adds an update.
    /// - Returns: whether the loss has turned.
    mutating func add(rate: Double, ratio: Double) -> Bool {
        guard ratio.isFinite, ratio > 0 else { return true }
        sum = Self.memory * sum + (1 - Self.memory) * log(ratio)
        weight = Self.memory * weight + (1 - Self.memory)
        let smoothed = exp(sum / weight)
        points.append(Point(rate: rate, ratio: ratio, smoothed: smoothed))
        return smoothed > Self.turn * (points.map(\.smoothed).min() ?? smoothed)
    }

    /// The point of the lowest smoothed loss.
    public var lowest: Point? { points.min { $0.smoothed < $1.smoothed } }

    /// The rate to train with; nil where the loss never fell by a twentieth, which shows nothing.
    public var rate: Double? {
        guard let lowest, lowest.smoothed < 0.95 else { return nil }
        return SizeDial.rounded(lowest.rate * Self.share)
    }
}

extension Trainer {
    /// Looks for a learning rate, and puts the weights back to what they were.
    /// - Parameter rows: what is trained on, again from the first where they are too few.
    /// - Throws: `CancellationError`; what a loss or gradient that is not finite throws ends the curve instead.
    public func rangeTest(_ plan: RateRangeTest.Plan, rows: [PackedRow]) throws -> RateRangeTest {
        let rows = rows.filter(\.isLearned)
        guard !rows.isEmpty else { throw Preflight.Refusal.noExamples }
        return try ComputeMemory.kept {
            try interruptible {
                let start = try parameters.copies()
                // This process alone looks for the rate, and needs the moments of all weights for that.
                if dividesMoments { try parameters.holdAll() }
                defer { if dividesMoments { parameters.release() } }
                do {
                    let result = try climb(plan, rows)
                    try parameters.restart(from: start)
                    return result
                } catch {
                    try parameters.restart(from: start)
                    throw Task.isCancelled ? CancellationError() : error
                }
            }
        }
    }

    private func climb(_ plan: RateRangeTest.Plan, _ rows: [PackedRow]) throws -> RateRangeTest {
        let first = try rows.prefix(plan.updates).map { try HeldOutSamples.loss(of: [$0], network) }
        var test = RateRangeTest()
        for index in 0..<plan.updates {
            try Task.checkCancellation()
            let rate = plan.rate(at: index)
            do {
                let place = index % rows.count
                let (loss, _) = try step([rows[place]], number: index + 1, rate: rate)
                if test.add(rate: rate, ratio: loss / first[place]) { break }
            } catch let error as TrainerError {
                // Weights that went astray have no loss: the curve ends here.
                guard error.isNotFinite, index > 0 else { throw error }
                break
            }
        }
        return test
    }
}
