import Foundation
import RetortCore
import RetortLLM
import RetortTensor

/// Supervised fine-tuning on packed rows, with checkpoints that resume to the same result.
///
/// The loss of an update is the cross-entropy summed over its target tokens and divided by their number
/// (arXiv 2505.17612, eq. 4), whatever rows they fell into.
public final class Trainer {
    /// How far a run is.
    public struct Progress: Sendable {
        /// Updates done, and in all.
        public var update: Int
        public var updates: Int
        /// Mean cross-entropy of the update's targets, in nats.
        public var loss: Double
        /// The gradient norm before clipping.
        public var gradientNorm: Double
        public var learningRate: Double
        /// Tokens of samples since this process began training, targets among them; shared ones count in each sample.
        public var tokens: Int
        public var targets: Int
        /// Seconds since this process began training.
        public var seconds: Double

        /// Tokens read a second.
        public var rate: Double { seconds > 0 ? Double(tokens) / seconds : 0 }
    }

    private let network: DecoderNetwork
    private let configuration: TrainingConfiguration
    private let parameters: TrainableParameters
    private let checkpoints: TrainingCheckpoint?

    /// Prepares the network: freezes what does not learn, adds adapters.
    /// - Parameter checkpoints: the folder that resuming needs; nil trains in one go.
    public init(_ network: DecoderNetwork, configuration: TrainingConfiguration, checkpoints: URL? = nil) throws {
        network.precision = configuration.precision == .bfloat16 ? .bfloat16 : nil
        self.network = network
        self.configuration = configuration
        parameters = try TrainableParameters(network, configuration)
        self.checkpoints = checkpoints.map(TrainingCheckpoint.init)
    }

    /// Trains to the end of the rows.
    ///
    /// A checkpoint of the same run is taken up where it stood. Cancelling the task, or an error, leaves the last
    /// checkpoint in place.
    /// - Returns: the loss of every update.
    @discardableResult
    public func run(_ source: some RowSource, report: (Progress) throws -> Void = { _ in }) throws -> [Double] {
        var source = source
        guard let rows = source.rowCount, rows > 0 else { throw Preflight.Refusal.noExamples }
        let updates = (rows + configuration.accumulation - 1) / configuration.accumulation
        var losses = try checkpoints?.restore(parameters, configuration) ?? []
        for _ in 0..<losses.count * configuration.accumulation { _ = try source.next() }
        let start = ContinuousClock.now
        var tokens = 0
        var targets = 0
        for update in losses.count + 1..<max(updates + 1, losses.count + 1) {
            try Task.checkCancellation()
            var batch: [PackedRow] = []
            while batch.count < configuration.accumulation, let row = try source.next() { batch.append(row) }
            let rate = configuration.rate(at: update, of: updates)
            let (loss, norm) = try step(batch, number: update, rate: rate)
            losses.append(loss)
            tokens += batch.reduce(0) { $0 + $1.sampleTokens }
            targets += batch.reduce(0) { $0 + $1.targets.count }
            if update % configuration.checkpointEvery == 0, update < updates {
                try checkpoints?.save(parameters, configuration, losses: losses)
            }
            let seconds = start.duration(to: .now) / .seconds(1)
            try report(
                Progress(
                    update: update, updates: updates, loss: loss, gradientNorm: norm, learningRate: rate,
                    tokens: tokens, targets: targets, seconds: seconds))
        }
        return losses
    }

    /// Removes the checkpoint once the result is safely elsewhere.
    public func discardCheckpoint() { checkpoints?.discard() }

    /// One update over a batch of rows.
    func step(_ batch: [PackedRow], number: Int, rate: Double) throws -> (loss: Double, norm: Double) {
        // Dropout of an update depends on its number alone, so a resumed run draws the same.
        for (name, linear) in network.projections {
            linear.adapter?.dropoutSeed = StableHash.of("\(configuration.seed) \(number) \(name)")
        }
        let targetCount = batch.reduce(0) { $0 + $1.targets.count }
        var total = 0.0
        for row in batch where !row.targets.isEmpty {
            total += try RowLoss.backward(
                row, network, scale: 1 / Double(targetCount), recomputes: configuration.recomputesActivations)
        }
        guard total.isFinite else { throw TrainerError.lossNotFinite(update: number) }
        let norm = try parameters.update(number, rate: rate, configuration)
        return (total, norm)
    }
}

/// A run that cannot go on.
public enum TrainerError: Error, CustomStringConvertible {
    case lossNotFinite(update: Int)
    case noTarget(names: [String])
    case otherRun(path: String)

    public var description: String {
        switch self {
        case .lossNotFinite(let update):
            "the loss of update \(update) is not a finite number; lower the learning rate or raise the warm-up"
        case .noTarget(let names): "no projection of the model is named \(names.joined(separator: ", "))"
        case .otherRun(let path):
            "\(path) holds a checkpoint of another training run; remove it, or train into another folder"
        }
    }
}
