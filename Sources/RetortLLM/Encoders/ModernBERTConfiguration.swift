import RetortCore
import RetortTensor

/// The shape of a ModernBERT encoder (arXiv 2412.13663): rotary positions, gated feed-forward layers, norms before
/// each part, and layers that see the whole text between layers that see only a token's neighbours.
public struct ModernBERTConfiguration: Sendable, Hashable {
    /// Rows of the embedding.
    public var vocabularySize: Int
    /// The width of a token's state.
    public var hiddenSize: Int
    /// The width inside the feed-forward layers.
    public var intermediateSize: Int
    /// The number of layers.
    public var layerCount: Int
    /// Attention heads per layer; each has the width `hiddenSize / headCount`.
    public var headCount: Int
    /// The longest text, in tokens.
    public var longest: Int
    /// For each layer how many tokens a token sees on either side; nil sees the whole text.
    public var reaches: [Int?]
    /// The rotary positions of layers that see the whole text.
    public var rotary: RotaryPlan
    /// The rotary positions of the other layers.
    public var localRotary: RotaryPlan
    /// The value added to the variance in layer normalisation.
    public var normEpsilon: Double
    /// Whether norms have a shift.
    public var hasNormBias: Bool
    /// Whether the projections of attention have biases.
    public var hasAttentionBias: Bool
    /// Whether the feed-forward layers have biases.
    public var hasFeedForwardBias: Bool
    /// The gate's activation in the feed-forward layers.
    public var activation: Tensor.Activation
    /// The head that scores a text.
    public var classifier: Classifier
    /// The file that the configuration was read from.
    let path: String

    /// The head of a `ModernBertForSequenceClassification`.
    public struct Classifier: Sendable, Hashable {
        /// The number of scores; 1 for a ranker.
        public var labels: Int
        /// How the states are combined before the head: the first one, or the mean.
        public var pooling: SentencePooling
        /// Whether its dense layer has a bias.
        public var hasBias: Bool
        /// The activation behind its dense layer.
        public var activation: Tensor.Activation
    }

    /// The supported values of `model_type`.
    static let known = ["modernbert"]

    private static let read: Set<String> = [
        "architectures", "model_type", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
        "num_attention_heads", "max_position_embeddings", "hidden_activation", "norm_eps", "norm_bias",
        "attention_bias", "mlp_bias", "layer_types", "global_attn_every_n_layers", "local_attention", "sliding_window",
        "rope_parameters", "global_rope_theta", "local_rope_theta", "classifier_pooling", "classifier_bias",
        "classifier_activation", "id2label", "label2id", "num_labels", "quantization_config", "eos_token_id",
    ]
    /// Settings that describe the training or the head of another task, or that transformers does not read.
    private static let own: Set<String> = [
        "embedding_dropout", "mlp_dropout", "classifier_dropout", "initializer_cutoff_factor", "decoder_bias",
        "deterministic_flash_attn", "sparse_prediction", "sparse_pred_ignore_index", "reference_compile",
        "repad_logits_with_grad", "tie_word_embeddings", "sentence_transformers", "layer_norm_eps",
    ]
    private static let fixed: [String: [JSONValue]] = [
        "position_embedding_type": ["absolute", "rope", "sans_pos"], "is_causal": [false], "causal_mask": [false],
        "rope_scaling": [[:]],
    ]

    /// - Throws: `CheckpointError` that names the first setting that is unknown or unsupported.
    init(_ fields: ConfigurationFields) throws {
        path = fields.path
        try fields.refuseInEncoder(allBut: Self.read, harmless: Self.own, fixed: Self.fixed)
        vocabularySize = try fields.integer("vocab_size", default: 50_368)
        hiddenSize = try fields.integer("hidden_size", default: 768)
        intermediateSize = try fields.integer("intermediate_size", default: 1152)
        layerCount = try fields.integer("num_hidden_layers", default: 22)
        headCount = try fields.integer("num_attention_heads", default: 12)
        longest = try fields.integer("max_position_embeddings", default: 8192)
        normEpsilon = try fields.number("norm_eps", default: 1e-5)
        hasNormBias = try fields.flag("norm_bias")
        hasAttentionBias = try fields.flag("attention_bias")
        hasFeedForwardBias = try fields.flag("mlp_bias")
        activation = try fields.activation("hidden_activation")
        classifier = try Classifier(fields)
        let sizes = [vocabularySize, hiddenSize, intermediateSize, headCount, longest, classifier.labels]
        guard sizes.allSatisfy({ $0 > 0 && $0 < 1 << 24 }), (1...1000).contains(layerCount),
            hiddenSize.isMultiple(of: 2 * headCount)
        else {
            throw fields.malformed(
                "its sizes are impossible, or 'hidden_size' is no even multiple of 'num_attention_heads'")
        }
        reaches = try Self.reaches(fields, layerCount)
        if case .null = fields.all["local_rope_theta"] {
            // Versions of transformers differ in what it stands for.
            throw fields.unsupported("'local_rope_theta' with the value null")
        }
        (rotary, localRotary) = try fields.rotaryByLayer(
            positions: longest, theta: fields.number("global_rope_theta", default: 160_000),
            localTheta: fields.number("local_rope_theta", default: 10_000))
        for plan in [rotary, localRotary] {
            if case .longrope = plan.scaling { throw fields.unsupported("the rope type 'longrope' in an encoder") }
        }
    }

    /// By `layer_types`, or as older files have it: each third layer sees the whole text, beginning with the first.
    private static func reaches(_ fields: ConfigurationFields, _ layerCount: Int) throws -> [Int?] {
        // transformers has half the window under the name of the other models' window.
        let reach =
            try fields.optionalInteger("sliding_window") ?? fields.integer("local_attention", default: 128) / 2
        let every = try fields.integer("global_attn_every_n_layers", default: 3)
        guard reach > 0, every > 0 else {
            throw fields.malformed("'local_attention' or 'global_attn_every_n_layers' is out of range")
        }
        return try fields.windows(layerCount, size: reach) { !$0.isMultiple(of: every) }
    }
}

extension ModernBERTConfiguration.Classifier {
    fileprivate init(_ fields: ConfigurationFields) throws {
        labels = try fields.labels()
        hasBias = try fields.flag("classifier_bias")
        activation = try fields.activation("classifier_activation")
        switch fields["classifier_pooling"]?.string ?? "cls" {
        case "cls": pooling = .cls
        case "mean": pooling = .mean
        case let name: throw fields.unsupported("'classifier_pooling' with the value '\(name)'")
        }
    }
}
