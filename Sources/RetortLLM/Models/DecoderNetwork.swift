import RetortTensor

/// A decoder-only transformer with grouped-query attention, rotary positions, gated feed-forward layers and
/// root-mean-square norms: the one network of all families. What sets a family apart is in its configuration.
/// Property names follow the checkpoint's keys.
public final class DecoderNetwork {
    /// The shape of the network.
    public let configuration: DecoderConfiguration
    /// Where the weights are.
    public let device: Device
    /// `[vocabulary, hidden]`.
    private(set) var embedTokens: Tensor
    let layers: [DecoderBlock]
    let norm: Norm
    /// `[vocabulary, hidden]`; the embedding itself when tied.
    private(set) var head: Tensor
    private var packedHead: PackedWeight?
    private let rotary: RotaryEmbedding
    private let localRotary: RotaryEmbedding?

    /// The precision of products and attention, when it is not the weights' own.
    ///
    /// Training sets bfloat16 here over float32 weights: gradients, moments and the residual stream stay float32.
    public var precision: DType? {
        didSet { for (_, linear) in projections { linear.precision = precision } }
    }

    /// Which tokens of the next passes belong to which of the adapters that are served.
    var routing: AdapterRouting? {
        didSet { for (_, linear) in projections { linear.routing = routing } }
    }

    /// Builds the network from a source of weights.
    /// - Throws: the source's error for a missing tensor or one of another shape.
    public init(_ configuration: DecoderConfiguration, weights: any WeightSource) throws {
        self.configuration = configuration
        let embedding = try weights.tensor(
            "model.embed_tokens.weight", [configuration.vocabularySize, configuration.hiddenSize])
        embedTokens = embedding
        device = embedding.device
        layers = try (0..<configuration.layerCount).map {
            try DecoderBlock(configuration, index: $0, weights: weights)
        }
        norm = try Norm(configuration, "model.norm", weights)
        head =
            configuration.tiesWordEmbeddings
            ? embedding
            : try weights.tensor("lm_head.weight", [configuration.vocabularySize, configuration.hiddenSize])
        let dimension = configuration.headDimension
        rotary = try RotaryEmbedding(configuration.rotary, dimension: dimension, device: embedding.device)
        localRotary = try configuration.localRotary.map {
            try RotaryEmbedding($0, dimension: dimension, device: embedding.device)
        }
    }

    /// The last layer's normalised states `[batch, length, hidden]` for int64 tokens and positions `[batch, length]`.
    public func hidden(_ tokens: Tensor, positions: Tensor, context: some AttentionContext) throws -> Tensor {
        let pass = try pass(at: positions)
        var state = try embed(tokens)
        for layer in layers.indices { state = try self.layer(layer, state, pass, context) }
        return try norm(state)
    }

    /// The angles of one pass through the layers.
    public struct Pass {
        let angles: RotaryEmbedding.Angles
        let local: RotaryEmbedding.Angles?
    }

    /// Prepares a pass over tokens at int64 positions `[batch, length]`.
    public func pass(at positions: Tensor) throws -> Pass {
        let dtype = precision ?? embedTokens.dtype
        return Pass(
            angles: try rotary.angles(at: positions, dtype: dtype),
            local: try localRotary?.angles(at: positions, dtype: dtype))
    }

    /// What the first layer sees of tokens: `[batch, length] → [batch, length, hidden]`.
    public func embed(_ tokens: Tensor) throws -> Tensor {
        let state = try embedTokens.embedding(tokens)
        return try configuration.embeddingScale.map { try state * $0 } ?? state
    }

    /// One layer of a pass.
    public func layer(
        _ index: Int, _ state: Tensor, _ pass: Pass, _ context: some AttentionContext
    ) throws -> Tensor {
        try layers[index](state, configuration.windows[index] == nil ? pass.angles : pass.local ?? pass.angles, context)
    }

    /// The final norm.
    public func normalised(_ state: Tensor) throws -> Tensor { try norm(state) }

    /// The adapters of a layer.
    public func adapters(ofLayer index: Int) -> [LowRankAdapter] {
        layers[index].projections.compactMap(\.linear.adapter)
    }

    /// Scores over the vocabulary, for any leading shape: `[…, hidden] → […, vocabulary]`.
    public func logits(_ hidden: Tensor) throws -> Tensor {
        let scores =
            if let packedHead {
                try packedHead.linear(hidden)
            } else if hidden.requiresGradient, !head.requiresGradient, head.dtype == precision ?? hidden.dtype {
                try (hidden.dtype == head.dtype ? hidden : hidden.to(head.dtype))
                    .adapted([AdaptedProjection(weight: head, bias: nil, adapter: nil)])[0]
            } else {
                try precision.map { try hidden.to($0).linear(head.to($0)) } ?? hidden.linear(head)
            }
        guard let cap = configuration.logitCap else { return scores }
        return try (scores * (1 / cap)).tanh() * cap
    }

    /// Lays the matrices out for inference from now on, in few bits or in blocks.
    ///
    /// The embedding stays as it is, but for one that is the head, too, and keeps its precision: it is held once.
    public func pack(_ bits: PackedWeight.Bits) throws {
        try withoutGradients {
            for (_, linear) in projections { try linear.pack(bits) }
            // Scores decide everything: the head keeps eight bits.
            packedHead = try PackedWeight(head, bits: bits == .int4 ? .int8 : bits)
            guard let packedHead else { return }
            if configuration.tiesWordEmbeddings {
                guard let table = packedHead.table else { return }
                embedTokens = table
            }
            head = try Tensor.zeros([0], dtype: head.dtype)
        }
    }

    /// What all weights take now, in bytes; a tied head that is held once counts once.
    var weightBytes: Int {
        let layers = projections.reduce(0) { $0 + $1.linear.bytes } + norms.reduce(0) { $0 + $1.weight.byteCount }
        // A tied head is the embedding, unless it is packed in another precision.
        let isHeldOnce = configuration.tiesWordEmbeddings && (packedHead == nil || packedHead?.table != nil)
        return layers + embedTokens.byteCount + (isHeldOnce ? 0 : packedHead?.bytes ?? head.byteCount)
    }

    private var norms: [Norm] { layers.flatMap(\.allNorms) + [norm] }

    /// The scores `[positions, vocabulary]`, in float32, behind some positions of one text, computed whole and without a cache.
    public func scores(of ids: [Int32], at places: Range<Int>) throws -> Tensor {
        try withoutGradients {
            let context = PackedAttention(segments: [ids.count])
            let tokens = try Tensor(integers: ids.map(Int.init), shape: [1, ids.count]).to(device: device)
            let positions = try Tensor(integers: context.positions, shape: [1, ids.count]).to(device: device)
            let hidden = try hidden(tokens, positions: positions, context: context).narrowed(1, places)
            return try logits(hidden).to(.float32).reshaped([places.count, -1])
        }
    }

    /// All weights by their checkpoint keys, in a fixed order; a tied head is not listed twice.
    public var parameters: [(name: String, tensor: Tensor)] {
        var list = [("model.embed_tokens.weight", embedTokens)]
        for layer in layers { list += layer.parameters }
        list.append((norm.name, norm.weight))
        if !configuration.tiesWordEmbeddings { list.append(("lm_head.weight", head)) }
        return list.map { (name: $0.0, tensor: $0.1) }
    }

    /// The projections an adapter can sit beside, by their checkpoint names without `.weight`.
    public var projections: [(name: String, linear: Linear)] { layers.flatMap(\.projections) }

    /// The name of the first weight that holds a number which is not finite; nil when none does.
    public func firstNotFinite() throws -> String? {
        try parameters.first { try !$0.tensor.to(.float32).floats().allSatisfy(\.isFinite) }?.name
    }

    /// How many weights there are.
    public var parameterCount: Int { parameters.reduce(0) { $0 + $1.tensor.count } }
}

/// One layer: attention and feed-forward, each behind a norm and around a residual.
final class DecoderBlock {
    private let inputNorm, feedForwardNorm: Norm
    /// Behind attention and feed-forward, in families that have them.
    private let outputNorms: (attention: Norm, feedForward: Norm)?
    private let attention: Attention
    private let feedForward: FeedForward

    init(_ configuration: DecoderConfiguration, index: Int, weights: any WeightSource) throws {
        let key = "model.layers.\(index)"
        inputNorm = try Norm(configuration, "\(key).input_layernorm", weights)
        if configuration.normalisesOutputs {
            outputNorms = (
                try Norm(configuration, "\(key).post_attention_layernorm", weights),
                try Norm(configuration, "\(key).post_feedforward_layernorm", weights)
            )
            feedForwardNorm = try Norm(configuration, "\(key).pre_feedforward_layernorm", weights)
        } else {
            outputNorms = nil
            feedForwardNorm = try Norm(configuration, "\(key).post_attention_layernorm", weights)
        }
        attention = try Attention(configuration, layer: index, "\(key).self_attn", weights)
        feedForward = try FeedForward(configuration, "\(key).mlp", weights)
    }

    func callAsFunction(
        _ x: Tensor, _ angles: RotaryEmbedding.Angles, _ context: some AttentionContext
    ) throws -> Tensor {
        let attended = try attention(inputNorm(x), angles, context)
        let (middle, normed) = try feedForwardNorm.adding(outputNorms?.attention(attended) ?? attended, to: x)
        let fed = try feedForward(normed)
        return try middle + (outputNorms?.feedForward(fed) ?? fed)
    }

    var projections: [(name: String, linear: Linear)] { attention.projections + feedForward.projections }

    var parameters: [(String, Tensor)] {
        let linears = projections.flatMap { name, linear in
            [("\(name).weight", linear.weight)] + (linear.bias.map { [("\(name).bias", $0)] } ?? [])
        }
        return allNorms.map { ($0.name, $0.weight) } + linears
    }

    var allNorms: [Norm] {
        [inputNorm, feedForwardNorm] + (outputNorms.map { [$0.attention, $0.feedForward] } ?? []) + attention.norms
    }
}

/// Grouped-query self-attention.
final class Attention {
    /// Query, key and value apart, or all in one.
    private let inputs: [(name: String, linear: Linear)]
    private let output: Linear
    let headNorms: (query: Norm, key: Norm)?
    private let name: String
    let layer: Int
    let dimension: Int
    private let widths: [Int]
    /// What queries are multiplied by, so that the usual scaling of scores amounts to the family's own.
    let queryScale: Double
    let form: AttentionForm

    init(_ configuration: DecoderConfiguration, layer: Int, _ name: String, _ weights: any WeightSource) throws {
        self.name = name
        self.layer = layer
        dimension = configuration.headDimension
        let hidden = configuration.hiddenSize
        let queries = configuration.headCount * dimension
        let keys = configuration.keyValueHeadCount * dimension
        widths = [queries, keys, keys]
        let bias: Bias = configuration.hasQueryKeyValueBias ? .present : .absent
        let parts =
            configuration.fusesProjections
            ? [("qkv_proj", queries + 2 * keys)] : [("q_proj", queries), ("k_proj", keys), ("v_proj", keys)]
        inputs = try parts.map { part, width in
            ("\(name).\(part)", try weights.linear("\(name).\(part)", from: hidden, to: width, bias: bias))
        }
        output = try weights.linear(
            "\(name).o_proj", from: queries, to: hidden, bias: configuration.hasOutputBias ? .present : .absent)
        headNorms =
            configuration.normalisesHeads
            ? (
                try Norm(configuration, "\(name).q_norm", weights, width: dimension),
                try Norm(configuration, "\(name).k_norm", weights, width: dimension)
            ) : nil
        queryScale = configuration.scoreScale.map { $0 * Double(configuration.headDimension).squareRoot() } ?? 1
        form = AttentionForm(window: configuration.windows[layer], cap: configuration.scoreCap)
    }

    func callAsFunction(
        _ x: Tensor, _ angles: RotaryEmbedding.Angles, _ context: some AttentionContext
    ) throws -> Tensor {
        let projected =
            try inputs.count == 1
            ? inputs[0].linear(x).split(widths, axis: -1) : Linear.all(inputs.map(\.linear), of: x)
        if let context = context as? any ProjectedAttention {
            return try output(context.attend(self, projected, angles))
        }
        return try output(attend(projected, angles, context))
    }

    /// A step after the other: norms of heads, angles, attention.
    private func attend(
        _ projected: [Tensor], _ angles: RotaryEmbedding.Angles, _ context: some AttentionContext
    ) throws -> Tensor {
        var (query, key) = (try heads(projected[0]), try heads(projected[1]))
        if let headNorms { (query, key) = (try headNorms.query(query), try headNorms.key(key)) }
        query = try RotaryEmbedding.rotate(query, by: angles)
        if queryScale != 1 { query = try query * queryScale }
        let attended = try context.attend(
            layer: layer, query: query, key: RotaryEmbedding.rotate(key, by: angles), value: heads(projected[2]),
            form: form)
        let shape = projected[0].shape
        return try attended.transposed(1, 2).reshaped([shape[0], shape[1], -1])
    }

    /// `[batch, length, heads · dim] → [batch, heads, length, dim]`.
    private func heads(_ x: Tensor) throws -> Tensor {
        try x.reshaped([x.shape[0], x.shape[1], -1, dimension]).transposed(1, 2)
    }

    var projections: [(name: String, linear: Linear)] { inputs + [("\(name).o_proj", output)] }

    var norms: [Norm] { headNorms.map { [$0.query, $0.key] } ?? [] }
}

/// The gated feed-forward layer (SwiGLU and GeGLU, arXiv 2002.05202).
final class FeedForward {
    /// Gate and up apart, or both in one.
    private let inputs: [(name: String, linear: Linear)]
    private let down: Linear
    private let name: String
    private let width: Int
    private let activation: Tensor.Gate

    init(_ configuration: DecoderConfiguration, _ name: String, _ weights: any WeightSource) throws {
        self.name = name
        let (hidden, inner) = (configuration.hiddenSize, configuration.intermediateSize)
        width = inner
        activation = configuration.activation
        let bias: Bias = configuration.hasFeedForwardBias ? .present : .absent
        let parts =
            configuration.fusesProjections ? [("gate_up_proj", 2 * inner)] : [("gate_proj", inner), ("up_proj", inner)]
        inputs = try parts.map { part, width in
            ("\(name).\(part)", try weights.linear("\(name).\(part)", from: hidden, to: width, bias: bias))
        }
        down = try weights.linear("\(name).down_proj", from: inner, to: hidden, bias: bias)
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let parts =
            try inputs.count == 1
            ? inputs[0].linear(x).split([width, width], axis: -1) : Linear.all(inputs.map(\.linear), of: x)
        return try down(parts[0].gated(parts[1], by: activation))
    }

    var projections: [(name: String, linear: Linear)] { inputs + [("\(name).down_proj", down)] }
}

/// Root-mean-square normalisation with a learned scale.
final class Norm {
    let name: String
    let weight: Tensor
    let epsilon: Double
    private let isFromOne: Bool

    init(_ configuration: DecoderConfiguration, _ name: String, _ weights: any WeightSource, width: Int? = nil) throws {
        self.name = "\(name).weight"
        weight = try weights.tensor(self.name, [width ?? configuration.hiddenSize])
        epsilon = configuration.normEpsilon
        isFromOne = configuration.normsFromOne
    }

    /// What normalised elements are multiplied by.
    func scale() throws -> Tensor { try isFromOne ? weight + 1 : weight }

    func callAsFunction(_ x: Tensor) throws -> Tensor { try x.rmsNorm(scale(for: x), epsilon: epsilon) }

    /// A residual with what is added to it, and that sum's norm.
    func adding(_ other: Tensor, to x: Tensor) throws -> (sum: Tensor, norm: Tensor) {
        guard other.dtype == x.dtype else {
            let sum = try x + other
            return (sum, try self(sum))
        }
        return try x.adding(other, normalisedBy: scale(for: x), epsilon: epsilon)
    }

    private func scale(for x: Tensor) throws -> Tensor {
        let scale = try scale()
        return scale.dtype == x.dtype ? scale : try scale.to(x.dtype)
    }
}
