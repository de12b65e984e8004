import RetortCore

/// Qwen3.5 without experts and images: three layers with the gated delta rule (arXiv 2412.06464) for each layer of
/// attention, whose heads have gates and are partly rotated.
enum Qwen35Family: ModelFamily {
    static let architectures = ["Qwen3_5ForCausalLM", "qwen3_5_text"]
    static let defaults = FamilyDefaults(maximumPositions: 32_768, keyValueHeadCount: 4, headDimension: 256)
    // The layers that predict several tokens ahead are not used, as in transformers.
    static let keys: Set = [
        "hidden_act", "attention_bias", "linear_conv_kernel_dim", "linear_key_head_dim", "linear_value_head_dim",
        "linear_num_key_heads", "linear_num_value_heads", "full_attention_interval", "mamba_ssm_dtype",
        "mtp_num_hidden_layers", "mtp_use_dedicated_embeddings",
    ]
    static let fixed: [String: [JSONValue]] = ["attn_output_gate": [true], "mlp_only_layers": [[]]]
    static let unusedTensors = ["mtp."]

    static func refine(_ configuration: inout DecoderConfiguration, _ fields: ConfigurationFields) throws {
        try fields.requireActivation(["silu", "swish"])
        configuration.normsFromOne = true
        configuration.headNorms = .eachHead
        configuration.gatesAttention = true
        configuration.hasQueryKeyValueBias = try fields.flag("attention_bias")
        configuration.hasOutputBias = try fields.flag("attention_bias")
        configuration.rotary = try fields.rotary(
            positions: configuration.maximumPositions,
            as: RotaryHabits(share: 0.25, keys: ["mrope_section", "mrope_interleaved"]))
        let interval = try fields.integer("full_attention_interval", default: 4)
        guard interval != 0 else { throw fields.malformed("'full_attention_interval' is 0") }
        let shape = try shape(fields)
        let count = configuration.layerCount
        for layer in try fields.carryingLayers(count, named: "linear_attention")
            ?? Set((0..<count).filter { !($0 + 1).isMultiple(of: interval) })
        {
            configuration.carrying[layer] = .delta(shape)
        }
    }

    private static func shape(_ fields: ConfigurationFields) throws -> DeltaShape {
        let shape = DeltaShape(
            keyHeads: try fields.integer("linear_num_key_heads", default: 16),
            valueHeads: try fields.integer("linear_num_value_heads", default: 32),
            keyWidth: try fields.integer("linear_key_head_dim", default: 128),
            valueWidth: try fields.integer("linear_value_head_dim", default: 128),
            taps: try fields.integer("linear_conv_kernel_dim", default: 4))
        let sizes = [shape.keyHeads, shape.valueHeads, shape.keyWidth, shape.valueWidth]
        guard sizes.allSatisfy({ (1...1 << 16).contains($0) }), (1...64).contains(shape.taps),
            shape.valueHeads.isMultiple(of: shape.keyHeads)
        else { throw fields.malformed("the heads of its linear attention do not fit each other") }
        return shape
    }
}
