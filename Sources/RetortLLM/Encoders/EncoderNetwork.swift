import RetortTensor

/// A BERT-like transformer encoder: every token sees all of its text. Names follow the checkpoint's keys.
///
/// Embeddings, norms and the residual sums are float32; products and attention use the requested precision.
final class EncoderNetwork {
    let configuration: EncoderConfiguration
    private let words, positions, types: Tensor
    private let norm: EncoderNorm
    private let layers: [EncoderLayer]
    /// The names of all tensors that were loaded.
    private(set) var names: Set<String> = []

    /// - Parameters:
    ///   - weights: the source, in float32.
    ///   - products: the precision of products, float32 or bfloat16.
    ///   - prefix: a prefix of the names, such as `bert.`.
    init(
        _ configuration: EncoderConfiguration, weights: any WeightSource, products: DType, prefix: String
    ) throws {
        self.configuration = configuration
        let recorder = NameRecorder(weights)
        let hidden = configuration.hiddenSize
        func table(_ name: String, _ rows: Int) throws -> Tensor {
            try recorder.tensor("\(prefix)embeddings.\(name)_embeddings.weight", [rows, hidden])
        }
        words = try table("word", configuration.vocabularySize)
        positions = try table("position", configuration.positions)
        types = try table("token_type", configuration.types)
        norm = try EncoderNorm(configuration, "\(prefix)embeddings.LayerNorm", recorder)
        layers = try (0..<configuration.layerCount).map {
            try EncoderLayer(configuration, "\(prefix)encoder.layer.\($0)", recorder, products)
        }
        names = recorder.names
    }

    /// Lays the weights out for this CPU's own kernels.
    func pack() throws { for layer in layers { try layer.pack() } }

    /// The last layer's states `[tokens, hidden]`.
    func states(_ batch: EncoderBatch) throws -> Tensor {
        var state = try words.embedding(batch.tokens) + types.embedding(batch.types)
        state = try norm(state, adding: positions.embedding(batch.positions))
        for layer in layers { state = try layer(state, batch.runs) }
        return state
    }
}

/// Records the names of the tensors that are loaded.
final class NameRecorder: WeightSource {
    private let source: any WeightSource
    private(set) var names: Set<String> = []

    init(_ source: any WeightSource) { self.source = source }

    func tensor(_ name: String, _ shape: [Int]) throws -> Tensor {
        names.insert(name)
        return try source.tensor(name, shape)
    }
}

/// Layer normalisation with a learned scale and shift.
final class EncoderNorm {
    private let weight, bias: Tensor
    private let epsilon: Double

    init(_ configuration: EncoderConfiguration, _ name: String, _ weights: any WeightSource) throws {
        weight = try weights.tensor("\(name).weight", [configuration.hiddenSize])
        bias = try weights.tensor("\(name).bias", [configuration.hiddenSize])
        epsilon = configuration.normEpsilon
    }

    func callAsFunction(_ x: Tensor, adding other: Tensor) throws -> Tensor {
        try x.layerNorm(adding: other, weight, bias: bias, epsilon: epsilon)
    }
}

/// Self-attention and a feed-forward layer, each with a residual and a norm after it (arXiv 1706.03762, section 3.1).
final class EncoderLayer {
    /// The projection to query, key and value in one.
    private let input: Linear
    private let output, up, down: Linear
    private let attentionNorm, norm: EncoderNorm
    private let heads: Int
    private let activation: Tensor.Activation

    private let products: DType

    init(
        _ configuration: EncoderConfiguration, _ name: String, _ weights: any WeightSource, _ products: DType
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
        attentionNorm = try EncoderNorm(configuration, "\(name).attention.output.LayerNorm", weights)
        up = try weights.linear("\(name).intermediate.dense", from: hidden, to: inner, bias: .present).in(products)
        down = try weights.linear("\(name).output.dense", from: inner, to: hidden, bias: .present).in(products)
        norm = try EncoderNorm(configuration, "\(name).output.LayerNorm", weights)
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
        let width = projected.shape[1] / 3
        let parts = try runs.map { run in
            let own = try projected.narrowed(0, run.range)
            // [texts, heads, length, dim]
            let heads = try (0..<3).map { part in
                try own.narrowed(1, part * width..<(part + 1) * width)
                    .reshaped([run.count, run.length, self.heads, width / self.heads]).transposed(1, 2)
            }
            return try Tensor.attention(heads[0], heads[1], heads[2], mask: .none)
                .transposed(1, 2).reshaped([run.count * run.length, width])
        }
        return parts.count == 1 ? parts[0] : try Tensor.concatenated(parts, axis: 0)
    }
}

extension Linear {
    /// The same projection in another precision.
    func `in`(_ dtype: DType) throws -> Linear { Linear(weight: try weight.to(dtype), bias: try bias?.to(dtype)) }
}
