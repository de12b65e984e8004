import RetortCore

/// Ministral 3 (Mistral AI, 2025): Mistral's decoder with positions stretched by YaRN, and queries that grow with
/// their positions.
enum Ministral3Family: ModelFamily {
    static let architectures = ["Ministral3ForCausalLM", "ministral3"]
    static let defaults = FamilyDefaults(
        maximumPositions: 262_144, keyValueHeadCount: 8, headDimension: 128, normEpsilon: 1e-5)
    static let keys: Set = ["hidden_act", "sliding_window"]

    static func refine(_ configuration: inout DecoderConfiguration, _ fields: ConfigurationFields) throws {
        try fields.requireActivation(["silu", "swish"])
        configuration.rotary = try fields.rotary(
            positions: configuration.maximumPositions,
            as: RotaryHabits(keys: ["llama_4_scaling_beta", "max_position_embeddings"], growsQueries: true),
            fallback: usualPlan)
        configuration.windows = try fields.sameWindows(configuration, default: nil)
    }

    /// transformers' defaults for a file without a plan.
    private static let usualPlan: [String: JSONValue] = [
        "type": "yarn", "rope_theta": 1_000_000, "factor": 16, "original_max_position_embeddings": 16_384,
        "beta_fast": 32, "beta_slow": 1, "mscale_all_dim": 1, "mscale": 1, "llama_4_scaling_beta": 0.1,
    ]
}
