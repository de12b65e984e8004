import RetortLLM
import RetortTensor

/// The loss of packed rows: the cross-entropy of their targets.
///
/// Scores over the vocabulary are computed at the targets only, and some targets at a time: a chunk's scores and their
/// gradient are gone before the next one's are made, so memory does not grow with the vocabulary times the row.
enum RowLoss {
    /// Targets scored at once.
    private static let chunk = 512

    /// Adds the gradients of `scale` times the row's summed cross-entropy to the network's.
    /// - Returns: that loss, in nats.
    /// - Parameter recomputes: whether layers are run again on the way back instead of keeping what they computed: a third
    ///   more work, and memory for one layer instead of all (activation checkpointing, arXiv 1604.06174).
    static func backward(
        _ row: PackedRow, _ network: DecoderNetwork, scale: Double, recomputes: Bool = false,
        way: PackedAttention.Way = .fastest
    ) throws -> Double {
        let work = try RowPass(row, network, way)
        guard recomputes else {
            let hidden = try work.hidden()
            let (loss, gradient) = try head(hidden, row, network, scale)
            try hidden.backward(gradient)
            return loss
        }
        let (inputs, seeds) = try withoutGradients { try work.layerInputs() }
        let last = try inputs[inputs.count - 1].learning()
        let hidden = try network.normalised(last)
        var (loss, gradient) = try head(hidden, row, network, scale)
        try hidden.backward(gradient)
        gradient = try last.gradient()
        for layer in seeds.indices.reversed() {
            for (adapter, seed) in zip(network.adapters(ofLayer: layer), seeds[layer]) { adapter.dropoutSeed = seed }
            let input = try inputs[layer].learning()
            try work.layer(layer, input).backward(gradient)
            gradient = try input.gradient()
        }
        let embedded = try network.embed(work.tokens)
        if embedded.requiresGradient { try embedded.backward(gradient) }
        return loss
    }

    /// The row's summed cross-entropy, in nats, without gradients.
    static func value(_ row: PackedRow, _ network: DecoderNetwork, way: PackedAttention.Way = .fastest) throws -> Double
    {
        try withoutGradients {
            let hidden = try RowPass(row, network, way).hidden()
            let rows = try hidden.reshaped([row.tokens.count, network.configuration.hiddenSize])
            return try stride(from: 0, to: row.targets.count, by: chunk).reduce(0) { total, start in
                let places = start..<min(start + chunk, row.targets.count)
                return total + Double(try sum(rows, row, places, network).item())
            }
        }
    }

    /// The loss of the last states, and its gradient there.
    private static func head(
        _ hidden: Tensor, _ row: PackedRow, _ network: DecoderNetwork, _ scale: Double
    ) throws -> (loss: Double, gradient: Tensor?) {
        // A copy that collects the chunks' gradients, which then go through the network once.
        let top = try hidden.learning()
        let rows = try top.reshaped([row.tokens.count, network.configuration.hiddenSize])
        var total = 0.0
        for start in stride(from: 0, to: row.targets.count, by: chunk) {
            let places = start..<min(start + chunk, row.targets.count)
            let loss = try sum(rows, row, places, network) * scale
            total += Double(try loss.item())
            try loss.backward()
        }
        return (total, try top.gradient())
    }

    /// The summed cross-entropy of targets, in nats.
    private static func sum(
        _ hidden: Tensor, _ row: PackedRow, _ places: Range<Int>, _ network: DecoderNetwork
    ) throws -> Tensor {
        let predicting = try Tensor(integers: Array(row.predicting[places])).to(device: network.device)
        let targets = try Tensor(integers: row.targets[places].map(Int.init)).to(device: network.device)
        return try network.logits(hidden.rows(predicting)).crossEntropySum(targets)
    }
}

extension HeldOutSamples {
    /// The mean cross-entropy of all targets, in nats, with the network as it answers: nothing is dropped.
    func loss(_ network: DecoderNetwork) throws -> Double { try Self.loss(of: rows, network) }

    static func loss(of rows: [PackedRow], _ network: DecoderNetwork) throws -> Double {
        let adapters = network.projections.compactMap(\.linear.adapter)
        let usual = adapters.map(\.dropout)
        defer { for (adapter, dropout) in zip(adapters, usual) { adapter.dropout = dropout } }
        for adapter in adapters { adapter.dropout = 0 }
        let total = try rows.reduce(0) { $0 + (try RowLoss.value($1, network)) }
        return total / Double(max(rows.reduce(0) { $0 + $1.targets.count }, 1))
    }
}

/// One row on its way through the network.
private struct RowPass {
    let tokens: Tensor
    private let network: DecoderNetwork
    private let context: PackedAttention
    private let pass: DecoderNetwork.Pass

    init(_ row: PackedRow, _ network: DecoderNetwork, _ way: PackedAttention.Way) throws {
        func line(_ values: [Int]) throws -> Tensor {
            try Tensor(integers: values).to(device: network.device).reshaped([1, values.count])
        }
        self.network = network
        context = PackedAttention(tree: row.segments, way: way)
        tokens = try line(row.tokens.map(Int.init))
        pass = try network.pass(at: line(context.positions))
    }

    func layer(_ index: Int, _ state: Tensor) throws -> Tensor {
        try Task.checkCancellation()
        return try network.layer(index, state, pass, context)
    }

    /// The last layer's normalised states, `[1, tokens, hidden]`.
    func hidden() throws -> Tensor {
        var state = try network.embed(tokens)
        for index in 0..<network.configuration.layerCount { state = try layer(index, state) }
        return try network.normalised(state)
    }

    /// What each layer gets, and last what comes out; with the dropout seeds of each layer's adapters.
    func layerInputs() throws -> (inputs: [Tensor], seeds: [[UInt64]]) {
        var inputs = [try network.embed(tokens)]
        var seeds: [[UInt64]] = []
        for index in 0..<network.configuration.layerCount {
            seeds.append(network.adapters(ofLayer: index).map(\.dropoutSeed))
            inputs.append(try layer(index, inputs[index]))
        }
        return (inputs, seeds)
    }
}

extension Tensor {
    /// A copy without history whose gradient is kept.
    fileprivate func learning() throws -> Tensor {
        let copy = try detached()
        try copy.requireGradient()
        return copy
    }

    /// Sends a gradient of this tensor's shape back through what made it.
    fileprivate func backward(_ gradient: Tensor?) throws {
        guard let gradient else { return }
        let isOfSameType = gradient.dtype == dtype
        try backward(isOfSameType ? gradient : gradient.to(dtype))
    }
}
