/// Gemma 2 (arXiv 2408.00118): norms before and behind each part, scores and logits capped, every second layer sees a
/// window.
enum Gemma2Family: ModelFamily {
    static let architectures = ["Gemma2ForCausalLM", "gemma2"]
    static let tiesByDefault = true
    static let gguf = GGUFArchitecture(
        "gemma2", takes: [.ownHeadWidth, .partlyTurned, .linear, .windows], parts: ggufParts, averagesHeadsAt: 46,
        caps: true)

    static func refine(_ configuration: inout DecoderConfiguration, _ fields: ConfigurationFields) throws {
        try refineGemma(&configuration, fields)
        configuration.rotary = try fields.rotary()
        configuration.scoreCap = try fields.optionalNumber("attn_logit_softcapping", default: 50)
        configuration.logitCap = try fields.optionalNumber("final_logit_softcapping", default: 30)
        configuration.windows = try fields.windows(configuration.layerCount, size: 4096) { $0.isMultiple(of: 2) }
    }
}

/// Gemma 3, text only (arXiv 2503.19786): heads normalised instead of scores capped; five layers with a window and a
/// rotary base of their own to each one without.
enum Gemma3Family: ModelFamily {
    static let architectures = ["Gemma3ForCausalLM", "gemma3_text"]
    static let tiesByDefault = true
    static let gguf = GGUFArchitecture(
        "gemma3", takes: [.ownHead, .ownHeadWidth, .partlyTurned, .linear, .windows], parts: ggufParts,
        averagesHeadsAt: 62)

    static func refine(_ configuration: inout DecoderConfiguration, _ fields: ConfigurationFields) throws {
        try refineGemma(&configuration, fields)
        // The field exists, but the family's attention knows no cap.
        guard try fields.optionalNumber("attn_logit_softcapping", default: nil) == nil else {
            throw fields.unsupported("Gemma 3 with 'attn_logit_softcapping'")
        }
        configuration.logitCap = try fields.optionalNumber("final_logit_softcapping", default: nil)
        configuration.normalisesHeads = true
        configuration.rotary = try fields.rotary(layers: "full_attention", theta: 1_000_000)
        if fields.all["rope_parameters"]?["sliding_attention"] != nil {
            configuration.localRotary = try fields.rotary(layers: "sliding_attention")
        } else {
            configuration.localRotary = RotaryPlan(theta: try fields.number("rope_local_base_freq", default: 10_000))
        }
        let pattern = try fields.integer("sliding_window_pattern", default: 6)
        configuration.windows = try fields.windows(configuration.layerCount, size: 4096) { layer in
            !(layer + 1).isMultiple(of: pattern)
        }
    }
}

private let ggufParts = [
    "post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
]

private func refineGemma(_ configuration: inout DecoderConfiguration, _ fields: ConfigurationFields) throws {
    try fields.requireActivation("gelu_pytorch_tanh")
    configuration.activation = .gelu
    configuration.normalisesOutputs = true
    configuration.normsFromOne = true
    configuration.embeddingScale = Double(configuration.hiddenSize).squareRoot()
    configuration.headDimension = try fields.integer("head_dim", default: 256)
    configuration.scoreScale = 1 / (try fields.number("query_pre_attn_scalar", default: 256)).squareRoot()
    configuration.hasQueryKeyValueBias = fields.flag("attention_bias")
    configuration.hasOutputBias = fields.flag("attention_bias")
}

extension ConfigurationFields {
    /// The windows of `layer_types`, or by a rule where the file has none.
    fileprivate func windows(_ count: Int, size: Int, by rule: (Int) -> Bool) throws -> [Int?] {
        let size = try integer("sliding_window", default: size)
        guard let types = all["layer_types"]?.array?.map(\.string), types.count == count else {
            return (0..<count).map { rule($0) ? size : nil }
        }
        return types.map { $0 == "sliding_attention" ? size : nil }
    }
}
