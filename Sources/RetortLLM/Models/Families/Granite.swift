import RetortCore

/// Granite 3 (IBM, 2024): Llama's decoder with multipliers for embeddings, scores, residuals and logits (μP, arXiv 2203.03466).
enum GraniteFamily: GGUFFamily {
    static let architectures = ["GraniteForCausalLM", "granite"]
    static let defaults = FamilyDefaults(maximumPositions: 2048)
    static let keys: Set = graniteKeys.union(["mlp_bias"])

    static let gguf = GGUFArchitecture(
        "granite",
        takes: [
            .outputBias, .feedForwardBias, .ownHead, .ownHeadWidth, .tiedHead, .linear, .llama3, .multipliers,
        ], turnsNeighbours: true, multiplies: true)

    static func refine(_ configuration: inout DecoderConfiguration, _ fields: ConfigurationFields) throws {
        try refineGranite(&configuration, fields)
        configuration.hasFeedForwardBias = try fields.flag("mlp_bias")
        configuration.rotary = try fields.rotary(positions: configuration.maximumPositions)
        try fields.requireLayers(configuration.windows)
    }
}

/// Granite 4 in its dense variants with attention only: Granite 3 with gate and up in one projection, and with
/// positions only if the file says so.
enum GraniteHybridFamily: ModelFamily {
    static let architectures = ["GraniteMoeHybridForCausalLM", "granitemoehybrid"]
    static let defaults = FamilyDefaults(maximumPositions: 2048)
    // Without experts and state-space layers, their settings change nothing.
    static let keys: Set = graniteKeys.union([
        "num_local_experts", "shared_intermediate_size", "position_embedding_type", "num_experts_per_tok",
        "output_router_logits", "router_aux_loss_coef", "mamba_n_heads", "mamba_n_groups", "mamba_d_state",
        "mamba_d_head", "mamba_d_conv", "mamba_expand", "mamba_chunk_size", "mamba_conv_bias", "mamba_proj_bias",
        "time_step_limit", "init_method", "normalization_function",
    ])

    static func refine(_ configuration: inout DecoderConfiguration, _ fields: ConfigurationFields) throws {
        let experts = try fields.integer("num_local_experts", default: 8)
        guard experts == 0 else {
            throw fields.unsupported("a mixture of experts ('num_local_experts' is \(experts))")
        }
        let types = try fields.texts("layer_types")
        if fields["layer_types"] == nil || types.contains(where: { $0 == "mamba" || $0 == "linear_attention" }) {
            throw fields.unsupported("a state-space layer (Mamba, by 'layer_types')")
        }
        if let stranger = types.first(where: { $0 != "attention" && $0 != "full_attention" }) {
            throw fields.unsupported("the layer type '\(stranger)'")
        }
        guard types.count == configuration.layerCount else {
            throw fields.malformed("it has \(types.count) layer_types for \(configuration.layerCount) layers")
        }
        try refineGranite(&configuration, fields)
        configuration.intermediateSize = try fields.integer("shared_intermediate_size", default: 1024)
        configuration.names.feedForward = "shared_mlp"
        configuration.names.gates = ["input_linear"]
        configuration.names.down = "output_linear"
        configuration.rotary = try fields.rotary(positions: configuration.maximumPositions)
        if fields["position_embedding_type"] != "rope" {
            configuration.unrotated = Set(0..<configuration.layerCount)
        }
    }
}

private let graniteKeys: Set = [
    "hidden_act", "attention_bias", "embedding_multiplier", "logits_scaling", "residual_multiplier",
    "attention_multiplier",
]

private func refineGranite(_ configuration: inout DecoderConfiguration, _ fields: ConfigurationFields) throws {
    try fields.requireActivation(["silu", "swish"])
    func factor(_ name: String) throws -> Double? {
        let factor = try fields.number(name, default: 1)
        return factor == 1 ? nil : factor
    }
    configuration.hasQueryKeyValueBias = try fields.flag("attention_bias")
    configuration.hasOutputBias = try fields.flag("attention_bias")
    configuration.embeddingScale = try factor("embedding_multiplier")
    configuration.residualScale = try factor("residual_multiplier")
    configuration.scoreScale = try fields.number("attention_multiplier", default: 1)
    let divisor = try fields.number("logits_scaling", default: 1)
    guard divisor != 0 else { throw fields.malformed("'logits_scaling' is 0") }
    configuration.logitScale = divisor == 1 ? nil : 1 / divisor
}
