/// Gemma 2 (arXiv 2408.00118): norms before and after each part, capped scores and logits, and a window in every
/// second layer.
enum Gemma2Family: GGUFFamily {
    static let architectures = ["Gemma2ForCausalLM", "gemma2"]
    static let defaults = FamilyDefaults(
        maximumPositions: 8192, keyValueHeadCount: 4, headDimension: 256, tiesWordEmbeddings: true)
    static let keys = gemmaKeys
    static let gguf = GGUFArchitecture(
        "gemma2", takes: [.tiedHead, .ownHeadWidth, .partlyTurned, .linear, .windows], parts: ggufParts,
        averagesHeadsAt: 46,
        caps: true)

    static func refine(_ configuration: inout DecoderConfiguration, _ fields: ConfigurationFields) throws {
        try refineGemma(&configuration, fields)
        configuration.rotary = try fields.rotary(positions: configuration.maximumPositions)
        configuration.scoreCap = try fields.optionalNumber("attn_logit_softcapping", default: 50)
        configuration.logitCap = try fields.optionalNumber("final_logit_softcapping", default: 30)
        configuration.windows = try fields.windows(
            configuration.layerCount, size: fields.window(default: 4096)
        ) { $0.isMultiple(of: 2) }
    }
}

/// Gemma 3, text only (arXiv 2503.19786): normalised heads instead of capped scores; five layers with a window, which
/// have a rotary base of their own, for each one without.
enum Gemma3Family: GGUFFamily {
    static let architectures = ["Gemma3ForCausalLM", "gemma3_text"]
    static let defaults = FamilyDefaults(
        maximumPositions: 131_072, keyValueHeadCount: 4, headDimension: 256, tiesWordEmbeddings: true)
    static let keys = gemmaKeys.union(["rope_local_base_freq", "sliding_window_pattern", "_sliding_window_pattern"])
    static let gguf = GGUFArchitecture(
        "gemma3", takes: [.tiedHead, .ownHead, .ownHeadWidth, .partlyTurned, .linear, .windows], parts: ggufParts,
        averagesHeadsAt: 62)

    static func refine(_ configuration: inout DecoderConfiguration, _ fields: ConfigurationFields) throws {
        try refineGemma(&configuration, fields)
        // The field exists, but the family's attention does not cap.
        guard try fields.optionalNumber("attn_logit_softcapping", default: nil) == nil else {
            throw fields.unsupported("Gemma 3 with 'attn_logit_softcapping'")
        }
        configuration.logitCap = try fields.optionalNumber("final_logit_softcapping", default: nil)
        configuration.headNorms = .eachHead
        let plans = try fields.rotaryByLayer(
            positions: configuration.maximumPositions, theta: 1_000_000,
            localTheta: fields.number("rope_local_base_freq", default: 10_000))
        (configuration.rotary, configuration.localRotary) = (plans.global, plans.local)
        let pattern = try fields.integer("sliding_window_pattern", default: 6)
        guard pattern > 0 else { throw fields.malformed("'sliding_window_pattern' is \(pattern)") }
        configuration.windows = try fields.windows(
            configuration.layerCount, size: fields.window(default: 4096)
        ) { !($0 + 1).isMultiple(of: pattern) }
    }
}

/// Old files also contain `hidden_act`, which transformers ignores, as it does `sliding_window_size`.
private let gemmaKeys: Set = [
    "hidden_activation", "hidden_act", "attention_bias", "query_pre_attn_scalar", "sliding_window",
    "sliding_window_size", "final_logit_softcapping", "attn_logit_softcapping",
]

private let ggufParts = [
    "post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
]

private func refineGemma(_ configuration: inout DecoderConfiguration, _ fields: ConfigurationFields) throws {
    try fields.requireActivation(["gelu_pytorch_tanh", "gelu_python_tanh", "gelu_new"], key: "hidden_activation")
    configuration.activation = .gelu
    configuration.names = .normsAround
    configuration.normsFromOne = true
    configuration.embeddingScale = Double(configuration.hiddenSize).squareRoot()
    let scalar = try fields.number("query_pre_attn_scalar", default: 256)
    guard scalar > 0 else { throw fields.malformed("'query_pre_attn_scalar' is \(scalar)") }
    configuration.scoreScale = 1 / scalar.squareRoot()
    configuration.hasQueryKeyValueBias = try fields.flag("attention_bias")
    configuration.hasOutputBias = try fields.flag("attention_bias")
}
