import Foundation
import RetortCore
import RetortLLM
import RetortTensor
import Synchronization

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
        /// Tokens that went through the network: shared ones count once.
        public var computed: Int
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
    /// A checkpoint of the same run is taken up where it stood. One is written every `checkpointMinutes`, and when the task is
    /// cancelled: the update at hand is then given up within a layer's time, and none that was finished is lost. An error leaves
    /// the last checkpoint in place. Memory is kept between the steps and given back at the end.
    /// - Returns: the loss of every update.
    /// - Throws: `CancellationError`, once the checkpoint is written; `TrainerError`.
    @discardableResult
    public func run(_ source: some RowSource, report: (Progress) throws -> Void = { _ in }) throws -> [Double] {
        try ComputeMemory.kept { try interruptible { try train(source, report) } }
    }

    private func train(_ source: some RowSource, _ report: (Progress) throws -> Void) throws -> [Double] {
        var source = source
        guard let rows = source.rowCount, rows > 0 else { throw Preflight.Refusal.noExamples }
        let updates = (rows + configuration.accumulation - 1) / configuration.accumulation
        var losses = try checkpoints?.restore(parameters, configuration) ?? []
        for _ in 0..<losses.count * configuration.accumulation { _ = try source.next() }
        let start = ContinuousClock.now
        var saved = (at: start, updates: losses.count)
        var (tokens, targets, computed) = (0, 0, 0)
        for update in losses.count + 1..<max(updates + 1, losses.count + 1) {
            var batch: [PackedRow] = []
            while batch.count < configuration.accumulation, let row = try source.next() { batch.append(row) }
            let rate = configuration.rate(at: update, of: updates)
            let done: (loss: Double, norm: Double)
            do {
                done = try step(batch, number: update, rate: rate)
            } catch is CancellationError {
                if losses.count > saved.updates { try save(losses) }
                throw CancellationError()
            }
            losses.append(done.loss)
            if checkpoints != nil { UnsavedWork.begin(self) }
            tokens += batch.reduce(0) { $0 + $1.sampleTokens }
            targets += batch.reduce(0) { $0 + $1.targets.count }
            computed += batch.reduce(0) { $0 + $1.tokens.count }
            if update < updates, saved.at.duration(to: .now) >= .seconds(configuration.checkpointMinutes * 60) {
                try save(losses)
                saved = (.now, update)
            }
            let seconds = start.duration(to: .now) / .seconds(1)
            try report(
                Progress(
                    update: update, updates: updates, loss: done.loss, gradientNorm: done.norm, learningRate: rate,
                    tokens: tokens, targets: targets, computed: computed, seconds: seconds))
        }
        return losses
    }

    private func save(_ losses: [Double]) throws {
        guard let checkpoints else { return }
        try checkpoints.save(parameters, configuration, losses: losses)
        UnsavedWork.end(self)
    }

    deinit { UnsavedWork.end(self) }

    /// Removes the checkpoint once the result is safely elsewhere.
    public func discardCheckpoint() {
        checkpoints?.discard()
        UnsavedWork.end(self)
    }

    /// Whether a run has finished updates that no file holds yet: a process that was told to end should wait for them.
    public static var hasUnsavedUpdates: Bool { UnsavedWork.isThere }

    /// One update over a batch of rows.
    func step(_ batch: [PackedRow], number: Int, rate: Double) throws -> (loss: Double, norm: Double) {
        // Dropout of an update depends on its number alone, so a resumed run draws the same.
        for (name, linear) in network.projections {
            linear.adapter?.dropoutSeed = StableHash.of("\(configuration.seed) \(number) \(name)")
        }
        let targetCount = batch.reduce(0) { $0 + $1.targets.count }
        var total = 0.0
        do {
            for row in batch where !row.targets.isEmpty {
                try Task.checkCancellation()
                total += try RowLoss.backward(
                    row, network, scale: 1 / Double(targetCount), recomputes: configuration.recomputesActivations)
            }
            try Task.checkCancellation()
            guard total.isFinite else { throw TrainerError.lossNotFinite(update: number) }
            let norm = try parameters.update(number, rate: rate, configuration)
            return (total, norm)
        } catch {
            // A part of an update is none: whoever goes on with these weights must not add to it.
            parameters.clearGradients()
            throw Task.isCancelled ? CancellationError() : error
        }
    }
}

/// The trainers whose last updates are in memory only.
private enum UnsavedWork {
    private static let trainers = Mutex<Set<ObjectIdentifier>>([])

    static var isThere: Bool { trainers.withLock { !$0.isEmpty } }

    static func begin(_ trainer: Trainer) { _ = trainers.withLock { $0.insert(ObjectIdentifier(trainer)) } }

    static func end(_ trainer: Trainer) { _ = trainers.withLock { $0.remove(ObjectIdentifier(trainer)) } }
}

/// A run that cannot go on.
public enum TrainerError: Error, CustomStringConvertible {
    case lossNotFinite(update: Int)
    case gradientNotFinite(update: Int, norm: Double)
    case noTarget(names: [String])
    case otherRun(path: String)

    public var description: String {
        switch self {
        case .lossNotFinite(let update):
            "the loss of update \(update) is not a finite number; lower the learning rate or raise the warm-up"
        case .gradientNotFinite(let update, let norm):
            "the gradient norm of update \(update) is \(norm); the weights stay as they were before it. "
                + "Lower the learning rate or raise the warm-up"
        case .noTarget(let names): "no projection of the model is named \(names.joined(separator: ", "))"
        case .otherRun(let path):
            "\(path) holds a checkpoint of another training run; remove it, or train into another folder"
        }
    }
}
