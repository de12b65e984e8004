import Foundation
import RetortCore
import RetortTensor

/// The shape of a decoder network: what all families share, and where they differ.
///
/// A family's file in `Families/` reads its own `config.json` into this and refuses by name what Retort does not do.
public struct DecoderConfiguration: Codable, Sendable, Hashable {
    /// Rows of the embedding.
    public var vocabularySize: Int
    /// The width of the residual stream.
    public var hiddenSize: Int
    /// The width inside the feed-forward layers.
    public var intermediateSize: Int
    public var layerCount: Int
    public var headCount: Int
    /// Key and value heads; each serves `headCount / keyValueHeadCount` query heads.
    public var keyValueHeadCount: Int
    /// The width of one head.
    public var headDimension: Int
    /// The longest sequence, in tokens.
    public var maximumPositions: Int
    public var normEpsilon: Double
    /// Whether the head is the embedding itself.
    public var tiesWordEmbeddings: Bool
    /// How positions turn queries and keys.
    public var rotary: RotaryPlan
    /// How they do in layers with a window, when otherwise (Gemma 3).
    public var localRotary: RotaryPlan?
    /// For each layer how many tokens back it sees, itself included; nil sees all.
    public var windows: [Int?]

    /// Biases on query, key and value (Qwen2).
    public var hasQueryKeyValueBias = false
    /// A bias on the attention's output, too (some Llamas).
    public var hasOutputBias = false
    /// Biases in the feed-forward layers (some Llamas).
    public var hasFeedForwardBias = false
    /// How queries and keys are normalised.
    public enum HeadNorms: Codable, Sendable, Hashable {
        case none
        /// Head by head (Qwen3, Gemma 3).
        case eachHead
        /// Over all heads at once (OLMo 2).
        case wholeWidth
    }

    public var headNorms = HeadNorms.none
    /// Layers in which positions turn nothing (SmolLM3).
    public var unrotated: Set<Int> = []
    /// Layers that carry a state from token to token instead of attending, by their number.
    public var carrying: [Int: CarryingLayer] = [:]
    /// Whether queries come with gates for what their heads find (Qwen3.5).
    public var gatesAttention = false
    /// What a layer consists of, by its checkpoints' names.
    public var names = BlockNames()
    public var activation = Tensor.Gate.silu
    /// A norm's scale is stored as its difference from one (Gemma).
    public var normsFromOne = false
    /// What embeddings are multiplied by (Gemma: √hidden).
    public var embeddingScale: Double?
    /// What is multiplied into all that a layer adds to the residual (Granite).
    public var residualScale: Double?
    /// What logits are multiplied by (Granite).
    public var logitScale: Double?
    /// What scores are multiplied by; nil is 1/√head dimension.
    public var scoreScale: Double?
    /// Scores are pressed into ± this by a hyperbolic tangent (Gemma 2).
    public var scoreCap: Double?
    /// Logits, too.
    public var logitCap: Double?
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
    /// - Throws: `CheckpointError` that names the file, and the architecture or setting that Retort does not do.
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
        guard keyValueHeadCount > 0, headDimension > 0, headDimension.isMultiple(of: 2),
            headCount.isMultiple(of: keyValueHeadCount)
        else { throw fields.malformed("its head counts do not fit each other") }
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

    /// Contexts go as far as the original length where there are short and long factors: see `RotaryPlan`.
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
        GraniteFamily.self, GraniteHybridFamily.self, LFM2Family.self, Qwen35Family.self,
    ]

    /// The family that `architectures` names, or else `model_type`; both must name the same.
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

    /// The family by llama.cpp's name: of two that share one, that with windows where there are some.
    static func family(gguf name: String, hasWindow: Bool) -> (any GGUFFamily.Type)? {
        let named = ggufFamilies.filter { $0.isNamed(gguf: name) }
        return named.first { hasWindow && $0.hasOwnWindows } ?? named.first
    }

    /// llama.cpp's names of all families.
    static var knownGGUF: [String] { Set(ggufFamilies.map { $0.ggufName }).sorted() }

    private static let ggufFamilies = families.compactMap { $0 as? any GGUFFamily.Type }

    /// What the family is to llama.cpp; nil where GGUF files of it are neither read nor written.
    var gguf: GGUFArchitecture? { (Self.family(architecture) as? any GGUFFamily.Type)?.gguf }

    /// See `ModelFamily.unusedTensors`.
    var unusedTensors: [String] { Self.family(architecture)?.unusedTensors ?? [] }

    /// The classes that checkpoints may name, such as `Qwen2ForCausalLM`.
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

    /// The same decoder after a training on texts of so many tokens: what was learned there can be read. Stretched angles
    /// are made for their own length, and stay at it.
    public func reading(_ positions: Int) -> DecoderConfiguration {
        guard positions > maximumPositions, case .none = rotary.scaling else { return self }
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

/// One family of decoders: the names it goes by, and what is its own.
protocol ModelFamily: Sendable {
    /// As in `architectures` or `model_type` of `config.json`.
    static var architectures: [String] { get }
    /// What holds when `config.json` does not say.
    static var defaults: FamilyDefaults { get }
    /// Settings of `config.json` that are the family's own: read, or known to change nothing.
    static var keys: Set<String> { get }
    /// Those that change nothing as long as they have one of these values.
    static var fixed: [String: [JSONValue]] { get }
    /// How the names of tensors begin that belong to no part which computes scores, and need not be read.
    static var unusedTensors: [String] { get }
    /// Puts the family's own settings into the common ones.
    static func refine(_ configuration: inout DecoderConfiguration, _ fields: ConfigurationFields) throws
}

/// A family whose GGUF files are read and written.
protocol GGUFFamily: ModelFamily {
    /// How llama.cpp names and computes the family.
    static var gguf: GGUFArchitecture { get }
}

extension GGUFFamily {
    static var ggufName: String { gguf.name }
    static func isNamed(gguf name: String) -> Bool { gguf.name == name }
    /// Whether it has windows that llama.cpp does without.
    static var hasOwnWindows: Bool { gguf.ignoresWindows }
}

extension ModelFamily {
    static var keys: Set<String> { [] }
    static var fixed: [String: [JSONValue]] { [:] }
    static var unusedTensors: [String] { [] }
}

/// What transformers takes where a family's `config.json` says nothing.
struct FamilyDefaults: Sendable {
    var maximumPositions: Int
    /// Nil is as many as there are heads.
    var keyValueHeadCount: Int?
    /// Nil is the width divided by the heads.
    var headDimension: Int?
    var normEpsilon = 1e-6
    var tiesWordEmbeddings = false
}
