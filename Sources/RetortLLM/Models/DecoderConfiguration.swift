import Foundation
import RetortCore
import RetortTensor

/// The shape of a decoder network: the common parameters of all families, and their differences.
///
/// A family's file in `Families/` translates its `config.json` into this, and refuses by name what is not supported.
public struct DecoderConfiguration: Codable, Sendable, Hashable {
    /// Rows of the embedding.
    public var vocabularySize: Int
    /// The width of the residual stream.
    public var hiddenSize: Int
    /// The width inside the feed-forward layers.
    public var intermediateSize: Int
    /// The number of layers.
    public var layerCount: Int
    /// Query heads per layer.
    public var headCount: Int
    /// Key and value heads; each serves `headCount / keyValueHeadCount` query heads.
    public var keyValueHeadCount: Int
    /// The width of one head.
    public var headDimension: Int
    /// The longest sequence in tokens.
    public var maximumPositions: Int
    /// The value added to the mean square in norms.
    public var normEpsilon: Double
    /// Whether the head shares the embedding's weights.
    public var tiesWordEmbeddings: Bool
    /// The rotary positions.
    public var rotary: RotaryPlan
    /// The rotary positions of layers with a window, if they differ (Gemma 3, Gemma 4); nil uses `rotary`.
    public var localRotary: RotaryPlan?
    /// For each layer how many tokens back it sees, including the token itself; nil sees all.
    public var windows: [Int?]

    /// Biases on query, key and value (Qwen2).
    public var hasQueryKeyValueBias = false
    /// Whether attention's output has a bias, too (some Llamas).
    public var hasOutputBias = false
    /// Whether the feed-forward layers have biases (some Llamas).
    public var hasFeedForwardBias = false
    /// How queries and keys are normalised.
    public enum HeadNorms: Codable, Sendable, Hashable {
        /// Not at all.
        case none
        /// Each head separately (Qwen3, Gemma 3).
        case eachHead
        /// All heads together (OLMo 2).
        case wholeWidth
    }

    /// The norms of queries and keys; most families have none.
    public var headNorms = HeadNorms.none
    /// The layers without rotary positions (SmolLM3), counted from 0.
    public var unrotated: Set<Int> = []
    /// The layers that carry a state from token to token instead of attending, by their number, counted from 0.
    public var carrying: [Int: CarryingLayer] = [:]
    /// Whether each head has a gate for its output (Qwen3.5).
    public var gatesAttention = false
    /// The parts of a layer, with their names in checkpoints.
    public var names = BlockNames()
    /// The gate's activation in the feed-forward layers; `silu` in most families.
    public var activation = Tensor.Gate.silu
    /// Whether a norm's scale is stored as its difference from one (Gemma).
    public var normsFromOne = false
    /// The factor on embeddings (Gemma: √hidden); nil is 1.
    public var embeddingScale: Double?
    /// The factor on everything that a layer adds to the residual (Granite); nil is 1.
    public var residualScale: Double?
    /// The factor on logits (Granite); nil is 1.
    public var logitScale: Double?
    /// The factor on attention scores; nil is 1/√head dimension.
    public var scoreScale: Double?
    /// The bound of attention scores, which a hyperbolic tangent enforces (Gemma 2); nil does not cap.
    public var scoreCap: Double?
    /// The bound of logits, enforced in the same way; nil does not cap.
    public var logitCap: Double?
    /// The heads of layers without a window, if they differ (Gemma 4); nil has the same in all layers.
    public var globalHeads: HeadShape?
    /// The layers that compute no keys and values, each with the earlier layer whose it reads (Gemma 4).
    public var keySources: [Int: Int] = [:]
    /// Whether the feed-forward layers of those layers are twice as wide.
    public var widensReaders = false
    /// Whether layers without a window have no projection to values, and take keys before their norm (Gemma 4).
    public var globalValuesAreKeys = false
    /// Whether each head's values are normalised, without a learned scale (Gemma 4).
    public var normalisesValues = false
    /// A second embedding of which each layer takes its own part (Gemma 4); nil in most families.
    public var layerEmbedding: LayerEmbeddingShape?
    /// Whether each layer's output has a factor, which is stored and not learned (Gemma 4).
    public var scalesLayers = false
    /// The fields of `config.json` as they were read, or as the family writes them.
    var fields: [String: JSONValue]

    /// A Qwen2 network, the family of the Seedlings.
    public static func qwen2(
        vocabularySize: Int, hiddenSize: Int, intermediateSize: Int, layerCount: Int, headCount: Int,
        keyValueHeadCount: Int, maximumPositions: Int = 2048, normEpsilon: Double = 1e-6, ropeTheta: Double = 10_000,
        tiesWordEmbeddings: Bool = true
    ) -> Self {
        var configuration = Self(
            vocabularySize: vocabularySize, hiddenSize: hiddenSize, intermediateSize: intermediateSize,
            layerCount: layerCount, headCount: headCount, keyValueHeadCount: keyValueHeadCount,
            headDimension: hiddenSize / headCount, maximumPositions: maximumPositions, normEpsilon: normEpsilon,
            tiesWordEmbeddings: tiesWordEmbeddings, rotary: RotaryPlan(theta: ropeTheta),
            windows: Array(repeating: nil, count: layerCount),
            fields: [
                "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_act": "silu",
                "use_sliding_window": false, "rope_theta": .number(ropeTheta),
            ])
        configuration.hasQueryKeyValueBias = true
        return configuration
    }

    /// Reads `config.json`; every setting is read, known to change nothing, or refused.
    /// - Throws: `CheckpointError` that names the file, and the unsupported architecture or setting.
    public init(configFile file: URL) throws { try self.init(ConfigurationFields(file)) }

    init(_ fields: ConfigurationFields) throws {
        let family = try Self.family(of: fields)
        try fields.refuse(allBut: family)
        let headCount = try fields.integer("num_attention_heads")
        let hiddenSize = try fields.integer("hidden_size")
        let layerCount = try fields.integer("num_hidden_layers")
        guard headCount > 0, hiddenSize > 0, (1...1000).contains(layerCount) else {
            throw fields.malformed("its width, layers or heads are out of range")
        }
        let keyValueHeads =
            fields.all["num_key_value_heads"] == nil ? family.defaults.keyValueHeadCount ?? headCount : headCount
        self.init(
            vocabularySize: try fields.integer("vocab_size"), hiddenSize: hiddenSize,
            intermediateSize: try fields.integer("intermediate_size"), layerCount: layerCount, headCount: headCount,
            keyValueHeadCount: try fields.integer("num_key_value_heads", default: keyValueHeads),
            headDimension: try Self.headDimension(fields, family, hiddenSize: hiddenSize, headCount: headCount),
            maximumPositions: try fields.integer("max_position_embeddings", default: family.defaults.maximumPositions),
            normEpsilon: try fields.number("rms_norm_eps", default: family.defaults.normEpsilon),
            tiesWordEmbeddings: try fields.flag("tie_word_embeddings", default: family.defaults.tiesWordEmbeddings),
            rotary: RotaryPlan(theta: 10_000), windows: Array(repeating: nil, count: layerCount), fields: fields.all)
        guard maximumPositions > 0, vocabularySize > 0, intermediateSize > 0 else {
            throw fields.malformed("its vocabulary, inner width or context is out of range")
        }
        try family.refine(&self, fields)
        guard heads.fit(headCount), globalHeads?.fit(headCount) ?? true else {
            throw fields.malformed("its head counts do not fit each other")
        }
        try limitContext(fields)
    }

    private static func headDimension(
        _ fields: ConfigurationFields, _ family: any ModelFamily.Type, hiddenSize: Int, headCount: Int
    ) throws -> Int {
        if let dimension = try fields.optionalInteger("head_dim") { return dimension }
        if fields.all["head_dim"] == nil, let dimension = family.defaults.headDimension { return dimension }
        guard hiddenSize.isMultiple(of: headCount) else {
            throw fields.malformed(
                "its \(headCount) heads do not divide the width \(hiddenSize), and it has no head_dim")
        }
        return hiddenSize / headCount
    }

    /// With separate short and long factors, contexts are limited to the original length; see `RotaryPlan`.
    private mutating func limitContext(_ fields: ConfigurationFields) throws {
        guard case .longrope(let short, let long, let original, _) = rotary.scaling else { return }
        let width = rotary.turnedWidth(of: headDimension) / 2
        guard short.count == width, long.count == width else {
            throw fields.malformed(
                "its rope scaling has \(short.count) short and \(long.count) long factors for \(width) frequencies")
        }
        maximumPositions = min(maximumPositions, Int(original))
    }

    private static let families: [any ModelFamily.Type] = [
        Qwen2Family.self, Qwen3Family.self, LlamaFamily.self, MistralFamily.self, Gemma2Family.self, Gemma3Family.self,
        Phi3Family.self, Ministral3Family.self, SmolLM3Family.self, Olmo2Family.self, Olmo3Family.self,
        GraniteFamily.self, GraniteHybridFamily.self, LFM2Family.self, Qwen35Family.self, Gemma4Family.self,
    ]

    /// The family that `architectures` names, or else `model_type`; both must agree.
    private static func family(of fields: ConfigurationFields) throws -> any ModelFamily.Type {
        guard let family = family(fields.architecture) else {
            try fields.refuseParts()
            throw CheckpointError.unknownArchitecture(file: fields.path, fields.architecture)
        }
        guard let named = fields["model_type"] else { return family }
        guard let type = named.string else { throw fields.malformed("'model_type' is no text") }
        guard !family.architectures.contains(type) else { return family }
        throw fields.unsupported("the architecture '\(fields.architecture)' with the model_type '\(type)'")
    }

    private static func family(_ architecture: String) -> (any ModelFamily.Type)? {
        families.first { $0.architectures.contains(architecture) }
    }

    /// The family by llama.cpp's name; of two that share a name, the one with windows if there are any.
    static func family(gguf name: String, hasWindow: Bool) -> (any GGUFFamily.Type)? {
        let named = ggufFamilies.filter { $0.isNamed(gguf: name) }
        return named.first { hasWindow && $0.hasOwnWindows } ?? named.first
    }

    /// llama.cpp's names of all families.
    static var knownGGUF: [String] { Set(ggufFamilies.map { $0.ggufName }).sorted() }

    private static let ggufFamilies = families.compactMap { $0 as? any GGUFFamily.Type }

    /// The family in llama.cpp's terms; nil if its GGUF files are not supported.
    var gguf: GGUFArchitecture? { (Self.family(architecture) as? any GGUFFamily.Type)?.gguf }

    /// See `ModelFamily.unusedTensors`; and what a layer would need for keys and values of its own, if it reads
    /// another's.
    var unusedTensors: [String] {
        let readers = keySources.keys.flatMap { layer in
            ["k_proj.", "v_proj.", "k_norm.", "v_norm."].map { "model.layers.\(layer).self_attn.\($0)" }
        }
        return readers + (Self.family(architecture)?.unusedTensors ?? [])
    }

    /// The supported classes of checkpoints, such as `Qwen2ForCausalLM`.
    public static var knownArchitectures: [String] {
        families.flatMap { $0.architectures }.filter { $0.hasSuffix("ForCausalLM") }
    }

    private init(
        vocabularySize: Int, hiddenSize: Int, intermediateSize: Int, layerCount: Int, headCount: Int,
        keyValueHeadCount: Int, headDimension: Int, maximumPositions: Int, normEpsilon: Double,
        tiesWordEmbeddings: Bool, rotary: RotaryPlan, windows: [Int?], fields: [String: JSONValue]
    ) {
        self.vocabularySize = vocabularySize
        self.hiddenSize = hiddenSize
        self.intermediateSize = intermediateSize
        self.layerCount = layerCount
        self.headCount = headCount
        self.keyValueHeadCount = keyValueHeadCount
        self.headDimension = headDimension
        self.maximumPositions = maximumPositions
        self.normEpsilon = normEpsilon
        self.tiesWordEmbeddings = tiesWordEmbeddings
        self.rotary = rotary
        self.windows = windows
        self.fields = fields
    }

    /// The class that the checkpoint names, such as `Qwen2ForCausalLM`, or its `model_type`.
    public var architecture: String { ConfigurationFields.architecture(of: fields) }

    /// The same decoder after training on texts of this many tokens, which it can therefore read. Stretched rotary
    /// positions are made for a fixed length, and are not extended.
    public func reading(_ positions: Int) -> DecoderConfiguration {
        guard positions > maximumPositions, rotary.scaling.isUnstretched else { return self }
        var longer = self
        longer.maximumPositions = positions
        longer.fields["max_position_embeddings"] = .integer(positions)
        return longer
    }

    /// The `config.json` that transformers reads.
    public func configJSON(dtype: String) throws -> Data {
        var fields = fields
        fields["vocab_size"] = .integer(vocabularySize)
        fields["hidden_size"] = .integer(hiddenSize)
        fields["intermediate_size"] = .integer(intermediateSize)
        fields["num_hidden_layers"] = .integer(layerCount)
        fields["num_attention_heads"] = .integer(headCount)
        fields["num_key_value_heads"] = .integer(keyValueHeadCount)
        fields["max_position_embeddings"] = fields["max_position_embeddings"] ?? .integer(maximumPositions)
        fields["rms_norm_eps"] = .number(normEpsilon)
        fields["tie_word_embeddings"] = .bool(tiesWordEmbeddings)
        fields["torch_dtype"] = .string(dtype)
        fields["dtype"] = nil
        return Data(ExactJSON.text(.object(fields)).utf8)
    }
}

/// A family of decoders: its names, and its differences from others.
protocol ModelFamily: Sendable {
    /// The names in `architectures` or `model_type` of `config.json`.
    static var architectures: [String] { get }
    /// The values of missing settings.
    static var defaults: FamilyDefaults { get }
    /// The family's own settings in `config.json`: read, or known to change nothing.
    static var keys: Set<String> { get }
    /// Settings that change nothing when they have one of these values.
    static var fixed: [String: [JSONValue]] { get }
    /// Prefixes of tensors that do not contribute to scores, and need not be read.
    static var unusedTensors: [String] { get }
    /// Translates the family's own settings into the common ones.
    static func refine(_ configuration: inout DecoderConfiguration, _ fields: ConfigurationFields) throws
}

/// A family whose GGUF files can be read and written.
protocol GGUFFamily: ModelFamily {
    /// The family in llama.cpp's terms.
    static var gguf: GGUFArchitecture { get }
}

extension GGUFFamily {
    static var ggufName: String { gguf.name }
    static func isNamed(gguf name: String) -> Bool { gguf.name == name }
    /// Whether it has windows that llama.cpp ignores.
    static var hasOwnWindows: Bool { gguf.ignoresWindows }
}

extension ModelFamily {
    static var keys: Set<String> { [] }
    static var fixed: [String: [JSONValue]] { [:] }
    static var unusedTensors: [String] { [] }
}

/// The values that transformers uses for settings missing from a family's `config.json`.
struct FamilyDefaults: Sendable {
    var maximumPositions: Int
    /// Nil means as many as query heads.
    var keyValueHeadCount: Int?
    /// Nil means the hidden size divided by the heads.
    var headDimension: Int?
    var normEpsilon = 1e-6
    var tiesWordEmbeddings = false
}
