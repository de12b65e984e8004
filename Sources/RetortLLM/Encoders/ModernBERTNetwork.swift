import RetortTensor

/// A ModernBERT encoder (arXiv 2412.13663). Names follow the checkpoint's keys.
final class ModernBERTNetwork: TextNetwork {
    private let words: Tensor
    private let norm, finalNorm: EncoderNorm
    private let layers: [ModernBERTLayer]
    private let rotary, localRotary: RotaryEmbedding
    let names: Set<String>

    /// - Parameters:
    ///   - weights: the source, in float32.
    ///   - products: the precision of products, float32 or bfloat16.
    ///   - prefix: a prefix of the names, such as `model.`.
    init(
        _ configuration: ModernBERTConfiguration, weights: any WeightSource, products: DType, prefix: String
    ) throws {
        let recorder = NameRecorder(weights)
        words = try recorder.tensor(
            "\(prefix)embeddings.tok_embeddings.weight", [configuration.vocabularySize, configuration.hiddenSize])
        norm = try configuration.norm("\(prefix)embeddings.norm", recorder)
        layers = try (0..<configuration.layerCount).map {
            try ModernBERTLayer(configuration, $0, "\(prefix)layers.\($0)", recorder, products)
        }
        finalNorm = try configuration.norm("\(prefix)final_norm", recorder)
        let dimension = configuration.hiddenSize / configuration.headCount
        rotary = try RotaryEmbedding(configuration.rotary, dimension: dimension, device: words.device)
        localRotary = try RotaryEmbedding(configuration.localRotary, dimension: dimension, device: words.device)
        names = recorder.names
    }

    func pack() throws { for layer in layers { try layer.pack() } }

    func states(_ batch: EncoderBatch) throws -> Tensor {
        let positions = try batch.positions.reshaped([1, -1])
        let angles = try rotary.angles(at: positions, dtype: .float32)
        let localAngles = try localRotary.angles(at: positions, dtype: .float32)
        let windows = AttentionWindows()
        var state = try norm(words.embedding(batch.tokens))
        for layer in layers {
            state = try layer(state, batch.runs, layer.reach == nil ? angles : localAngles, windows)
        }
        return try finalNorm(state)
    }
}

extension ModernBERTConfiguration {
    func norm(_ name: String, _ weights: any WeightSource) throws -> EncoderNorm {
        try EncoderNorm(
            name, width: hiddenSize, bias: hasNormBias ? .present : .absent, epsilon: normEpsilon, weights)
    }
}

/// Self-attention and a gated feed-forward layer (GeGLU, arXiv 2002.05202), each with a residual and a norm before it.
private final class ModernBERTLayer {
    /// How many tokens a token sees on either side; nil sees the whole text.
    let reach: Int?
    /// The norm before attention; the first layer has none, since the embeddings are normalised already.
    private let attentionNorm: EncoderNorm?
    private let feedForwardNorm: EncoderNorm
    /// The projection to query, key and value, and the one to gate and value of the feed-forward layer.
    private let input, gate: Linear
    private let output, down: Linear
    private let heads: Int
    private let activation: Tensor.Activation
    private let products: DType

    init(
        _ configuration: ModernBERTConfiguration, _ index: Int, _ name: String, _ weights: any WeightSource,
        _ products: DType
    ) throws {
        let (hidden, inner) = (configuration.hiddenSize, configuration.intermediateSize)
        func linear(_ part: String, _ inputs: Int, _ outputs: Int, _ hasBias: Bool) throws -> Linear {
            try weights.linear("\(name).\(part)", from: inputs, to: outputs, bias: hasBias ? .present : .absent)
                .in(products)
        }
        reach = configuration.reaches[index]
        attentionNorm = index == 0 ? nil : try configuration.norm("\(name).attn_norm", weights)
        input = try linear("attn.Wqkv", hidden, 3 * hidden, configuration.hasAttentionBias)
        output = try linear("attn.Wo", hidden, hidden, configuration.hasAttentionBias)
        feedForwardNorm = try configuration.norm("\(name).mlp_norm", weights)
        gate = try linear("mlp.Wi", hidden, 2 * inner, configuration.hasFeedForwardBias)
        down = try linear("mlp.Wo", inner, hidden, configuration.hasFeedForwardBias)
        heads = configuration.headCount
        activation = configuration.activation
        self.products = products
    }

    func pack() throws { for linear in [input, output, gate, down] { try linear.pack(.bfloat16) } }

    func callAsFunction(
        _ x: Tensor, _ runs: [EncoderBatch.Run], _ angles: RotaryEmbedding.Angles, _ windows: AttentionWindows
    ) throws -> Tensor {
        let projected = try input((attentionNorm?(x) ?? x).to(products))
        let attended = try x + output(attend(projected, runs, angles, windows))
        let inner = try gate(feedForwardNorm(attended).to(products))
        let width = inner.shape[1] / 2
        let parts = try inner.split([width, width], axis: 1)
        return try attended + down(parts[0].activated(by: activation) * parts[1])
    }

    /// `[tokens, 3 · hidden] → [tokens, hidden]`, text by text.
    private func attend(
        _ projected: Tensor, _ runs: [EncoderBatch.Run], _ angles: RotaryEmbedding.Angles, _ windows: AttentionWindows
    ) throws -> Tensor {
        let (tokens, width) = (projected.shape[0], projected.shape[1] / 3)
        let all = try projected.reshaped([1, tokens, 3 * heads, width / heads]).transposed(1, 2)
        // Queries and keys turn together, with angles in float32.
        let turned = try RotaryEmbedding.rotate(all.narrowed(1, 0..<2 * heads), by: angles).to(products)
        let attended = try runs.attend(
            turned.narrowed(1, 0..<heads), turned.narrowed(1, heads..<2 * heads),
            all.narrowed(1, 2 * heads..<3 * heads)
        ) { try windows.attend($0, $1, $2, reach: reach) }
        return try attended.transposed(1, 2).reshaped([tokens, width])
    }
}
