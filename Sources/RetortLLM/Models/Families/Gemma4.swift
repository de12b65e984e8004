import RetortCore

/// Gemma 4, dense and text only (Google, 2026): layers with and without a window, which have heads of different
/// widths; values normalised; in the small ones a second embedding for every layer, and last layers that read the
/// keys and values of earlier ones.
enum Gemma4Family: ModelFamily {
    static let architectures = ["Gemma4ForCausalLM", "gemma4_text"]
    static let defaults = FamilyDefaults(
        maximumPositions: 131_072, keyValueHeadCount: 4, headDimension: 256, tiesWordEmbeddings: true)
    // Without experts, their settings change nothing.
    static let keys: Set = [
        "hidden_activation", "attention_bias", "sliding_window", "final_logit_softcapping", "global_head_dim",
        "num_global_key_value_heads", "per_layer_config", "attention_k_eq_v", "num_kv_shared_layers",
        "use_double_wide_mlp", "hidden_size_per_layer_input", "vocab_size_per_layer_input", "enable_moe_block",
        "num_experts", "top_k_experts", "moe_intermediate_size",
    ]
    // Only pictures would be attended to in both directions.
    static let fixed: [String: [JSONValue]] = ["use_bidirectional_attention": ["vision"]]

    static func refine(_ configuration: inout DecoderConfiguration, _ fields: ConfigurationFields) throws {
        guard try !fields.flag("enable_moe_block") else {
            throw fields.unsupported("a mixture of experts ('enable_moe_block' is true)")
        }
        try fields.requireActivation(["gelu_pytorch_tanh"], key: "hidden_activation")
        configuration.activation = .gelu
        configuration.names = .normsAround
        configuration.headNorms = .eachHead
        configuration.normalisesValues = true
        configuration.scalesLayers = true
        configuration.scoreScale = 1
        configuration.embeddingScale = Double(configuration.hiddenSize).squareRoot()
        configuration.logitCap = try fields.optionalNumber("final_logit_softcapping", default: nil)
        configuration.hasQueryKeyValueBias = try fields.flag("attention_bias")
        configuration.hasOutputBias = try fields.flag("attention_bias")
        configuration.windows = try windows(fields, configuration.layerCount)
        try readPositions(&configuration, fields)
        try readHeads(&configuration, fields)
        try readSharing(&configuration, fields)
        configuration.layerEmbedding = try layerEmbedding(fields, vocabulary: configuration.vocabularySize)
    }

    /// Five layers with a window for each one without, if the file has no list; the last layer never has one.
    private static func windows(_ fields: ConfigurationFields, _ count: Int) throws -> [Int?] {
        var windows = try fields.windows(count, size: fields.window(default: 512)) { !($0 + 1).isMultiple(of: 6) }
        windows[count - 1] = nil
        return windows
    }

    private static func readPositions(
        _ configuration: inout DecoderConfiguration, _ fields: ConfigurationFields
    ) throws {
        // transformers does not apply what other families have outside of the plans.
        let outside = ["rope_scaling", "rope_theta", "partial_rotary_factor", "original_max_position_embeddings"]
        if let stray = outside.first(where: { fields[$0] != nil }) {
            throw fields.unsupported("'\(stray)', which this family has only in rope_parameters,")
        }
        if fields["rope_parameters"] != nil {
            let plans = try fields.members("rope_parameters")
            let kinds = Set(configuration.windows.map { $0 == nil ? "full_attention" : "sliding_attention" })
            for kind in kinds.sorted() where plans[kind]?.object?["rope_theta"] == nil {
                throw fields.malformed("its rope_parameters have no 'rope_theta' for '\(kind)'")
            }
        }
        let plans = try fields.rotaryByLayer(
            positions: configuration.maximumPositions, theta: 1_000_000, localTheta: 10_000,
            as: RotaryHabits(types: ["default", "linear", "proportional"]), fallback: usualPlans)
        (configuration.rotary, configuration.localRotary) = (plans.global, plans.local)
    }

    private static let usualPlans: [String: JSONValue] = [
        "full_attention": ["rope_type": "proportional", "partial_rotary_factor": 0.25, "rope_theta": 1_000_000],
        "sliding_attention": ["rope_type": "default", "rope_theta": 10_000],
    ]

    /// The heads of each kind of layer: by settings of their own, or by a list of what differs, which transformers
    /// writes.
    private static func readHeads(_ configuration: inout DecoderConfiguration, _ fields: ConfigurationFields) throws {
        configuration.globalValuesAreKeys = try fields.flag("attention_k_eq_v")
        guard fields.all["per_layer_config"] == nil else { return try readHeadsByLayer(&configuration, fields) }
        var heads = configuration.heads
        heads.dimension = try fields.integer("global_head_dim", default: 512)
        if configuration.globalValuesAreKeys {
            heads.count = try fields.optionalInteger("num_global_key_value_heads") ?? heads.count
        }
        configuration.globalHeads = heads
    }

    private static func readHeadsByLayer(
        _ configuration: inout DecoderConfiguration, _ fields: ConfigurationFields
    ) throws {
        var all = Array(repeating: configuration.heads, count: configuration.layerCount)
        for (name, value) in try fields.members("per_layer_config").sorted(by: { $0.key < $1.key }) {
            guard let layer = Int(name), all.indices.contains(layer), let members = value.object else {
                throw fields.malformed("'per_layer_config' has no layer '\(name)' to describe")
            }
            let own = ConfigurationFields(members, path: fields.path)
            if let stray = members.keys.filter({ $0 != "head_dim" && $0 != "num_key_value_heads" }).min() {
                throw fields.unsupported("'\(stray)' in 'per_layer_config'")
            }
            all[layer].dimension = try own.integer("head_dim", default: all[layer].dimension)
            all[layer].count = try own.integer("num_key_value_heads", default: all[layer].count)
        }
        let layers = all.indices.map { (hasWindow: configuration.windows[$0] != nil, heads: all[$0]) }
        let local = Set(layers.filter { $0.hasWindow }.map(\.heads))
        let global = Set(layers.filter { !$0.hasWindow }.map(\.heads))
        guard local.count <= 1, global.count <= 1 else {
            throw fields.unsupported("a 'per_layer_config' with different heads in layers of one kind")
        }
        configuration.globalHeads = global.first
        guard let local = local.first else { return }
        (configuration.keyValueHeadCount, configuration.headDimension) = (local.count, local.dimension)
    }

    /// The last layers read the keys and values of the last layer of their kind before them.
    private static func readSharing(_ configuration: inout DecoderConfiguration, _ fields: ConfigurationFields) throws {
        let (count, windows) = (configuration.layerCount, configuration.windows)
        let readers = try fields.integer("num_kv_shared_layers", default: 0)
        guard (0..<count).contains(readers) else {
            throw fields.malformed("'num_kv_shared_layers' is \(readers) for \(count) layers")
        }
        configuration.widensReaders = try fields.flag("use_double_wide_mlp")
        let first = count - readers
        for layer in first..<count {
            let source = (0..<first).last { (windows[$0] == nil) == (windows[layer] == nil) }
            guard let source else {
                throw fields.malformed("layer \(layer) has no earlier one of its kind whose keys it could read")
            }
            configuration.keySources[layer] = source
        }
    }

    private static func layerEmbedding(
        _ fields: ConfigurationFields, vocabulary: Int
    ) throws -> LayerEmbeddingShape? {
        let width = try fields.integer("hidden_size_per_layer_input", default: 256)
        guard width != 0 else { return nil }
        let rows = try fields.integer("vocab_size_per_layer_input", default: 262_144)
        guard (1...1 << 16).contains(width), rows >= vocabulary else {
            throw fields.malformed("its second embedding has \(rows) rows of \(width) for \(vocabulary) tokens")
        }
        return LayerEmbeddingShape(vocabulary: rows, width: width)
    }
}
