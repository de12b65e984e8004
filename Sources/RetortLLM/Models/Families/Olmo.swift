/// OLMo 2 (arXiv 2501.00656): norms after attention and feed-forward instead of before them, and norms over all heads
/// of queries and keys.
enum Olmo2Family: GGUFFamily {
    static let architectures = ["Olmo2ForCausalLM", "olmo2"]
    static let defaults = FamilyDefaults(maximumPositions: 2048, normEpsilon: 1e-5)
    static let keys: Set = ["hidden_act", "attention_bias"]

    static let gguf = GGUFArchitecture(
        "olmo2", takes: [.ownHead, .linear],
        parts: ["post_attention_layernorm": "post_attention_norm", "post_feedforward_layernorm": "post_ffw_norm"])

    static func refine(_ configuration: inout DecoderConfiguration, _ fields: ConfigurationFields) throws {
        try refineOlmo(&configuration, fields)
        configuration.rotary = try fields.rotary(positions: configuration.maximumPositions)
        try fields.requireLayers(configuration.windows)
    }
}

/// OLMo 3 (Ai2, 2025): OLMo 2 with three layers with a window for each one without; only the latter have stretched
/// positions.
enum Olmo3Family: ModelFamily {
    static let architectures = ["Olmo3ForCausalLM", "olmo3"]
    static let defaults = FamilyDefaults(maximumPositions: 2048, normEpsilon: 1e-5)
    static let keys: Set = ["hidden_act", "attention_bias", "sliding_window"]
    private static let theta = 500_000.0

    static func refine(_ configuration: inout DecoderConfiguration, _ fields: ConfigurationFields) throws {
        try refineOlmo(&configuration, fields)
        // transformers applies the file's base only to the layers without a window.
        let plans = try fields.rotaryByLayer(
            positions: configuration.maximumPositions, theta: theta, localTheta: theta)
        (configuration.rotary, configuration.localRotary) = (plans.global, plans.local)
        configuration.windows = try fields.windows(
            configuration.layerCount, size: fields.window(default: 4096)
        ) { !($0 + 1).isMultiple(of: 4) }
    }
}

private func refineOlmo(_ configuration: inout DecoderConfiguration, _ fields: ConfigurationFields) throws {
    try fields.requireActivation(["silu", "swish"])
    configuration.names = .normsBehind
    configuration.headNorms = .wholeWidth
    configuration.hasQueryKeyValueBias = try fields.flag("attention_bias")
    configuration.hasOutputBias = try fields.flag("attention_bias")
}
