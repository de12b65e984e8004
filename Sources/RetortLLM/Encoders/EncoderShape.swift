import Foundation
import RetortCore
import RetortTensor

/// The shape of a network that embeds texts, by its kind.
public enum EncoderShape: Sendable, Hashable {
    /// BERT, RoBERTa or XLM-RoBERTa.
    case bert(BERTConfiguration)
    /// ModernBERT.
    case modernBERT(ModernBERTConfiguration)
    /// A decoder that embeds texts (Qwen3-Embedding).
    case decoder(DecoderConfiguration, path: String)

    /// The supported values of `model_type`.
    public static let known = BERTConfiguration.known + ModernBERTConfiguration.known + EmbeddingDecoder.known

    /// Reads a folder's `config.json`; every setting is read, known to change nothing, or refused.
    /// - Throws: `CheckpointError` that names the first setting that is unknown or unsupported.
    init(_ folder: URL) throws {
        let fields = try ConfigurationFields(folder.appendingPathComponent("config.json"))
        switch fields["model_type"]?.string ?? "none" {
        case let type where BERTConfiguration.known.contains(type): self = .bert(try BERTConfiguration(fields))
        case let type where ModernBERTConfiguration.known.contains(type):
            self = .modernBERT(try ModernBERTConfiguration(fields))
        case let type where EmbeddingDecoder.known.contains(type):
            self = .decoder(try EmbeddingDecoder.configuration(fields), path: fields.path)
        case let type:
            throw fields.unsupported(
                "an encoder of the type '\(type)' (known are \(Self.known.joined(separator: ", ")))")
        }
    }

    /// The longest text, in tokens.
    public var longest: Int {
        switch self {
        case .bert(let shape): shape.longest
        case .modernBERT(let shape): shape.longest
        case .decoder(let shape, _): shape.maximumPositions
        }
    }

    /// The width of a token's state.
    public var hiddenSize: Int {
        switch self {
        case .bert(let shape): shape.hiddenSize
        case .modernBERT(let shape): shape.hiddenSize
        case .decoder(let shape, _): shape.hiddenSize
        }
    }

    /// Rows of the embedding.
    public var vocabularySize: Int {
        switch self {
        case .bert(let shape): shape.vocabularySize
        case .modernBERT(let shape): shape.vocabularySize
        case .decoder(let shape, _): shape.vocabularySize
        }
    }

    /// The file that it was read from.
    var path: String {
        switch self {
        case .bert(let shape): shape.path
        case .modernBERT(let shape): shape.path
        case .decoder(_, let path): path
        }
    }

    /// The number of the padding token, after which positions begin (RoBERTa); nil where they begin at 0.
    var positionsBehind: Int? { if case .bert(let shape) = self { shape.positionsBehind } else { nil } }

    /// Rows of the token-type table; 1 where there is none.
    var types: Int { if case .bert(let shape) = self { shape.types } else { 1 } }

    var isDecoder: Bool { if case .decoder = self { true } else { false } }
}

// MARK: - Weights

extension EncoderShape {
    /// The prefix of the names of the network's tensors.
    func prefix(of stored: CheckpointWeights) -> String {
        let (prefixes, embedding) =
            switch self {
            case .bert: (["bert.", "roberta."], "embeddings.word_embeddings.weight")
            case .modernBERT: (["model."], "embeddings.tok_embeddings.weight")
            case .decoder: (["model."], "embed_tokens.weight")
            }
        return prefixes.first { stored.holds("\($0)\(embedding)") } ?? ""
    }

    /// Prefixes of tensors that do not contribute to vectors: heads of the training objective, and values that follow
    /// from the settings.
    var unused: [String] {
        switch self {
        case .bert:
            [
                "pooler.", "bert.pooler.", "roberta.pooler.", "cls.", "lm_head.", "classifier.",
                "embeddings.position_ids", "bert.embeddings.position_ids", "roberta.embeddings.position_ids",
            ]
        case .modernBERT: ["head.", "decoder.", "classifier."]
        case .decoder: ["lm_head."]
        }
    }

    /// Builds the network.
    /// - Parameters:
    ///   - weights: the source, in float32.
    ///   - products: the precision of products, float32 or bfloat16.
    ///   - prefix: a prefix of the names, such as `bert.`.
    func network(weights: any WeightSource, products: DType, prefix: String) throws -> any TextNetwork {
        switch self {
        case .bert(let shape): try BERTNetwork(shape, weights: weights, products: products, prefix: prefix)
        case .modernBERT(let shape): try ModernBERTNetwork(shape, weights: weights, products: products, prefix: prefix)
        case .decoder(let shape, _): try EmbeddingDecoder(shape, weights: weights, products: products, prefix: prefix)
        }
    }
}

// MARK: - Settings that all encoders share

extension ConfigurationFields {
    /// Refuses what an encoder of a kind cannot have: weights in few bits, and settings that are unknown or have another
    /// value than the one that changes nothing.
    /// - Parameters:
    ///   - read: the settings that are read.
    ///   - harmless: those that change nothing in this kind.
    ///   - fixed: those that change nothing in this kind when they have one of these values.
    func refuseInEncoder(
        allBut read: Set<String>, harmless: Set<String>, fixed: [String: [JSONValue]]
    ) throws {
        try refuseQuantised()
        // What describes the file's origin, the training, or the generation of text is harmless in all of them.
        let known = Self.harmless.union(Self.generation).subtracting(["is_decoder"])
        try refuse(
            allBut: read.union(known).union(harmless), and: Self.fixedInEncoders.merging(fixed) { _, own in own })
    }

    private static let fixedInEncoders: [String: [JSONValue]] = [
        "is_decoder": [false], "add_cross_attention": [false], "is_encoder_decoder": [false], "pruned_heads": [[:]],
        "use_bidirectional_attention": [true], "per_layer_config": [[:]],
    ]

    /// The activation that a setting names; `gelu` when it is missing.
    func activation(_ name: String) throws -> Tensor.Activation {
        switch self[name]?.string ?? "gelu" {
        case "gelu", "gelu_python": return .gelu
        case "gelu_new", "gelu_pytorch_tanh", "gelu_fast": return .geluByTanh
        case "relu": return .relu
        case "silu", "swish": return .silu
        case "tanh": return .tanh
        case let value: throw unsupported("'\(name)' with the activation '\(value)'")
        }
    }

    /// The number of scores of a classifier; 2 unless the file says otherwise.
    func labels() throws -> Int {
        try optionalInteger("num_labels") ?? (self["id2label"] == nil ? 2 : members("id2label").count)
    }
}
