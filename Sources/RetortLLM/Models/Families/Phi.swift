import RetortCore

/// Phi-3 and Phi-4-mini (arXiv 2404.14219, 2503.01743): query, key and value in one projection, gate and up in another;
/// part of a head may stay unturned. Contexts go as far as the original length of the long-context variants.
enum Phi3Family: GGUFFamily {
    static let architectures = ["Phi3ForCausalLM", "phi3"]
    static let defaults = FamilyDefaults(maximumPositions: 4096, normEpsilon: 1e-5)
    // What is dropped is dropped in training only.
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
