import RetortTensor

/// A decoder-only transformer with grouped-query attention, rotary positions, gated feed-forward layers and
/// root-mean-square norms. It is the same network for all families, whose differences are in the configuration.
/// Property names follow the checkpoint's keys.
public final class DecoderNetwork {
    /// The shape of the network.
    public let configuration: DecoderConfiguration
    /// The device that holds the weights.
    public let device: Device
    /// `[vocabulary, hidden]`.
    private(set) var embedTokens: Tensor
    let layers: [DecoderBlock]
    let norm: Norm
    /// `[vocabulary, hidden]`; the embedding itself when tied.
    private(set) var head: Tensor
    private var packedHead: PackedWeight?
    /// The second embedding, in families that have one.
    private let layerEmbedding: LayerEmbedding?
    private let rotary: RotaryEmbedding
    private let localRotary: RotaryEmbedding?

    /// The precision of products and attention, if it differs from the weights'; nil uses the weights'.
    ///
    /// Training sets bfloat16 here with float32 weights: gradients, moments and the residual stream stay float32.
    public var precision: DType? {
        didSet { for (_, linear) in projections { linear.precision = precision } }
    }

    /// Which tokens of the next passes belong to which of the served adapters.
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
        layerEmbedding = try configuration.layerEmbedding.map { try LayerEmbedding(configuration, $0, weights) }
        layers = try (0..<configuration.layerCount).map {
            try DecoderBlock(configuration, index: $0, weights: weights)
        }
        norm = try Norm(configuration, "model.\(configuration.names.finalNorm)", weights)
        head =
            configuration.tiesWordEmbeddings
            ? embedding
            : try weights.tensor("lm_head.weight", [configuration.vocabularySize, configuration.hiddenSize])
        let dimension = (configuration.globalHeads ?? configuration.heads).dimension
        rotary = try RotaryEmbedding(configuration.rotary, dimension: dimension, device: embedding.device)
        localRotary = try configuration.localRotary.map {
            try RotaryEmbedding($0, dimension: configuration.headDimension, device: embedding.device)
        }
    }

    /// The normalised states after the last layer, `[batch, length, hidden]`, for int64 tokens and positions `[batch,
    /// length]`.
    public func hidden(_ tokens: Tensor, positions: Tensor, context: some AttentionContext) throws -> Tensor {
        let pass = try pass(at: positions)
        var state = try embed(tokens, pass)
        for layer in layers.indices { state = try self.layer(layer, state, pass, context) }
        return try norm(state)
    }

    /// The rotation angles of one pass through the layers, and what they hand to each other.
    public struct Pass {
        package let links = LayerLinks()
        let angles: RotaryEmbedding.Angles
        /// The angles of layers with a window, and of layers without rotation, if there are any.
        let local, still: RotaryEmbedding.Angles?
    }

    /// Prepares a pass over tokens at int64 positions `[batch, length]`.
    public func pass(at positions: Tensor) throws -> Pass {
        let dtype = precision ?? embedTokens.dtype
        let angles = try rotary.angles(at: positions, dtype: dtype)
        return Pass(
            angles: angles, local: try localRotary?.angles(at: positions, dtype: dtype),
            still: configuration.unrotated.isEmpty ? nil : try angles.still())
    }

    /// The input of the first layer: `[batch, length] → [batch, length, hidden]`. What the layers take of the tokens
    /// besides it goes to the pass.
    public func embed(_ tokens: Tensor, _ pass: Pass) throws -> Tensor {
        let rows = try embedTokens.embedding(tokens)
        let state = try configuration.embeddingScale.map { try rows * $0 } ?? rows
        if let layerEmbedding { pass.links.embeddings = try layerEmbedding(tokens, state) }
        return state
    }

    /// Applies one layer: `[batch, length, hidden]` to the same shape.
    public func layer(
        _ index: Int, _ state: Tensor, _ pass: Pass, _ context: some AttentionContext
    ) throws -> Tensor {
        let moving = configuration.windows[index] == nil ? pass.angles : pass.local ?? pass.angles
        let angles = configuration.unrotated.contains(index) ? pass.still ?? moving : moving
        return try layers[index](state, LayerPass(angles: angles, layer: index, links: pass.links), context)
    }

    /// Applies the final norm.
    public func normalised(_ state: Tensor) throws -> Tensor { try norm(state) }

    /// The adapters of projections before the first layer.
    public var adaptersBeforeLayers: [LowRankAdapter] {
        layerEmbedding?.projections.compactMap(\.linear.adapter) ?? []
    }

    /// The adapters of a layer's projections.
    public func adapters(ofLayer index: Int) -> [LowRankAdapter] {
        layers[index].projections.compactMap(\.linear.adapter)
    }

    /// The scores over the vocabulary, for any leading shape: `[…, hidden] → […, vocabulary]`.
    public func logits(_ hidden: Tensor) throws -> Tensor {
        let products =
            if let packedHead {
                try packedHead.linear(hidden)
            } else if hidden.requiresGradient, !head.requiresGradient, head.dtype == precision ?? hidden.dtype {
                try (hidden.dtype == head.dtype ? hidden : hidden.to(head.dtype))
                    .adapted([AdaptedProjection(weight: head, bias: nil, adapter: nil)])[0]
            } else {
                try precision.map { try hidden.to($0).linear(head.to($0)) } ?? hidden.linear(head)
            }
        let scores = try configuration.logitScale.map { try products * $0 } ?? products
        guard let cap = configuration.logitCap else { return scores }
        return try (scores * (1 / cap)).tanh() * cap
    }

    /// Lays the matrices out for inference, quantised or in blocks. They can no longer be trained.
    ///
    /// The embedding stays unchanged, unless it is also the head and keeps its precision; then it is stored once.
    public func pack(_ bits: PackedWeight.Bits) throws {
        try withoutGradients {
            for (_, linear) in projections { try linear.pack(bits) }
            // Scores matter most, so the head keeps eight bits.
            packedHead = try PackedWeight(head, bits: bits == .int4 ? .int8 : bits)
            guard let packedHead else { return }
            if configuration.tiesWordEmbeddings {
                guard let table = packedHead.table else { return }
                embedTokens = table
            }
            head = try Tensor.zeros([0], dtype: head.dtype)
        }
    }

    /// The memory of all weights in bytes; a tied head that is stored once counts once.
    var weightBytes: Int {
        let layers = projections.reduce(0) { $0 + $1.linear.bytes } + norms.reduce(0) { $0 + $1.weight.byteCount }
        // A tied head is the embedding, unless it is packed in another precision.
        let isHeldOnce = configuration.tiesWordEmbeddings && (packedHead == nil || packedHead?.table != nil)
        let embeddings = embedTokens.byteCount + (layerEmbedding?.tableBytes ?? 0)
        return layers + embeddings + (isHeldOnce ? 0 : packedHead?.bytes ?? head.byteCount)
    }

    private var norms: [Norm] { layers.flatMap(\.allNorms) + [layerEmbedding?.norm, norm].compactMap(\.self) }

    /// The scores `[positions, vocabulary]` in float32 after some positions of one text, computed without a cache.
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
        list += layerEmbedding?.parameters.map { ($0.name, $0.tensor) } ?? []
        for layer in layers { list += layer.parameters }
        list.append((norm.name, norm.weight))
        if !configuration.tiesWordEmbeddings { list.append(("lm_head.weight", head)) }
        return list.map { (name: $0.0, tensor: $0.1) }
    }

    /// The weights that are learned when all are: all but factors on whole layers, as in transformers.
    public var learnedParameters: [(name: String, tensor: Tensor)] {
        let fixed = Set(layers.compactMap(\.scale?.name))
        return parameters.filter { !fixed.contains($0.name) }
    }

    /// The projections that can have an adapter, by their checkpoint names without `.weight`.
    public var projections: [(name: String, linear: Linear)] {
        (layerEmbedding?.projections ?? []) + layers.flatMap(\.projections)
    }

    /// The number of weights.
    public var parameterCount: Int { parameters.reduce(0) { $0 + $1.tensor.count } }
}
