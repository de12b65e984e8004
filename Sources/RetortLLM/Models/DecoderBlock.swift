import RetortTensor

/// One layer: attention and feed-forward, each around a residual, with norms where the family has them.
final class DecoderBlock {
    /// Before attention and feed-forward.
    private let inputNorm, feedForwardNorm: Norm?
    /// Behind them.
    private let attentionNorm, outputNorm: Norm?
    private let attention: Attention
    private let feedForward: FeedForward
    /// What is multiplied into what each part adds.
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
        attention = try Attention(configuration, layer: index, "\(key).self_attn", weights)
        feedForward = try FeedForward(configuration, "\(key).\(names.feedForward)", weights)
        residualScale = configuration.residualScale
    }

    func callAsFunction(
        _ x: Tensor, _ angles: RotaryEmbedding.Angles, _ context: some AttentionContext
    ) throws -> Tensor {
        let attended = try added(attention(inputNorm?(x) ?? x, angles, context), behind: attentionNorm)
        let (middle, normed) = try feedForwardNorm?.adding(attended, to: x) ?? same(x + attended)
        return try middle + added(feedForward(normed), behind: outputNorm)
    }

    /// What a part adds to the residual.
    private func added(_ output: Tensor, behind norm: Norm?) throws -> Tensor {
        let output = try norm?(output) ?? output
        return try residualScale.map { try output * $0 } ?? output
    }

    private func same(_ sum: Tensor) -> (sum: Tensor, norm: Tensor) { (sum, sum) }

    var projections: [(name: String, linear: Linear)] { attention.projections + feedForward.projections }

    var parameters: [(String, Tensor)] {
        let linears = projections.flatMap { name, linear in
            [("\(name).weight", linear.weight)] + (linear.bias.map { [("\(name).bias", $0)] } ?? [])
        }
        return allNorms.map { ($0.name, $0.weight) } + linears
    }

    var allNorms: [Norm] {
        [inputNorm, feedForwardNorm, attentionNorm, outputNorm].compactMap(\.self) + attention.norms
    }
}
