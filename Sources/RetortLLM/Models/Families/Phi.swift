/// Phi-3 and Phi-4-mini (arXiv 2404.14219, 2503.01743): query, key and value in one projection, gate and up in another;
/// part of a head may stay unturned. Contexts go as far as the original length of the long-context variants.
enum Phi3Family: ModelFamily {
    static let architectures = ["Phi3ForCausalLM", "phi3"]
    static let gguf = GGUFArchitecture(
        "phi3", takes: [.ownHead, .partlyTurned, .linear, .longrope, .windows],
        parts: ["self_attn.qkv_proj": "attn_qkv", "mlp.gate_up_proj": "ffn_up"], ignoresWindows: true)

    static func refine(_ configuration: inout DecoderConfiguration, _ fields: ConfigurationFields) throws {
        try fields.requireActivation("silu")
        configuration.fusesProjections = true
        configuration.rotary = try fields.rotary()
        if case .longrope(let factors, _, let original, _) = configuration.rotary.scaling {
            guard factors.count * 2 == configuration.rotary.turnedWidth(of: configuration.headDimension) else {
                throw fields.malformed("its rope scaling has \(factors.count) short factors")
            }
            configuration.maximumPositions = min(configuration.maximumPositions, Int(original))
        }
        if case .integer(let window) = fields.all["sliding_window"], window < configuration.maximumPositions {
            configuration.windows = Array(repeating: window, count: configuration.layerCount)
        }
    }
}
