/// Qwen2 and Qwen2.5 (arXiv 2407.10671): biases on query, key and value; the upper layers may have a window.
enum Qwen2Family: GGUFFamily {
    static let architectures = ["Qwen2ForCausalLM", "qwen2"]
    static let defaults = FamilyDefaults(maximumPositions: 32_768, keyValueHeadCount: 32)
    static let keys: Set = ["hidden_act", "use_sliding_window", "sliding_window", "max_window_layers"]
    static let gguf = GGUFArchitecture("qwen2", takes: [.tiedHead, .ownHead, .linear])

    static func refine(_ configuration: inout DecoderConfiguration, _ fields: ConfigurationFields) throws {
        try fields.requireActivation(["silu", "swish"])
        configuration.hasQueryKeyValueBias = true
        configuration.rotary = try fields.rotary(positions: configuration.maximumPositions)
        configuration.windows = try fields.qwenWindows(configuration.layerCount)
    }
}

/// Qwen3 (arXiv 2505.09388): no biases; each head of queries and keys is normalised.
enum Qwen3Family: GGUFFamily {
    static let architectures = ["Qwen3ForCausalLM", "qwen3"]
    static let defaults = FamilyDefaults(maximumPositions: 32_768, keyValueHeadCount: 32, headDimension: 128)
    static let keys: Set = Qwen2Family.keys.union(["attention_bias"])
    static let gguf = GGUFArchitecture("qwen3", takes: [.tiedHead, .ownHead, .ownHeadWidth, .linear])

    static func refine(_ configuration: inout DecoderConfiguration, _ fields: ConfigurationFields) throws {
        try fields.requireActivation(["silu", "swish"])
        configuration.headNorms = .eachHead
        configuration.hasQueryKeyValueBias = try fields.flag("attention_bias")
        configuration.hasOutputBias = try fields.flag("attention_bias")
        configuration.rotary = try fields.rotary(positions: configuration.maximumPositions)
        configuration.windows = try fields.qwenWindows(configuration.layerCount)
    }
}

extension ConfigurationFields {
    /// The windows of the layers from `max_window_layers` on, or of those that `layer_types` lists.
    fileprivate func qwenWindows(_ count: Int) throws -> [Int?] {
        let first = try integer("max_window_layers", default: 28)
        let size = try flag("use_sliding_window") ? try window(default: 4096) : nil
        return try windows(count, size: size) { size != nil && $0 >= first }
    }
}
