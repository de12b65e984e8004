import Foundation
import RetortCore
import RetortLLM
import RetortTensor

/// One training of a team, as one of its processes sees it.
final class TeamTraining {
    let team: TrainingTeam
    private let network: DecoderNetwork
    let parameters: TrainableParameters
    /// Whether rows may be cut among processes.
    private let cuts: Bool
    /// This process's part of the held-out samples.
    private let heldOut: [RowPart]
    /// Which process holds which moments; nil where each holds all of them.
    let shares: OptimizerShares?

    private init(
        _ team: TrainingTeam, _ network: DecoderNetwork, _ parameters: TrainableParameters, cuts: Bool,
        heldOut: [RowPart], divides: Bool
    ) throws {
        (self.team, self.network, self.parameters) = (team, network, parameters)
        (self.cuts, self.heldOut) = (cuts, heldOut)
        shares = divides ? OptimizerShares(parameters.counts, among: team.size) : nil
        if let shares { try parameters.hold(shares.pieces(shares.range(of: team.rank))) }
    }

    /// Begins one as rank 0, from where the weights and moments are.
    /// - Parameters:
    ///   - cuts: whether rows may be cut among processes.
    ///   - isResumed: whether there are moments.
    ///   - saved: one moment of a weight, by its place, as it was saved; nil where each process holds all moments.
    convenience init(
        leading team: TrainingTeam, _ network: DecoderNetwork, _ parameters: TrainableParameters,
        _ configuration: TrainingConfiguration, cuts: Bool, heldOut: HeldOutSamples?, isResumed: Bool,
        saved: SavedMoment?
    ) throws {
        let looked = RowPart.shares(of: heldOut?.rows ?? [], among: team.size, cuts: true)
        try self.init(
            team, network, parameters, cuts: cuts, heldOut: looked[team.rank], divides: saved != nil)
        let setup = TrainingSetup(
            network: network.configuration, device: network.device, training: configuration,
            weights: Self.list(network), heldOut: looked, isResumed: isResumed, dividesMoments: saved != nil)
        try team.occupied {
            try team.send(.begin(setup))
            try shareWeights(moments: isResumed, saved)
        }
    }

    /// Takes part in one as another process: makes the network and takes over its weights.
    /// - Returns: the trainer of this process's part.
    static func follow(_ setup: TrainingSetup, _ team: TrainingTeam) throws -> Trainer {
        guard setup.device == .cpu || Device.isCUDAAvailable else {
            throw TeamError.noDevice(rank: team.rank, why: Device.cudaRefusal ?? "")
        }
        let network = try DecoderNetwork(setup.network, weights: ExpectedWeights(setup))
        guard list(network) == setup.weights else {
            throw TeamError.outOfStep("the network has other weights here than at rank 0")
        }
        guard setup.heldOut.count == team.size else { throw TeamError.outOfStep("a part is missing") }
        let trainer = try Trainer(
            network, configuration: setup.training, checkpoints: nil, team: nil, holdsMoments: !setup.dividesMoments)
        let training = try TeamTraining(
            team, network, trainer.parameters, cuts: false, heldOut: setup.heldOut[team.rank],
            divides: setup.dividesMoments)
        try training.shareWeights(moments: setup.isResumed, nil)
        trainer.training = training
        return trainer
    }

    private static func list(_ network: DecoderNetwork) -> [TrainingSetup.Weight] {
        network.parameters.map { .init(name: $0.name, shape: $0.tensor.shape, dtype: $0.tensor.dtype) }
    }

    /// - Parameter saved: of rank 0, where moments are divided.
    private func shareWeights(moments: Bool, _ saved: SavedMoment?) throws {
        var known: Set<String> = []
        for (name, tensor) in network.parameters {
            try team.call { try $0.broadcast(tensor) }
            known.insert(name)
        }
        for (index, (name, weight)) in parameters.named.enumerated() {
            // Adapters lie beside the network.
            if !known.contains(name) { try team.call { try $0.broadcast(weight) } }
            guard moments, shares == nil else { continue }
            for kind in TrainableParameters.Moment.allCases {
                let moment = try parameters.moment(kind, of: index)
                try team.call { try $0.broadcast(moment) }
            }
        }
        if moments, let shares { try deal(shares, saved) }
    }

    // MARK: An update

    /// Does an update of a batch as rank 0: hands out the rows, and has `work` done on this process's part.
    func update<Result>(
        _ batch: [PackedRow], number: Int, rate: Double, scales: ByLossKind<Double>,
        _ work: ([RowPart]) throws -> Result
    ) throws -> Result {
        let parts = RowPart.shares(of: batch, among: team.size, cuts: cuts)
        let order = TeamOrder.Update(
            number: number, rate: rate, scales: LossKind.allCases.map { scales[$0] })
        return try team.occupied {
            // Its own part rank 0 has.
            let others = try parts.enumerated().map { $0 == team.rank ? Data() : try TeamOrder.encode($1) }
            try calling { try team.send(.update(order), others) }
            return try work(parts[team.rank])
        }
    }

    /// Adds up what all processes have: their losses, and the gradients of what learns.
    /// - Parameter work: computes those of this process.
    /// - Returns: the loss of the whole batch.
    /// - Throws: `TrainingTeam.Interrupted` in all processes where one was told to end and moments are divided.
    func sum(_ work: () throws -> Double) throws -> Double {
        let loss = try unlessInterrupted(work)
        if shares == nil { try Task.checkCancellation() }
        let weights = parameters.named.map(\.weight)
        var values = [loss == nil ? 1 : 0, loss ?? 0]
        for weight in weights { values.append(try weight.gradient() == nil ? 0 : 1) }
        try calling { try team.call { try $0.sum(&values) } }
        guard values[0] == 0 else { throw TrainingTeam.Interrupted() }
        // What no process has a gradient of stays as it is, as with one process.
        let learned = zip(weights, values.dropFirst(2)).filter { $1 > 0 }.map(\.0)
        try calling { try team.call { try $0.sumGradients(of: learned) } }
        return values[1]
    }

    /// Makes a call that all make alike. Where moments are divided it is not interrupted: a process that was told to end says so, and
    /// stays until its moments are in the checkpoint.
    func calling<Result>(_ call: () throws -> Result) throws -> Result {
        shares == nil ? try call() : try uninterrupted(call)
    }

    /// Does this process's own work.
    /// - Returns: nil where it was told to end, and its moments are needed for the checkpoint.
    func unlessInterrupted<Result>(_ work: () throws -> Result) throws -> Result? {
        guard shares != nil else { return try work() }
        do {
            let result = try work()
            return Task.isCancelled ? nil : result
        } catch {
            guard Task.isCancelled else { throw error }
            return nil
        }
    }

    // MARK: A look

    /// The loss of the held-out samples, as rank 0.
    func loss(of samples: HeldOutSamples) throws -> Double {
        try team.occupied {
            try calling { try team.send(.look) }
            return samples.mean(try sums())
        }
    }

    /// The sums of their losses over all processes.
    func sums() throws -> ByLossKind<Double> {
        let own = try unlessInterrupted { try HeldOutSamples.sums(of: heldOut.map(\.row), network) }
        var values = [own == nil ? 1 : 0] + LossKind.allCases.map { own?[$0] ?? 0 }
        try calling { try team.call { try $0.sum(&values) } }
        guard values[0] == 0 else { throw TrainingTeam.Interrupted() }
        var sums = ByLossKind<Double>(repeating: 0)
        for (kind, value) in zip(LossKind.allCases, values.dropFirst()) { sums[kind] = value }
        return sums
    }

    // MARK: The end

    /// Ends it as rank 0, with all processes at the same place.
    func end() throws { try team.occupied { try team.send(.end) } }

    /// Whether what is divided can still be gathered.
    var isReady: Bool { team.isReady }

    /// Waits for what rank 0 wants.
    func receive() throws -> (order: TeamOrder, more: [Data]) { try calling { try team.receive() } }

    /// Ends it as rank 0 after an error.
    func breakOff() { team.breakOff() }
}

/// Room for weights that come later.
private struct ExpectedWeights: WeightSource {
    private let dtypes: [String: DType]
    private let usual: DType
    private let device: Device

    init(_ setup: TrainingSetup) {
        dtypes = Dictionary(setup.weights.map { ($0.name, $0.dtype) }, uniquingKeysWith: { first, _ in first })
        (usual, device) = (setup.training.baseDType, setup.device)
    }

    func tensor(_ name: String, _ shape: [Int]) throws -> Tensor {
        try Tensor.zeros(shape, dtype: dtypes[name] ?? usual, device: device)
    }
}

extension Trainer {
    /// Whether rows may be cut among processes. A GPU draws what is dropped for a whole pass, so that a part of a row would drop something
    /// else.
    var cutsRows: Bool {
        if case .lora(let lora) = configuration.method, lora.dropout > 0 { network.device == .cpu } else { true }
    }

    /// What is to be said before a training on rows that not all processes of the team will find work in; nil elsewhere.
    public func note(on rows: EpochRows) -> String? {
        guard processes > 1 else { return nil }
        var note = "\(processes) processes divide each update of \(configuration.accumulation) "
        note += configuration.accumulation == 1 ? "row" : "rows"
        if dividesMoments {
            note += String(
                format: ", and the optimizer's states: %.1f of %.1f MiB in each", Double(optimizerBytes) / 1_048_576,
                Double(parameters.counts.reduce(0, +) * 8) / 1_048_576)
        }
        let shares = RowPart.shares(
            of: Array(rows.rows.prefix(configuration.accumulation)), among: processes, cuts: cutsRows)
        let idle = shares.count { $0.isEmpty }
        guard idle > 0 else { return note }
        return note + "; \(idle) of them have nothing to do in the first one: raise 'accumulation' or 'rowTokens'"
    }
}
