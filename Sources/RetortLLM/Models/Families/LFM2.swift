import RetortCore

/// LFM2 (arXiv 2511.23404): gated short convolutions, with attention in some of the layers.
enum LFM2Family: ModelFamily {
    static let architectures = ["Lfm2ForCausalLM", "lfm2"]
    static let defaults = FamilyDefaults(
        maximumPositions: 128_000, keyValueHeadCount: 8, normEpsilon: 1e-5, tiesWordEmbeddings: true)
    // transformers ignores these; Liquid's own files contain them.
    static let keys: Set = [
        "conv_bias", "conv_L_cache", "block_multiple_of", "block_ffn_dim_multiplier", "block_auto_adjust_ff_dim",
        "block_ff_dim", "full_attn_idxs", "norm_eps", "tie_embedding", "hidden_act", "block_dim", "block_norm_eps",
        "block_mlp_init_scale", "block_out_init_scale", "block_use_swiglu", "block_use_xavier_init", "conv_dim",
        "conv_dim_out", "conv_use_xavier_init", "num_heads", "use_pos_enc", "theta",
    ]

    static func refine(_ configuration: inout DecoderConfiguration, _ fields: ConfigurationFields) throws {
        configuration.normEpsilon = try fields.number("norm_eps", default: 1e-5)
        configuration.tiesWordEmbeddings = try fields.flag(
            "tie_embedding", default: configuration.tiesWordEmbeddings)
        configuration.headNorms = .eachHead
        configuration.names = names
        configuration.rotary = try fields.rotary(
            positions: configuration.maximumPositions, as: RotaryHabits(theta: 1_000_000))
        configuration.intermediateSize = try innerWidth(fields, stated: configuration.intermediateSize)
        // When the file is written again, it contains the final width.
        configuration.fields["block_auto_adjust_ff_dim"] = false
        configuration.fields["block_ff_dim"] = nil
        configuration.fields["tie_embedding"] = nil
        let taps = try fields.integer("conv_L_cache", default: 3)
        guard (1...64).contains(taps) else { throw fields.malformed("'conv_L_cache' is \(taps)") }
        let bias = try fields.flag("conv_bias")
        for layer in try convolutions(fields, configuration.layerCount) {
            configuration.carrying[layer] = .convolution(taps: taps, bias: bias)
        }
    }

    private static let names: BlockNames = {
        var names = BlockNames()
        (names.inputNorm, names.feedForwardNorm, names.finalNorm) = ("operator_norm", "ffn_norm", "embedding_norm")
        (names.queryNorm, names.keyNorm, names.attentionOutput) = ("q_layernorm", "k_layernorm", "out_proj")
        (names.feedForward, names.gates, names.down) = ("feed_forward", ["w1", "w3"], "w2")
        return names
    }()

    /// The convolution layers: by `layer_types`, or else all that `full_attn_idxs` does not list.
    private static func convolutions(_ fields: ConfigurationFields, _ count: Int) throws -> Set<Int> {
        if let layers = try fields.carryingLayers(count, named: "conv") { return layers }
        guard let list = fields["full_attn_idxs"] else { return [] }
        let attending = list.array?.compactMap { value -> Int? in
            if case .integer(let index) = value { index } else { nil }
        }
        guard let attending, attending.count == list.array?.count else {
            throw fields.malformed("'full_attn_idxs' is no list of layers")
        }
        return Set(0..<count).subtracting(attending)
    }

    /// Two thirds of the stated width, times a factor, rounded up to a multiple; or the stated width itself.
    private static func innerWidth(_ fields: ConfigurationFields, stated: Int) throws -> Int {
        var width = try fields.integer("block_ff_dim", default: stated)
        if try fields.flag("block_auto_adjust_ff_dim", default: true) {
            width = 2 * width / 3
            if let factor = try fields.optionalNumber("block_ffn_dim_multiplier", default: 1) {
                let multiple = try fields.integer("block_multiple_of", default: 256)
                let scaled = factor * Double(width)
                guard multiple > 0, scaled > 0, scaled < 1e9 else {
                    throw fields.malformed("'block_multiple_of' or 'block_ffn_dim_multiplier' is out of range")
                }
                width = multiple * ((Int(scaled) + multiple - 1) / multiple)
            }
        }
        guard width > 0 else { throw fields.malformed("its inner width is \(width)") }
        return width
    }
}
