/// Llama 2 and 3 (arXiv 2307.09288, 2407.21783): the plain decoder; Llama 3.1 and later stretch their rotary positions.
enum LlamaFamily: GGUFFamily {
    static let architectures = ["LlamaForCausalLM", "llama"]
    static let defaults = FamilyDefaults(maximumPositions: 2048)
    static let keys: Set = ["hidden_act", "attention_bias", "mlp_bias"]
    static let gguf = GGUFArchitecture(
        "llama", takes: [.tiedHead, .outputBias, .feedForwardBias, .ownHead, .ownHeadWidth, .linear, .llama3],
        turnsNeighbours: true)

    static func refine(_ configuration: inout DecoderConfiguration, _ fields: ConfigurationFields) throws {
        try fields.requireActivation(["silu", "swish"])
        configuration.hasQueryKeyValueBias = try fields.flag("attention_bias")
        configuration.hasOutputBias = try fields.flag("attention_bias")
        configuration.hasFeedForwardBias = try fields.flag("mlp_bias")
        configuration.rotary = try fields.rotary(positions: configuration.maximumPositions)
        try fields.requireLayers(configuration.windows)
    }
}

/// Mistral 7B (arXiv 2310.06825): the plain decoder, in which all layers may have a window.
enum MistralFamily: GGUFFamily {
    static let architectures = ["MistralForCausalLM", "mistral"]
    static let defaults = FamilyDefaults(maximumPositions: 131_072, keyValueHeadCount: 8)
    static let keys: Set = ["hidden_act", "sliding_window"]
    static let gguf = GGUFArchitecture(
        "llama", takes: [.tiedHead, .ownHead, .ownHeadWidth, .linear, .llama3, .windows], turnsNeighbours: true,
        ignoresWindows: true)

    static func refine(_ configuration: inout DecoderConfiguration, _ fields: ConfigurationFields) throws {
        try fields.requireActivation(["silu", "swish"])
        configuration.rotary = try fields.rotary(positions: configuration.maximumPositions)
        configuration.windows = try fields.sameWindows(configuration, default: 4096)
    }
}

extension ConfigurationFields {
    /// The same window for all layers; none if no context is longer.
    func sameWindows(_ configuration: DecoderConfiguration, default size: Int?) throws -> [Int?] {
        let window = try window(default: size)
        try requireLayers(Array(repeating: window, count: configuration.layerCount))
        let isReached = window.map { $0 < configuration.maximumPositions } ?? false
        return Array(repeating: isReached ? window : nil, count: configuration.layerCount)
    }
}
