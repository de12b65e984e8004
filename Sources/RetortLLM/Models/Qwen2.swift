import RetortTensor

/// The Qwen2 and Qwen2.5 family (arXiv 2407.10671): a decoder with grouped-query attention, rotary positions, SwiGLU,
/// pre-normalisation, and biases on query, key and value only. Property names follow the checkpoint's keys.
public final class Qwen2Model {
    /// The shape of the network.
    public let configuration: Qwen2Configuration
    /// Where the weights are.
    public let device: Device
    /// `[vocabulary, hidden]`.
    let embedTokens: Tensor
    let layers: [Qwen2Block]
    let norm: Qwen2Norm
    /// `[vocabulary, hidden]`; the embedding itself when tied.
    let head: Tensor
    private let rotary: RotaryEmbedding

    /// The precision of products and attention, when it is not the weights' own.
    ///
    /// Training sets bfloat16 here over float32 weights: gradients, moments and the residual stream stay float32.
    public var precision: DType? {
        didSet { for (_, linear) in projections { linear.precision = precision } }
    }

    /// Builds the network from a source of weights.
    /// - Throws: the source's error for a missing tensor or one of another shape.
    public init(_ configuration: Qwen2Configuration, weights: any WeightSource) throws {
        self.configuration = configuration
        let embedding = try weights.tensor(
            "model.embed_tokens.weight", [configuration.vocabularySize, configuration.hiddenSize])
        embedTokens = embedding
        device = embedding.device
        layers = try (0..<configuration.layerCount).map {
            try Qwen2Block(configuration, index: $0, weights: weights)
        }
        norm = try Qwen2Norm(configuration, "model.norm", weights)
        head =
            configuration.tiesWordEmbeddings
            ? embedding
            : try weights.tensor("lm_head.weight", [configuration.vocabularySize, configuration.hiddenSize])
        rotary = try RotaryEmbedding(
            dimension: configuration.headDimension, base: configuration.ropeTheta, device: embedding.device)
    }

    /// The last layer's normalised states `[batch, length, hidden]` for int64 tokens and positions `[batch, length]`.
    public func hidden(_ tokens: Tensor, positions: Tensor, context: some AttentionContext) throws -> Tensor {
        var state = try embedTokens.embedding(tokens)
        let angles = try rotary.angles(at: positions, dtype: precision ?? state.dtype)
        for layer in layers { state = try layer(state, angles, context) }
        return try norm(state)
    }

    /// Scores over the vocabulary, for any leading shape: `[…, hidden] → […, vocabulary]`.
    public func logits(_ hidden: Tensor) throws -> Tensor {
        guard let precision else { return try hidden.linear(head) }
        return try hidden.to(precision).linear(head.to(precision))
    }

    /// All weights by their checkpoint keys, in a fixed order; a tied head is not listed twice.
    public var parameters: [(name: String, tensor: Tensor)] {
        var list = [("model.embed_tokens.weight", embedTokens)]
        for layer in layers { list += layer.parameters }
        list.append(("model.norm.weight", norm.weight))
        if !configuration.tiesWordEmbeddings { list.append(("lm_head.weight", head)) }
        return list.map { (name: $0.0, tensor: $0.1) }
    }

    /// The projections an adapter can sit beside, by their checkpoint names without `.weight`.
    public var projections: [(name: String, linear: Linear)] { layers.flatMap(\.projections) }

    /// How many weights there are.
    public var parameterCount: Int { parameters.reduce(0) { $0 + $1.tensor.count } }
}

/// One layer: attention and feed-forward, each behind a normalisation and around a residual.
final class Qwen2Block {
    private let inputLayernorm: Qwen2Norm
    private let selfAttention: Qwen2Attention
    private let postAttentionLayernorm: Qwen2Norm
    private let mlp: Qwen2MLP

    init(_ configuration: Qwen2Configuration, index: Int, weights: any WeightSource) throws {
        let key = "model.layers.\(index)"
        inputLayernorm = try Qwen2Norm(configuration, "\(key).input_layernorm", weights)
        selfAttention = try Qwen2Attention(configuration, layer: index, "\(key).self_attn", weights)
        postAttentionLayernorm = try Qwen2Norm(configuration, "\(key).post_attention_layernorm", weights)
        mlp = try Qwen2MLP(configuration, "\(key).mlp", weights)
    }

    func callAsFunction(
        _ x: Tensor, _ angles: RotaryEmbedding.Angles, _ context: some AttentionContext
    ) throws -> Tensor {
        let attended = try x + selfAttention(inputLayernorm(x), angles, context)
        return try attended + mlp(postAttentionLayernorm(attended))
    }

    var projections: [(name: String, linear: Linear)] { selfAttention.projections + mlp.projections }

    var parameters: [(String, Tensor)] {
        let linears = projections.flatMap { name, linear in
            [("\(name).weight", linear.weight)] + (linear.bias.map { [("\(name).bias", $0)] } ?? [])
        }
        return [
            (inputLayernorm.name, inputLayernorm.weight), (postAttentionLayernorm.name, postAttentionLayernorm.weight),
        ]
            + linears
    }
}

/// Grouped-query self-attention.
final class Qwen2Attention {
    private let query, key, value, output: Linear
    private let name: String
    private let layer: Int
    private let dimension: Int

    init(_ configuration: Qwen2Configuration, layer: Int, _ name: String, _ weights: any WeightSource) throws {
        self.name = name
        self.layer = layer
        dimension = configuration.headDimension
        let hidden = configuration.hiddenSize
        let queries = configuration.headCount * dimension
        let keys = configuration.keyValueHeadCount * dimension
        query = try weights.linear("\(name).q_proj", from: hidden, to: queries, bias: .present)
        key = try weights.linear("\(name).k_proj", from: hidden, to: keys, bias: .present)
        value = try weights.linear("\(name).v_proj", from: hidden, to: keys, bias: .present)
        output = try weights.linear("\(name).o_proj", from: queries, to: hidden, bias: .absent)
    }

    func callAsFunction(
        _ x: Tensor, _ angles: RotaryEmbedding.Angles, _ context: some AttentionContext
    ) throws -> Tensor {
        let attended = try context.attend(
            layer: layer, query: RotaryEmbedding.rotate(heads(query(x)), by: angles),
            key: RotaryEmbedding.rotate(heads(key(x)), by: angles), value: heads(value(x)))
        let joined = try attended.transposed(1, 2).reshaped([x.shape[0], x.shape[1], -1])
        return try output(joined)
    }

    /// `[batch, length, heads · dim] → [batch, heads, length, dim]`.
    private func heads(_ x: Tensor) throws -> Tensor {
        try x.reshaped([x.shape[0], x.shape[1], -1, dimension]).transposed(1, 2)
    }

    var projections: [(name: String, linear: Linear)] {
        [
            ("\(name).q_proj", query), ("\(name).k_proj", key), ("\(name).v_proj", value), ("\(name).o_proj", output),
        ]
    }
}

/// The gated feed-forward layer (SwiGLU, arXiv 2002.05202).
final class Qwen2MLP {
    private let gate, up, down: Linear
    private let name: String

    init(_ configuration: Qwen2Configuration, _ name: String, _ weights: any WeightSource) throws {
        self.name = name
        let (hidden, inner) = (configuration.hiddenSize, configuration.intermediateSize)
        gate = try weights.linear("\(name).gate_proj", from: hidden, to: inner, bias: .absent)
        up = try weights.linear("\(name).up_proj", from: hidden, to: inner, bias: .absent)
        down = try weights.linear("\(name).down_proj", from: inner, to: hidden, bias: .absent)
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor { try down(gate(x).silu() * up(x)) }

    var projections: [(name: String, linear: Linear)] {
        [("\(name).gate_proj", gate), ("\(name).up_proj", up), ("\(name).down_proj", down)]
    }
}

/// Root-mean-square normalisation with a learned scale.
final class Qwen2Norm {
    let name: String
    let weight: Tensor
    private let epsilon: Double

    init(_ configuration: Qwen2Configuration, _ name: String, _ weights: any WeightSource) throws {
        self.name = "\(name).weight"
        weight = try weights.tensor(self.name, [configuration.hiddenSize])
        epsilon = configuration.rmsNormEpsilon
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor { try x.rmsNorm(weight, epsilon: epsilon) }
}
