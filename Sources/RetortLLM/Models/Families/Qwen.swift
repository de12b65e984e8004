/// Qwen2 and Qwen2.5 (arXiv 2407.10671): biases on query, key and value.
enum Qwen2Family: ModelFamily {
    static let architectures = ["Qwen2ForCausalLM", "qwen2"]
    static let gguf = GGUFArchitecture("qwen2", takes: [.ownHead, .linear])

    static func refine(_ configuration: inout DecoderConfiguration, _ fields: ConfigurationFields) throws {
        try fields.requireActivation("silu")
        configuration.hasQueryKeyValueBias = true
        configuration.rotary = try fields.rotary()
        if fields.flag("use_sliding_window") { throw fields.unsupported("sliding-window attention") }
    }
}

/// Qwen3 (arXiv 2505.09388): no biases; queries and keys are normalised head by head.
enum Qwen3Family: ModelFamily {
    static let architectures = ["Qwen3ForCausalLM", "qwen3"]
    static let gguf = GGUFArchitecture("qwen3", takes: [.ownHead, .ownHeadWidth, .linear])

    static func refine(_ configuration: inout DecoderConfiguration, _ fields: ConfigurationFields) throws {
        try fields.requireActivation("silu")
        configuration.normalisesHeads = true
        configuration.headDimension = try fields.integer("head_dim", default: 128)
        configuration.hasQueryKeyValueBias = fields.flag("attention_bias")
        configuration.hasOutputBias = fields.flag("attention_bias")
        configuration.rotary = try fields.rotary(theta: 1_000_000)
        if fields.flag("use_sliding_window") { throw fields.unsupported("sliding-window attention") }
    }
}
