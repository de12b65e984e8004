import RetortCore
import RetortLLM
import RetortTensor

/// The weights that learn, by name, with their moments, or those of a part of them.
final class TrainableParameters {
    /// AdamW's two moments.
    enum Moment: String, CaseIterable { case mean, variance }

    /// The moments of some elements, with these.
    private struct Held {
        let piece: OptimizerShares.Piece
        let state: AdamWState
        /// Whether these are all elements of the weight.
        let isWhole: Bool
    }

    /// In a fixed order.
    let named: [(name: String, weight: Tensor)]
    private var held: [Held] = []

    /// - Parameter holdsMoments: whether there are moments of all weights from the beginning.
    init(_ network: DecoderNetwork, _ configuration: TrainingConfiguration, holdsMoments: Bool = true) throws {
        switch configuration.method {
        case .full: named = try network.learnedParameters.map { ($0.name, try $0.tensor.requireGradient()) }
        case .lora(let lora):
            for parameter in network.parameters { try parameter.tensor.freeze() }
            named = try Self.attach(lora, to: network, seed: configuration.seed).map {
                ($0.name, try $0.tensor.requireGradient())
            }
        }
        if holdsMoments { try holdAll() }
    }

    /// How many elements each weight has.
    var counts: [Int] { named.map(\.weight.count) }

    /// Whether moments can be divided among processes: they are sent as float32.
    var isFloat32: Bool { named.allSatisfy { $0.weight.dtype == .float32 } }

    // MARK: Moments

    /// How many elements have their moments here.
    var heldCount: Int { held.reduce(0) { $0 + $1.piece.elements.count } }

    /// The memory of the moments here, in bytes.
    var heldBytes: Int { held.reduce(0) { $0 + $1.state.mean.byteCount + $1.state.variance.byteCount } }

    /// Holds moments of all weights, of zero where they are new.
    func holdAll() throws {
        try hold(counts.enumerated().map { OptimizerShares.Piece(weight: $0, elements: 0..<$1) })
    }

    /// Holds moments of zero for these elements, and no others.
    func hold(_ pieces: [OptimizerShares.Piece]) throws {
        held = []
        for piece in pieces {
            let weight = named[piece.weight].weight
            let isWhole = piece.elements.count == weight.count
            held.append(
                Held(
                    piece: piece, state: try AdamWState(isWhole ? weight : weight.flatView(piece.elements)),
                    isWhole: isWhole))
        }
    }

    /// Forgets all moments.
    func release() { held = [] }

    /// A moment of a weight of which all moments are here.
    func moment(_ moment: Moment, of weight: Int) throws -> Tensor {
        guard let held = held.first(where: { $0.piece.weight == weight && $0.isWhole }) else {
            throw TeamError.outOfStep("the moments of \(named[weight].name) are not here")
        }
        return held.state[moment]
    }

    /// Where moments that are here lie, as far as they belong to some elements.
    /// - Returns: flat views, each with the place of its first element within the piece.
    func views(_ moment: Moment, of piece: OptimizerShares.Piece) throws -> [(offset: Int, view: Tensor)] {
        try held.filter { $0.piece.weight == piece.weight }.compactMap { held in
            let common = held.piece.elements.clamped(to: piece.elements)
            guard !common.isEmpty else { return nil }
            let start = held.piece.elements.lowerBound
            return (
                common.lowerBound - piece.elements.lowerBound,
                try held.state[moment].flatView(common.lowerBound - start..<common.upperBound - start)
            )
        }
    }

    /// Puts fresh adapters beside the projections; A as PEFT draws it (Kaiming uniform with a = √5), B zero.
    private static func attach(
        _ lora: LoRAConfiguration, to network: DecoderNetwork, seed: UInt64
    ) throws -> [(name: String, tensor: Tensor)] {
        var list: [(name: String, tensor: Tensor)] = []
        for (name, linear) in network.projections where lora.reaches(name) {
            let (outputs, inputs) = (linear.weight.shape[0], linear.weight.shape[1])
            let bound = 1 / Double(inputs).squareRoot()
            let down = try Tensor.uniform(
                [lora.rank, inputs], in: -bound..<bound, seed: seed ^ StableHash.of(name)
            ).to(device: network.device)
            let up = try Tensor.zeros([outputs, lora.rank], device: network.device)
            linear.adapter = LowRankAdapter(
                down: down, up: up, scale: lora.alpha / Double(lora.rank), dropout: lora.dropout)
            list.append(("\(name).lora_A.weight", down))
            list.append(("\(name).lora_B.weight", up))
        }
        guard !list.isEmpty else { throw TrainerError.noTarget(names: lora.targets ?? []) }
        return list
    }

    /// The weights as they are now, in tensors of their own.
    func copies() throws -> [Tensor] {
        try named.map { _, weights in
            let copy = try Tensor.zeros(weights.shape, dtype: weights.dtype, device: weights.device)
            try copy.assign(weights.detached())
            return copy
        }
    }

    /// Puts copies back.
    func assign(_ copies: [Tensor]) throws {
        for ((_, weight), copy) in zip(named, copies) { try weight.assign(copy) }
    }

    /// Puts copies back, with moments of zero: as if nothing had been trained.
    func restart(from copies: [Tensor]) throws {
        clearGradients()
        try assign(copies)
        for held in held {
            for moment in [held.state.mean, held.state.variance] {
                try moment.assign(Tensor.zeros(moment.shape, dtype: moment.dtype, device: moment.device))
            }
        }
    }

    /// Forgets what gradients there are.
    func clearGradients() { for (_, weight) in named { weight.clearGradient() } }

    /// Clips, steps the weights whose moments are here, and clears the gradients.
    /// - Returns: the gradient norm before clipping.
    /// - Throws: `TrainerError.gradientNotFinite` before anything is changed: one such step would make all weights and moments, and
    ///   the next checkpoint, no numbers for good.
    func update(_ number: Int, rate: Double, _ configuration: TrainingConfiguration) throws -> Double {
        let gradients = try named.map { try $0.weight.gradient() }
        // Weight decay pulls matrices only: scales and biases have no direction to lose.
        let decays = named.map { $0.weight.rank >= 2 }
        let all = [true, false].flatMap { kind in
            zip(gradients, decays).compactMap { gradient, decays in decays == kind ? gradient : nil }
        }
        let norm = try Tensor.norm(all)
        guard norm.isFinite else { throw TrainerError.gradientNotFinite(update: number, norm: norm) }
        if norm > configuration.clip {
            for gradient in all { try gradient.scale(by: configuration.clip / (norm + 1e-6)) }
        }
        for kind in [true, false] {
            var group: (states: [AdamWState], gradients: [Tensor]) = ([], [])
            for held in held where decays[held.piece.weight] == kind {
                guard let gradient = gradients[held.piece.weight] else { continue }
                group.states.append(held.state)
                group.gradients.append(held.isWhole ? gradient : try Self.part(gradient, held.piece.elements))
            }
            try adamWStep(
                group.states, gradients: group.gradients, step: number, rate: rate, beta2: configuration.beta2,
                decay: kind ? configuration.weightDecay : 0)
        }
        clearGradients()
        return norm
    }

    /// Some elements of a gradient, which may lie in another order than its weight.
    private static func part(_ gradient: Tensor, _ elements: Range<Int>) throws -> Tensor {
        try gradient.detached().contiguous().flatView(elements)
    }
}

extension AdamWState {
    fileprivate subscript(_ moment: TrainableParameters.Moment) -> Tensor {
        switch moment {
        case .mean: mean
        case .variance: variance
        }
    }
}
