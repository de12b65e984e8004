import Foundation
import RetortCore
import RetortLLM
import RetortTensor

/// One training of a team, as one of its processes sees it.
final class TeamTraining {
    private let team: TrainingTeam
    private let network: DecoderNetwork
    private let parameters: TrainableParameters
    /// Whether rows may be cut among processes.
    private let cuts: Bool
    /// This process's part of the held-out samples.
    private let heldOut: [RowPart]

    private init(
        _ team: TrainingTeam, _ network: DecoderNetwork, _ parameters: TrainableParameters, cuts: Bool,
        heldOut: [RowPart]
    ) {
        (self.team, self.network, self.parameters) = (team, network, parameters)
        (self.cuts, self.heldOut) = (cuts, heldOut)
    }

    /// Begins one as rank 0, from where the weights and moments are.
    /// - Parameters:
    ///   - cuts: whether rows may be cut among processes.
    ///   - isResumed: whether there are moments.
    convenience init(
        leading team: TrainingTeam, _ network: DecoderNetwork, _ parameters: TrainableParameters,
        _ configuration: TrainingConfiguration, cuts: Bool, heldOut: HeldOutSamples?, isResumed: Bool
    ) throws {
        let looked = RowPart.shares(of: heldOut?.rows ?? [], among: team.size, cuts: true)
        self.init(team, network, parameters, cuts: cuts, heldOut: looked[team.rank])
        let setup = TrainingSetup(
            network: network.configuration, device: network.device, training: configuration,
            weights: Self.list(network), heldOut: looked, isResumed: isResumed)
        try team.occupied {
            try team.send(.begin(setup))
            try shareWeights(moments: isResumed)
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
        let trainer = try Trainer(network, configuration: setup.training, team: nil)
        let training = TeamTraining(
            team, network, trainer.parameters, cuts: false, heldOut: setup.heldOut[team.rank])
        try training.shareWeights(moments: setup.isResumed)
        trainer.training = training
        return trainer
    }

    private static func list(_ network: DecoderNetwork) -> [TrainingSetup.Weight] {
        network.parameters.map { .init(name: $0.name, shape: $0.tensor.shape, dtype: $0.tensor.dtype) }
    }

    private func shareWeights(moments: Bool) throws {
        var known: Set<String> = []
        for (name, tensor) in network.parameters {
            try team.call { try $0.broadcast(tensor) }
            known.insert(name)
        }
        for (name, state) in parameters.named {
            // Adapters lie beside the network.
            if !known.contains(name) { try team.call { try $0.broadcast(state.parameter) } }
            guard moments else { continue }
            for moment in [state.mean, state.variance] { try team.call { try $0.broadcast(moment) } }
        }
    }

    // MARK: An update

    /// Does an update of a batch as rank 0: hands out the rows, and has `work` done on this process's part.
    func update<Result>(
        _ batch: [PackedRow], number: Int, rate: Double, scales: ByLossKind<Double>,
        _ work: ([RowPart]) throws -> Result
    ) throws -> Result {
        let shares = RowPart.shares(of: batch, among: team.size, cuts: cuts)
        let order = TeamOrder.Update(
            number: number, rate: rate, scales: LossKind.allCases.map { scales[$0] })
        return try team.occupied {
            // Its own part rank 0 has.
            let others = try shares.enumerated().map { $0 == team.rank ? Data() : try TeamOrder.encode($1) }
            try team.send(.update(order), others)
            return try work(shares[team.rank])
        }
    }

    /// Adds up what all processes have: their losses, and the gradients of what learns.
    /// - Returns: the loss of the whole batch.
    func sum(_ loss: Double) throws -> Double {
        let weights = parameters.named.map(\.state.parameter)
        var values = [loss]
        for weight in weights { values.append(try weight.gradient() == nil ? 0 : 1) }
        try team.call { try $0.sum(&values) }
        // What no process has a gradient of stays as it is, as with one process.
        let learned = zip(weights, values.dropFirst()).filter { $1 > 0 }.map(\.0)
        try team.call { try $0.sumGradients(of: learned) }
        return values[0]
    }

    // MARK: A look

    /// The loss of the held-out samples, as rank 0.
    func loss(of samples: HeldOutSamples) throws -> Double {
        try team.occupied {
            try team.send(.look)
            return samples.mean(try sums())
        }
    }

    /// The sums of their losses over all processes.
    func sums() throws -> ByLossKind<Double> {
        let own = try HeldOutSamples.sums(of: heldOut.map(\.row), network)
        var values = LossKind.allCases.map { own[$0] }
        try team.call { try $0.sum(&values) }
        var sums = ByLossKind<Double>(repeating: 0)
        for (kind, value) in zip(LossKind.allCases, values) { sums[kind] = value }
        return sums
    }

    // MARK: The end

    /// Ends it as rank 0, with all processes at the same place.
    func end() throws { try team.occupied { try team.send(.end) } }

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
        let shares = RowPart.shares(
            of: Array(rows.rows.prefix(configuration.accumulation)), among: processes, cuts: cutsRows)
        let idle = shares.count { $0.isEmpty }
        guard idle > 0 else { return note }
        return note + "; \(idle) of them have nothing to do in the first one: raise 'accumulation' or 'rowTokens'"
    }
}
