/// The names of a layer's parts in a family's checkpoints, which also tell which parts exist.
public struct BlockNames: Codable, Sendable, Hashable {
    /// The norm before attention; nil if there is none.
    public var inputNorm: String? = "input_layernorm"
    /// The norm after attention, before the residual is added; nil if there is none.
    public var attentionNorm: String?
    /// The norm before the feed-forward layer; nil if there is none.
    public var feedForwardNorm: String? = "post_attention_layernorm"
    /// The norm after the feed-forward layer, before the residual is added; nil if there is none.
    public var outputNorm: String?
    /// The projections to query, key and value, or a single one to all three.
    public var attention = ["q_proj", "k_proj", "v_proj"]
    /// The projection of attention's output.
    public var attentionOutput = "o_proj"
    /// The norm of queries, in families that have one.
    public var queryNorm = "q_norm"
    /// The norm of keys, in families that have one.
    public var keyNorm = "k_norm"
    /// The module of the feed-forward layer.
    public var feedForward = "mlp"
    /// The projections to gate and up, or a single one to both.
    public var gates = ["gate_proj", "up_proj"]
    /// The projection back to the hidden size.
    public var down = "down_proj"
    /// The norm after the last layer.
    public var finalNorm = "norm"

    /// Llama's names.
    public init() {}

    /// Norms before and after both parts (Gemma).
    static let normsAround: Self = {
        var names = normsBehind
        names.inputNorm = "input_layernorm"
        names.feedForwardNorm = "pre_feedforward_layernorm"
        return names
    }()

    /// Norms only after both parts (OLMo 2).
    static let normsBehind: Self = {
        var names = Self()
        (names.inputNorm, names.feedForwardNorm) = (nil, nil)
        names.attentionNorm = "post_attention_layernorm"
        names.outputNorm = "post_feedforward_layernorm"
        return names
    }()
}

extension DecoderConfiguration {
    /// The name of attention's module in a layer, or of the module that replaces it.
    func mixerName(ofLayer index: Int) -> String {
        switch carrying[index] {
        case nil: "self_attn"
        case .convolution: "conv"
        case .delta: "linear_attn"
        }
    }

    /// The checkpoint names of all projections, without `.weight`.
    public var projectionNames: [String] {
        let feedForward = (names.gates + [names.down]).map { "\(names.feedForward).\($0)" }
        let embedding = layerEmbedding == nil ? [] : LayerEmbedding.layerProjections
        let front = layerEmbedding == nil ? [] : [LayerEmbedding.projection]
        return front
            + (0..<layerCount).flatMap { layer in
                let parts =
                    switch carrying[layer] {
                    case nil: attentionNames(ofLayer: layer) + [names.attentionOutput]
                    case .convolution: ["in_proj", "out_proj"]
                    case .delta: ["in_proj_qkv", "in_proj_z", "in_proj_b", "in_proj_a", "out_proj"]
                    }
                let mixer = parts.map { "\(mixerName(ofLayer: layer)).\($0)" }
                return (mixer + feedForward + embedding).map { "model.layers.\(layer).\($0)" }
            }
    }
}
