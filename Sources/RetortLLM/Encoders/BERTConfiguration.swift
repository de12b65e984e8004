import RetortCore
import RetortTensor

/// The shape of a BERT-like encoder: BERT (arXiv 1810.04805), RoBERTa (arXiv 1907.11692) or XLM-RoBERTa (arXiv
/// 1911.02116), which differ in where positions begin.
public struct BERTConfiguration: Sendable, Hashable {
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
    /// Rows of the position table.
    public var positions: Int
    /// Rows of the token-type table.
    public var types: Int
    /// The value added to the variance in layer normalisation.
    public var normEpsilon: Double
    /// The activation of the feed-forward layers.
    public var activation: Tensor.Activation
    /// The number of the padding token, after which positions begin (RoBERTa); nil where they begin at 0.
    public var positionsBehind: Int?
    /// The number of scores of a classifier; 1 for a ranker.
    public var labels: Int
    /// The file that the configuration was read from.
    let path: String

    /// The longest text, in tokens.
    public var longest: Int { positionsBehind.map { positions - $0 - 1 } ?? positions }

    /// The supported values of `model_type`.
    public static let known = ["bert", "roberta", "xlm-roberta"]

    private static let read: Set<String> = [
        "architectures", "model_type", "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
        "intermediate_size", "hidden_act", "max_position_embeddings", "type_vocab_size", "layer_norm_eps",
        "pad_token_id", "eos_token_id", "position_embedding_type", "id2label", "label2id", "num_labels",
        "quantization_config",
    ]
    /// Settings that describe the training, or the head of another task.
    private static let own: Set<String> = [
        "hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout", "directionality", "output_past",
        "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers", "pooler_size_per_head", "pooler_type",
        "layer_norm_type", "tie_word_embeddings", "sentence_transformers", "sbert_ce_default_activation_function",
        "summary_type", "gradient_checkpointing", "fused_bias_fc", "emb_size", "embedding_size",
        "max_trained_positions",
    ]
    private static let fixed: [String: [JSONValue]] = ["rotary_emb_fraction": [0]]

    /// - Throws: `CheckpointError` that names the first setting that is unknown or unsupported.
    init(_ fields: ConfigurationFields) throws {
        path = fields.path
        try fields.refuseInEncoder(allBut: Self.read, harmless: Self.own, fixed: Self.fixed)
        if let kind = fields["position_embedding_type"]?.string, kind != "absolute" {
            throw fields.unsupported("'position_embedding_type' with the value '\(kind)'")
        }
        vocabularySize = try fields.integer("vocab_size")
        hiddenSize = try fields.integer("hidden_size")
        layerCount = try fields.integer("num_hidden_layers")
        headCount = try fields.integer("num_attention_heads")
        intermediateSize = try fields.integer("intermediate_size")
        positions = try fields.integer("max_position_embeddings", default: 512)
        types = try fields.integer("type_vocab_size", default: 2)
        normEpsilon = try fields.number("layer_norm_eps", default: 1e-12)
        activation = try fields.activation("hidden_act")
        let isBERT = fields["model_type"]?.string == "bert"
        positionsBehind = isBERT ? nil : try fields.integer("pad_token_id", default: 1)
        labels = try fields.labels()
        let sizes = [vocabularySize, hiddenSize, layerCount, headCount, intermediateSize, positions, types, labels]
        guard sizes.allSatisfy({ $0 > 0 && $0 < 1 << 24 }), hiddenSize.isMultiple(of: headCount), longest > 0 else {
            throw fields.malformed("its sizes are impossible, or 'hidden_size' is no multiple of 'num_attention_heads'")
        }
    }
}
