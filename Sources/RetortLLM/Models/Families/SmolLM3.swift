import RetortCore

/// SmolLM3 (Hugging Face, 2025): Llama's decoder without rotary positions in every fourth layer (NoPE, arXiv
/// 2501.18795).
enum SmolLM3Family: GGUFFamily {
    static let architectures = ["SmolLM3ForCausalLM", "smollm3"]
    static let defaults = FamilyDefaults(maximumPositions: 32_768, keyValueHeadCount: 4, tiesWordEmbeddings: true)
    static let keys: Set = [
        "hidden_act", "attention_bias", "mlp_bias", "use_sliding_window", "sliding_window", "max_window_layers",
        "no_rope_layers", "no_rope_layer_interval",
    ]

    static let gguf = GGUFArchitecture(
        "smollm3", takes: [.ownHead, .ownHeadWidth, .tiedHead, .linear, .unrotated], turnsNeighbours: true,
        unrotated: { count in Set((0..<count).filter { ($0 + 1).isMultiple(of: 4) }) })

    static func refine(_ configuration: inout DecoderConfiguration, _ fields: ConfigurationFields) throws {
        try fields.requireActivation(["silu", "swish"])
        configuration.hasQueryKeyValueBias = try fields.flag("attention_bias")
        configuration.hasOutputBias = try fields.flag("attention_bias")
        configuration.hasFeedForwardBias = try fields.flag("mlp_bias")
        configuration.rotary = try fields.rotary(
            positions: configuration.maximumPositions, as: RotaryHabits(theta: 2_000_000))
        let unrotated = try unrotated(fields, configuration.layerCount)
        configuration.unrotated = unrotated
        let size = try fields.window(default: nil)
        let slides = try fields.flag("use_sliding_window") && size != nil
        configuration.windows = try fields.windows(configuration.layerCount, size: size) {
            slides && unrotated.contains($0)
        }
    }

    /// The layers with a 0 in `no_rope_layers` (a 1 means rotation); or every n-th layer if there is no list.
    private static func unrotated(_ fields: ConfigurationFields, _ count: Int) throws -> Set<Int> {
        guard let list = fields["no_rope_layers"] else {
            let interval = try fields.integer("no_rope_layer_interval", default: 4)
            guard interval != 0 else { throw fields.malformed("'no_rope_layer_interval' is 0") }
            return Set((0..<count).filter { ($0 + 1).isMultiple(of: interval) })
        }
        let turns = list.array?.compactMap { value -> Bool? in
            switch value {
            case .integer(let number): number != 0
            default: nil
            }
        }
        guard let turns, turns.count == list.array?.count, turns.count >= count else {
            throw fields.malformed("'no_rope_layers' has no 0 or 1 for each of \(count) layers")
        }
        return Set((0..<count).filter { !turns[$0] })
    }
}
