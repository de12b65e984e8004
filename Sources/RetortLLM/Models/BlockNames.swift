/// What a family's checkpoints call the parts of a layer, and with that which parts there are.
public struct BlockNames: Codable, Sendable, Hashable {
    /// The norm before attention; nil where there is none.
    public var inputNorm: String? = "input_layernorm"
    /// The norm behind attention, before the residual.
    public var attentionNorm: String?
    /// The norm before the feed-forward layer.
    public var feedForwardNorm: String? = "post_attention_layernorm"
    /// The norm behind it.
    public var outputNorm: String?
    /// Query, key and value, or all of them in one.
    public var attention = ["q_proj", "k_proj", "v_proj"]
    public var attentionOutput = "o_proj"
    /// The norms of queries and keys, in families that have them.
    public var queryNorm = "q_norm"
    public var keyNorm = "k_norm"
    public var feedForward = "mlp"
    /// Gate and up, or both in one.
    public var gates = ["gate_proj", "up_proj"]
    public var down = "down_proj"
    /// The norm behind the last layer.
    public var finalNorm = "norm"

    /// Llama's.
    public init() {}

    /// Norms before and behind both parts (Gemma).
    static let normsAround: Self = {
        var names = normsBehind
        names.inputNorm = "input_layernorm"
        names.feedForwardNorm = "pre_feedforward_layernorm"
        return names
    }()

    /// Norms behind both parts only (OLMo 2).
    static let normsBehind: Self = {
        var names = Self()
        (names.inputNorm, names.feedForwardNorm) = (nil, nil)
        names.attentionNorm = "post_attention_layernorm"
        names.outputNorm = "post_feedforward_layernorm"
        return names
    }()
}

extension DecoderConfiguration {
    /// The module of attention, or of what stands in its place.
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
        return (0..<layerCount).flatMap { layer in
            let parts =
                switch carrying[layer] {
                case nil: names.attention + [names.attentionOutput]
                case .convolution: ["in_proj", "out_proj"]
                case .delta: ["in_proj_qkv", "in_proj_z", "in_proj_b", "in_proj_a", "out_proj"]
                }
            let mixer = parts.map { "\(mixerName(ofLayer: layer)).\($0)" }
            return (mixer + feedForward).map { "model.layers.\(layer).\($0)" }
        }
    }
}
