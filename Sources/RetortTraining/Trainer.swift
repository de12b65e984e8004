import Foundation
import RetortCore
import RetortLLM
import RetortTensor
import Synchronization

/// Training on packed rows, with checkpoints that resume to the same result.
///
/// The loss of an update is the cross-entropy summed over its target tokens and divided by their number
/// (arXiv 2505.17612, eq. 4), whatever rows they fell into; other kinds of loss are added, each divided by its own count.
public final class Trainer {
    /// How far a run is.
    public struct Progress: Sendable {
        /// Updates done, and in all.
        public var update: Int
        /// The number of updates of the whole training.
        public var updates: Int
        /// The update's loss, each kind by its own count, in nats.
        public var loss: Double
        /// The gradient norm before clipping.
        public var gradientNorm: Double
        /// The rate of this update, after warm-up and schedule.
        public var learningRate: Double
        /// Tokens of samples since this process began training, targets among them; shared ones count in each sample.
        public var tokens: Int
        /// Those of `tokens` that are learned.
        public var targets: Int
        /// Tokens that went through the network: shared ones count once.
        public var computed: Int
        /// Seconds since this process began training.
        public var seconds: Double

        /// Tokens read a second.
        public var rate: Double { seconds > 0 ? Double(tokens) / seconds : 0 }
    }

    /// What a run came to.
    public struct Outcome: Sendable {
        /// The loss of every update that was done.
        public var losses: [Double]
        /// How many were planned; fewer were done where held-out samples showed no more to be gained.
        public var planned: Int
        /// What the held-out samples showed; no points without any.
        public var curve: ValidationCurve
        /// The update whose weights the network has now: 0 are those it began with.
        public var kept: Int
    }

    let network: DecoderNetwork
    /// How it trains.
    public private(set) var configuration: TrainingConfiguration
    let parameters: TrainableParameters
    private let checkpoints: TrainingCheckpoint?
    private let team: TrainingTeam?
    /// What is under way with the team's other processes.
    var training: TeamTraining?

    /// Prepares the network: freezes what does not learn, adds adapters.
    /// - Parameters:
    ///   - checkpoints: the folder that resuming needs; nil trains in one go.
    ///   - team: the processes that each update is divided among, of which this one is rank 0.
    public convenience init(
        _ network: DecoderNetwork, configuration: TrainingConfiguration, checkpoints: URL? = nil,
        team: TrainingTeam? = .current
    ) throws {
        // Those of full weights are divided among the processes.
        let holds = (team?.size ?? 1) == 1 || configuration.method != .full
        try self.init(
            network, configuration: configuration, checkpoints: checkpoints, team: team, holdsMoments: holds)
    }

    /// - Parameter holdsMoments: whether this process has the moments of all weights that learn.
    init(
        _ network: DecoderNetwork, configuration: TrainingConfiguration, checkpoints: URL?, team: TrainingTeam?,
        holdsMoments: Bool
    ) throws {
        network.precision = configuration.precision == .bfloat16 ? .bfloat16 : nil
        self.network = network
        self.configuration = configuration
        let parameters = try TrainableParameters(network, configuration, holdsMoments: holdsMoments)
        dividesMoments = !holdsMoments && parameters.isFloat32
        if !holdsMoments, !dividesMoments { try parameters.holdAll() }
        self.parameters = parameters
        self.checkpoints = checkpoints.map(TrainingCheckpoint.init)
        self.team = team
    }

    /// How many processes train.
    public var processes: Int { team?.size ?? 1 }

    /// Whether each process holds the optimizer's moments of a part of the weights only (ZeRO's first stage; arXiv 1910.02054): several
    /// train all weights.
    public let dividesMoments: Bool

    /// The memory that the optimizer's moments take in this process while it trains, in bytes.
    public var optimizerBytes: Int {
        let counts = parameters.counts
        guard dividesMoments, let team else { return parameters.heldBytes }
        let shares = OptimizerShares(counts, among: team.size)
        return shares.range(of: team.rank).count * 2 * MemoryLayout<Float>.size
    }

    /// Trains at another peak rate than the configuration's: what a range test found.
    public func use(learningRate: Double) { configuration.learningRate = learningRate }

    /// Trains to the end of the rows; see `train`.
    /// - Returns: the loss of every update.
    @discardableResult
    public func run(_ source: some RowSource, report: (Progress) throws -> Void = { _ in }) throws -> [Double] {
        try train(source, report: report).losses
    }

    /// Trains to the end of the rows, or until the held-out samples show no more to be gained.
    ///
    /// A checkpoint of the same run is taken up where it stood; one of another configuration, of another number of rows, or made of
    /// other rows is refused. One is written every `checkpointMinutes`, and when the task is cancelled: the update at hand is then
    /// given up within a layer's time, and none that was finished is lost. An error leaves the last checkpoint in place. Memory is
    /// kept between the steps and given back at the end.
    ///
    /// With held-out samples, their loss is taken as the configuration's `validation` says, and the network ends with the weights
    /// that it asks for. These are kept in memory, once more what is trained, and in the checkpoint.
    ///
    /// With a team, each update's rows are divided among its processes, and so are the held-out samples: the result is that of one process
    /// but for the order in which is summed. Rank 0 alone reads and writes files.
    /// - Parameters:
    ///   - heldOut: samples that are not trained on; looked at only where the configuration has a `validation`.
    ///   - looked: called after each look with the curve so far.
    /// - Throws: `CancellationError` and `TeamError`, once the checkpoint is written; `TrainerError`.
    public func train(
        _ source: some RowSource, heldOut: HeldOutSamples? = nil, report: (Progress) throws -> Void = { _ in },
        looked: (ValidationCurve) throws -> Void = { _ in }
    ) throws -> Outcome {
        try ComputeMemory.kept {
            try interruptible {
                let watch = heldOut.flatMap { samples in
                    samples.targets > 0 ? configuration.validation.map { (plan: $0, samples: samples) } : nil
                }
                return try train(source, watch, report, looked)
            }
        }
    }

    private typealias Watch = (plan: ValidationPlan, samples: HeldOutSamples)

    private func train(
        _ source: some RowSource, _ watch: Watch?, _ report: (Progress) throws -> Void,
        _ looked: (ValidationCurve) throws -> Void
    ) throws -> Outcome {
        var source = source
        guard let rows = source.rowCount, rows > 0 else { throw Preflight.Refusal.noExamples }
        let updates = configuration.updates(of: rows)
        var state =
            try checkpoints?.restore(parameters, configuration, rows: &source, rowCount: rows)
            ?? TrainingState(rowCount: rows)
        var meter = Meter(saved: state.losses.count)
        do {
            training = try team.map {
                try TeamTraining(
                    leading: $0, network, parameters, configuration, cuts: cutsRows, heldOut: watch?.samples,
                    isResumed: !state.losses.isEmpty, saved: dividesMoments ? try savedMoments() : nil)
            }
            while true {
                if try look(watch, &state, of: updates) { try looked(state.curve) }
                if state.losses.count >= updates || Self.isOver(watch?.plan, state.curve) { break }
                try report(advance(&source, &state, &meter, of: updates))
            }
            try training?.end()
            training = nil
        } catch {
            try rescue(state, saved: meter.saved, after: error)
            throw team?.verdict(on: error) ?? error
        }
        let kept = watch?.plan.keeps == .best ? state.curve.best?.update ?? state.losses.count : state.losses.count
        if kept != state.losses.count, let best = state.best { try parameters.assign(best) }
        return Outcome(losses: state.losses, planned: updates, curve: state.curve, kept: kept)
    }

    /// Ends a training early. What was finished is saved after an interruption, and after the loss of another process; but where moments
    /// are divided, those of a lost process are lost, and the last checkpoint stands.
    private func rescue(_ state: TrainingState, saved: Int, after error: any Error) throws {
        let isInterruption = error is CancellationError || error is TrainingTeam.Interrupted
        let isRescued = isInterruption || error is TrainingTeam.Broken || error is TeamError
        let isNew = isRescued && state.losses.count > saved
        guard dividesMoments, team != nil else {
            training?.breakOff()
            training = nil
            if isNew { try save(state) }
            return
        }
        defer {
            training?.breakOff()
            training = nil
            UnsavedWork.end(self)
        }
        guard isNew, isInterruption, training?.isReady ?? false else { return }
        do {
            try save(state)
        } catch {
            throw team?.verdict(on: error) ?? error
        }
    }

    /// The moments in the checkpoint, by the weights' places.
    private func savedMoments() throws -> SavedMoment {
        guard let checkpoints, let saved = try checkpoints.open() else {
            return { _, weight in throw TeamError.outOfStep("there is no checkpoint of \(weight)") }
        }
        return { [parameters] moment, weight in
            try checkpoints.moment(moment, of: parameters.named[weight].name, in: saved)
        }
    }

    private static func isOver(_ plan: ValidationPlan?, _ curve: ValidationCurve) -> Bool {
        plan?.patience.map { curve.looksSinceBest >= $0 } ?? false
    }

    /// Does the next update, and writes a checkpoint when it is time.
    private func advance(
        _ source: inout some RowSource, _ state: inout TrainingState, _ meter: inout Meter, of updates: Int
    ) throws -> Progress {
        let update = state.losses.count + 1
        var batch: [PackedRow] = []
        while batch.count < configuration.accumulation, let row = try source.next() { batch.append(row) }
        let rate = configuration.rate(at: update, of: updates)
        let done = try step(batch, number: update, rate: rate)
        state.losses.append(done.loss)
        for row in batch { state.rows.append(row) }
        if checkpoints != nil { UnsavedWork.begin(self) }
        meter.count(batch)
        if update < updates, meter.savedAt.duration(to: .now) >= .seconds(configuration.checkpointMinutes * 60) {
            try save(state)
            (meter.savedAt, meter.saved) = (.now, update)
        }
        return Progress(
            update: update, updates: updates, loss: done.loss, gradientNorm: done.norm, learningRate: rate,
            tokens: meter.tokens, targets: meter.targets, computed: meter.computed,
            seconds: meter.start.duration(to: .now) / .seconds(1))
    }

    /// Takes the loss of the held-out samples, when it is time and that was not done before.
    /// - Returns: whether it did.
    private func look(_ watch: Watch?, _ state: inout TrainingState, of updates: Int) throws -> Bool {
        let update = state.losses.count
        guard let watch, watch.plan.isDue(after: update, of: updates), state.curve.points.last?.update != update else {
            return false
        }
        let loss: Double
        do {
            loss = try training?.loss(of: watch.samples) ?? watch.samples.loss(network)
        } catch {
            if error is TrainingTeam.Interrupted { throw error }
            throw Task.isCancelled ? CancellationError() : error
        }
        guard loss.isFinite else { throw TrainerError.heldOutLossNotFinite(update: update) }
        let isBest = state.curve.add(ValidationCurve.Point(update: update, loss: loss))
        if isBest, watch.plan.keeps == .best { state.best = try parameters.copies() }
        return true
    }

    /// What was done since this process began training, and how much of it a file holds.
    private struct Meter {
        let start = ContinuousClock.now
        var savedAt = ContinuousClock.now
        var saved: Int
        var (tokens, targets, computed) = (0, 0, 0)

        init(saved: Int) { self.saved = saved }

        mutating func count(_ batch: [PackedRow]) {
            tokens += batch.reduce(0) { $0 + $1.sampleTokens }
            targets += batch.reduce(0) { $0 + $1.targetCount }
            computed += batch.reduce(0) { $0 + $1.tokens.count }
        }
    }

    private func save(_ state: TrainingState) throws {
        guard let checkpoints else { return }
        if dividesMoments, let training {
            try training.gathering {
                try checkpoints.save(parameters, configuration, state) { try training.gather($0, $1) }
            }
        } else {
            try checkpoints.save(parameters, configuration, state)
        }
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

    /// One update over a batch of rows, by all processes of the team.
    func step(_ batch: [PackedRow], number: Int, rate: Double) throws -> (loss: Double, norm: Double) {
        let scales = batch.counts.scales
        let work = { try self.update($0, number: number, rate: rate, scales: scales) }
        guard let training else { return try work(RowPart.whole(batch)) }
        return try training.update(batch, number: number, rate: rate, scales: scales, work)
    }

    /// One update of which this process does a part.
    /// - Returns: the loss of the whole.
    func update(
        _ parts: [RowPart], number: Int, rate: Double, scales: ByLossKind<Double>
    ) throws -> (loss: Double, norm: Double) {
        do {
            let total: Double
            if let training {
                total = try training.sum { try gradients(of: parts, number: number, scales: scales) }
            } else {
                total = try gradients(of: parts, number: number, scales: scales)
                try Task.checkCancellation()
            }
            guard total.isFinite else { throw TrainerError.lossNotFinite(update: number) }
            let norm = try parameters.update(number, rate: rate, configuration)
            try training?.gatherWeights()
            return (total, norm)
        } catch {
            // A part of an update is none: whoever goes on with these weights must not add to it.
            parameters.clearGradients()
            if error is TrainingTeam.Interrupted { throw error }
            throw Task.isCancelled ? CancellationError() : error
        }
    }

    /// Collects the gradients of rows and parts of rows.
    /// - Returns: their loss.
    func gradients(of parts: [RowPart], number: Int, scales: ByLossKind<Double>) throws -> Double {
        // Dropout depends on the number of the update and of the row alone, so a resumed run draws the same, and so does every
        // process.
        let adapters = network.projections.compactMap { name, linear in
            linear.adapter.map { (adapter: $0, seed: StableHash.of("\(configuration.seed) \(number) \(name)")) }
        }
        var total = 0.0
        for part in parts {
            try Task.checkCancellation()
            for (adapter, seed) in adapters { adapter.dropoutSeed = seed &+ UInt64(part.number) }
            total += try skippingDroppedRows(part.skipped) {
                try RowLoss.backward(
                    part.row, network, scales: scales, recomputes: configuration.recomputesActivations)
            }
        }
        return total
    }
}

/// The trainers whose last updates are in memory only.
enum UnsavedWork {
    private static let trainers = Mutex<Set<ObjectIdentifier>>([])

    static var isThere: Bool { trainers.withLock { !$0.isEmpty } }

    static func begin(_ trainer: Trainer) { _ = trainers.withLock { $0.insert(ObjectIdentifier(trainer)) } }

    static func end(_ trainer: Trainer) { _ = trainers.withLock { $0.remove(ObjectIdentifier(trainer)) } }
}

/// A run that cannot go on.
public enum TrainerError: Error, CustomStringConvertible {
    case lossNotFinite(update: Int)
    case gradientNotFinite(update: Int, norm: Double)
    case heldOutLossNotFinite(update: Int)
    case noTarget(names: [String])
    case otherRun(path: String)
    case otherRows(path: String)

    /// Whether the weights have gone astray.
    package var isNotFinite: Bool {
        switch self {
        case .lossNotFinite, .gradientNotFinite, .heldOutLossNotFinite: true
        case .noTarget, .otherRun, .otherRows: false
        }
    }

    /// What failed, and what to do next.
    public var description: String {
        switch self {
        case .lossNotFinite(let update):
            "the loss of update \(update) is not a finite number; lower the learning rate or raise the warm-up"
        case .gradientNotFinite(let update, let norm):
            "the gradient norm of update \(update) is \(norm); the weights stay as they were before it. "
                + "Lower the learning rate or raise the warm-up"
        case .heldOutLossNotFinite(let update):
            "the loss on the held-out samples after update \(update) is not a finite number; lower the learning rate"
        case .noTarget(let names): "no projection of the model is named \(names.joined(separator: ", "))"
        case .otherRun(let path):
            "\(path) holds a checkpoint of another training run; remove it, or train into another folder"
        case .otherRows(let path):
            "\(path) holds a checkpoint of a training on other samples; go on with the same samples in the same order, remove it, "
                + "or train into another folder"
        }
    }
}
