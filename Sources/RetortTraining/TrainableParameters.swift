import RetortCore
import RetortLLM
import RetortTensor

/// The weights that learn, by name, with their moments.
final class TrainableParameters {
    /// In a fixed order.
    let named: [(name: String, state: AdamWState)]

    init(_ network: DecoderNetwork, _ configuration: TrainingConfiguration) throws {
        switch configuration.method {
        case .full:
            named = try network.learnedParameters.map { ($0.name, try AdamWState($0.tensor.requireGradient())) }
        case .lora(let lora):
            for parameter in network.parameters { try parameter.tensor.freeze() }
            named = try Self.attach(lora, to: network, seed: configuration.seed).map {
                ($0.name, try AdamWState($0.tensor.requireGradient()))
            }
        }
    }

    /// Puts fresh adapters beside the projections; A as PEFT draws it (Kaiming uniform with a = √5), B zero.
    private static func attach(
        _ lora: LoRAConfiguration, to network: DecoderNetwork, seed: UInt64
    ) throws -> [(name: String, tensor: Tensor)] {
        var list: [(name: String, tensor: Tensor)] = []
        for (name, linear) in network.projections {
            if let targets = lora.targets, !targets.contains(where: { name.hasSuffix($0) }) { continue }
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
        try named.map { _, state in
            let weights = state.parameter
            let copy = try Tensor.zeros(weights.shape, dtype: weights.dtype, device: weights.device)
            try copy.assign(weights.detached())
            return copy
        }
    }

    /// Puts copies back.
    func assign(_ copies: [Tensor]) throws {
        for ((_, state), copy) in zip(named, copies) { try state.parameter.assign(copy) }
    }

    /// Puts copies back, with moments of zero: as if nothing had been trained.
    func restart(from copies: [Tensor]) throws {
        clearGradients()
        try assign(copies)
        for (_, state) in named {
            for moment in [state.mean, state.variance] {
                try moment.assign(Tensor.zeros(moment.shape, dtype: moment.dtype, device: moment.device))
            }
        }
    }

    /// Forgets what gradients there are.
    func clearGradients() { for (_, state) in named { state.parameter.clearGradient() } }

    /// Clips, steps and clears the gradients.
    /// - Returns: the gradient norm before clipping.
    /// - Throws: `TrainerError.gradientNotFinite` before anything is changed: one such step would make all weights and moments, and
    ///   the next checkpoint, no numbers for good.
    func update(_ number: Int, rate: Double, _ configuration: TrainingConfiguration) throws -> Double {
        var decayed: (states: [AdamWState], gradients: [Tensor]) = ([], [])
        var plain: (states: [AdamWState], gradients: [Tensor]) = ([], [])
        for (_, state) in named {
            guard let gradient = try state.parameter.gradient() else { continue }
            // Weight decay pulls matrices only: scales and biases have no direction to lose.
            if state.parameter.rank >= 2 {
                decayed.states.append(state)
                decayed.gradients.append(gradient)
            } else {
                plain.states.append(state)
                plain.gradients.append(gradient)
            }
        }
        let gradients = decayed.gradients + plain.gradients
        let norm = try Tensor.norm(gradients)
        guard norm.isFinite else { throw TrainerError.gradientNotFinite(update: number, norm: norm) }
        if norm > configuration.clip {
            for gradient in gradients { try gradient.scale(by: configuration.clip / (norm + 1e-6)) }
        }
        for (group, decay) in [(decayed, configuration.weightDecay), (plain, 0)] {
            try adamWStep(
                group.states, gradients: group.gradients, step: number, rate: rate, beta2: configuration.beta2,
                decay: decay)
        }
        clearGradients()
        return norm
    }
}
