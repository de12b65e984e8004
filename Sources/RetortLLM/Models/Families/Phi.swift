import RetortCore

/// Phi-3 and Phi-4-mini (arXiv 2404.14219, 2503.01743): one projection for query, key and value, another for gate and
/// up; part of a head may stay unrotated. In long-context variants, contexts are limited to the original length.
enum Phi3Family: GGUFFamily {
    static let architectures = ["Phi3ForCausalLM", "phi3"]
    static let defaults = FamilyDefaults(maximumPositions: 4096, normEpsilon: 1e-5)
    // Dropout is used only in training.
    static let keys: Set = ["hidden_act", "sliding_window", "resid_pdrop", "embd_pdrop"]
    static let fixed: [String: [JSONValue]] = ["full_attn_mod": [1], "interpolate_factor": [1]]
    static let gguf = GGUFArchitecture(
        "phi3", takes: [.tiedHead, .ownHead, .partlyTurned, .linear, .longrope, .windows],
        parts: ["self_attn.qkv_proj": "attn_qkv", "mlp.gate_up_proj": "ffn_up"], ignoresWindows: true)

    static func refine(_ configuration: inout DecoderConfiguration, _ fields: ConfigurationFields) throws {
        try fields.requireActivation(["silu", "swish"])
        configuration.names.attention = ["qkv_proj"]
        configuration.names.gates = ["gate_up_proj"]
        configuration.rotary = try fields.rotary(
            positions: configuration.maximumPositions, as: RotaryHabits(isPhi: true))
        configuration.windows = try fields.sameWindows(configuration, default: nil)
    }
}
