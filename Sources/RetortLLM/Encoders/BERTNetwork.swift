import RetortTensor

/// A BERT-like transformer encoder: every token sees all of its text. Names follow the checkpoint's keys.
///
/// Embeddings, norms and the residual sums are float32; products and attention use the requested precision.
final class BERTNetwork: TextNetwork {
    private let words, positions, types: Tensor
    private let norm: EncoderNorm
    private let layers: [BERTLayer]
    let names: Set<String>

    /// - Parameters:
    ///   - weights: the source, in float32.
    ///   - products: the precision of products, float32 or bfloat16.
    ///   - prefix: a prefix of the names, such as `bert.`.
    init(
        _ configuration: BERTConfiguration, weights: any WeightSource, products: DType, prefix: String
    ) throws {
        let recorder = NameRecorder(weights)
        let hidden = configuration.hiddenSize
        func table(_ name: String, _ rows: Int) throws -> Tensor {
            try recorder.tensor("\(prefix)embeddings.\(name)_embeddings.weight", [rows, hidden])
        }
        words = try table("word", configuration.vocabularySize)
        positions = try table("position", configuration.positions)
        types = try table("token_type", configuration.types)
        norm = try configuration.norm("\(prefix)embeddings.LayerNorm", recorder)
        layers = try (0..<configuration.layerCount).map {
            try BERTLayer(configuration, "\(prefix)encoder.layer.\($0)", recorder, products)
        }
        names = recorder.names
    }

    func pack() throws { for layer in layers { try layer.pack() } }

    func states(_ batch: EncoderBatch) throws -> Tensor {
        var state = try words.embedding(batch.tokens) + types.embedding(batch.types)
        state = try norm(state, adding: positions.embedding(batch.positions))
        for layer in layers { state = try layer(state, batch.runs) }
        return state
    }
}

extension BERTConfiguration {
    fileprivate func norm(_ name: String, _ weights: any WeightSource) throws -> EncoderNorm {
        try EncoderNorm(name, width: hiddenSize, bias: .present, epsilon: normEpsilon, weights)
    }
}

/// Self-attention and a feed-forward layer, each with a residual and a norm after it (arXiv 1706.03762, section 3.1).
private final class BERTLayer {
    /// The projection to query, key and value in one.
    private let input: Linear
    private let output, up, down: Linear
    private let attentionNorm, norm: EncoderNorm
    private let heads: Int
    private let activation: Tensor.Activation

    private let products: DType

    init(
        _ configuration: BERTConfiguration, _ name: String, _ weights: any WeightSource, _ products: DType
    ) throws {
        self.products = products
        let (hidden, inner) = (configuration.hiddenSize, configuration.intermediateSize)
        let parts = try ["query", "key", "value"].map {
            try weights.linear("\(name).attention.self.\($0)", from: hidden, to: hidden, bias: .present).in(products)
        }
        input = Linear(
            weight: try Tensor.concatenated(parts.map(\.weight), axis: 0),
            bias: try Tensor.concatenated(parts.compactMap(\.bias), axis: 0))
        output = try weights.linear("\(name).attention.output.dense", from: hidden, to: hidden, bias: .present).in(
            products)
        attentionNorm = try configuration.norm("\(name).attention.output.LayerNorm", weights)
        up = try weights.linear("\(name).intermediate.dense", from: hidden, to: inner, bias: .present).in(products)
        down = try weights.linear("\(name).output.dense", from: inner, to: hidden, bias: .present).in(products)
        norm = try configuration.norm("\(name).output.LayerNorm", weights)
        heads = configuration.headCount
        activation = configuration.activation
    }

    func pack() throws { for linear in [input, output, up, down] { try linear.pack(.bfloat16) } }

    func callAsFunction(_ x: Tensor, _ runs: [EncoderBatch.Run]) throws -> Tensor {
        let attended = try attentionNorm(x, adding: output(attend(input(x.to(products)), runs)))
        return try norm(attended, adding: down(up(attended.to(products)).activated(by: activation)))
    }

    /// `[tokens, 3 · hidden] → [tokens, hidden]`, text by text.
    private func attend(_ projected: Tensor, _ runs: [EncoderBatch.Run]) throws -> Tensor {
        let (tokens, width) = (projected.shape[0], projected.shape[1] / 3)
        let parts = try projected.split([width, width, width], axis: 1).map {
            try $0.reshaped([1, tokens, heads, width / heads]).transposed(1, 2)
        }
        let attended = try runs.attend(parts[0], parts[1], parts[2]) { try Tensor.attention($0, $1, $2, mask: .none) }
        return try attended.transposed(1, 2).reshaped([tokens, width])
    }
}
