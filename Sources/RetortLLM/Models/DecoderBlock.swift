import RetortTensor

/// One layer: attention (or what replaces it) and feed-forward, each with a residual, and with norms where the family
/// has them.
final class DecoderBlock {
    /// The norms before attention and feed-forward.
    private let inputNorm, feedForwardNorm: Norm?
    /// The norms after them.
    private let attentionNorm, outputNorm: Norm?
    private let mixer: any Mixer
    private let feedForward: FeedForward
    /// The part that adds the second embedding, in families that have one.
    private let embedding: LayerEmbeddingPart?
    /// The factor on the layer's output, `[1]`, if there is one; it is stored and not learned.
    let scale: (name: String, tensor: Tensor)?
    /// The factor on what each part adds to the residual.
    private let residualScale: Double?

    init(_ configuration: DecoderConfiguration, index: Int, weights: any WeightSource) throws {
        let key = "model.layers.\(index)"
        let names = configuration.names
        func norm(_ name: String?) throws -> Norm? {
            try name.map { try Norm(configuration, "\(key).\($0)", weights) }
        }
        inputNorm = try norm(names.inputNorm)
        attentionNorm = try norm(names.attentionNorm)
        feedForwardNorm = try norm(names.feedForwardNorm)
        outputNorm = try norm(names.outputNorm)
        mixer = try Self.mixer(configuration, index, "\(key).\(configuration.mixerName(ofLayer: index))", weights)
        feedForward = try FeedForward(configuration, layer: index, "\(key).\(names.feedForward)", weights)
        embedding = try configuration.layerEmbedding.map {
            try LayerEmbeddingPart(configuration, width: $0.width, key, weights)
        }
        let scaleName = "\(key).layer_scalar"
        scale = configuration.scalesLayers ? (scaleName, try weights.tensor(scaleName, [1])) : nil
        residualScale = configuration.residualScale
    }

    private static func mixer(
        _ configuration: DecoderConfiguration, _ layer: Int, _ name: String, _ weights: any WeightSource
    ) throws -> any Mixer {
        switch configuration.carrying[layer] {
        case nil: return try Attention(configuration, layer: layer, name, weights)
        case .convolution(let taps, let bias):
            return try ShortConvolution(configuration, layer: layer, taps: taps, bias: bias, name, weights)
        case .delta(let shape): return try GatedDelta(configuration, layer: layer, shape, name, weights)
        }
    }

    func callAsFunction(_ x: Tensor, _ pass: LayerPass, _ context: some AttentionContext) throws -> Tensor {
        let attended = try added(mixer(inputNorm?(x) ?? x, pass, context), behind: attentionNorm)
        let (middle, normed) = try feedForwardNorm?.adding(attended, to: x) ?? same(x + attended)
        var state = try middle + added(feedForward(normed), behind: outputNorm)
        if let embedding, let input = pass.embedding { state = try state + embedding(state, input) }
        guard let factor = scale?.tensor else { return state }
        return try state * (factor.dtype == state.dtype ? factor : factor.to(state.dtype))
    }

    /// The term that a part adds to the residual.
    private func added(_ output: Tensor, behind norm: Norm?) throws -> Tensor {
        let output = try norm?(output) ?? output
        return try residualScale.map { try output * $0 } ?? output
    }

    private func same(_ sum: Tensor) -> (sum: Tensor, norm: Tensor) { (sum, sum) }

    var projections: [(name: String, linear: Linear)] {
        mixer.projections + feedForward.projections + (embedding?.projections ?? [])
    }

    var parameters: [(String, Tensor)] {
        let linears = projections.flatMap { name, linear in
            [("\(name).weight", linear.weight)] + (linear.bias.map { [("\(name).bias", $0)] } ?? [])
        }
        let others = mixer.others + [scale].compactMap(\.self)
        return allNorms.map { ($0.name, $0.weight) } + linears + others.map { ($0.name, $0.tensor) }
    }

    var allNorms: [Norm] {
        [inputNorm, feedForwardNorm, attentionNorm, outputNorm, embedding?.norm].compactMap(\.self) + mixer.norms
    }
}
