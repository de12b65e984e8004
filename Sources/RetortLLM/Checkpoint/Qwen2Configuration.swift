import Foundation
import RetortCore

/// The shape of a Qwen2 network, as `config.json` gives it.
public struct Qwen2Configuration: Codable, Sendable, Hashable {
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
    /// The longest sequence, in tokens.
    public var maximumPositions: Int
    public var rmsNormEpsilon: Double
    /// The base of the rotary frequencies.
    public var ropeTheta: Double
    /// Whether the head is the embedding itself.
    public var tiesWordEmbeddings: Bool

    /// The width of one head.
    public var headDimension: Int { hiddenSize / headCount }

    public init(
        vocabularySize: Int, hiddenSize: Int, intermediateSize: Int, layerCount: Int, headCount: Int,
        keyValueHeadCount: Int, maximumPositions: Int = 2048, rmsNormEpsilon: Double = 1e-6, ropeTheta: Double = 10_000,
        tiesWordEmbeddings: Bool = true
    ) {
        self.vocabularySize = vocabularySize
        self.hiddenSize = hiddenSize
        self.intermediateSize = intermediateSize
        self.layerCount = layerCount
        self.headCount = headCount
        self.keyValueHeadCount = keyValueHeadCount
        self.maximumPositions = maximumPositions
        self.rmsNormEpsilon = rmsNormEpsilon
        self.ropeTheta = ropeTheta
        self.tiesWordEmbeddings = tiesWordEmbeddings
    }

    enum CodingKeys: String, CodingKey {
        case vocabularySize = "vocab_size"
        case hiddenSize = "hidden_size"
        case intermediateSize = "intermediate_size"
        case layerCount = "num_hidden_layers"
        case headCount = "num_attention_heads"
        case keyValueHeadCount = "num_key_value_heads"
        case maximumPositions = "max_position_embeddings"
        case rmsNormEpsilon = "rms_norm_eps"
        case ropeTheta = "rope_theta"
        case tiesWordEmbeddings = "tie_word_embeddings"
    }

    /// Reads `config.json` and refuses by name what this family does not do.
    public init(configFile file: URL) throws {
        guard let data = try? Data(contentsOf: file) else { throw CheckpointError.missing(file: file.path) }
        let raw: JSONValue
        do {
            raw = try JSONCoding.decoder.decode(JSONValue.self, from: data)
        } catch {
            throw CheckpointError.malformed(file: file.path, "it is not JSON")
        }
        let architecture = raw["architectures"]?.array?.first?.string ?? raw["model_type"]?.string ?? "none"
        guard ["Qwen2ForCausalLM", "qwen2"].contains(architecture) else {
            throw CheckpointError.unknownArchitecture(file: file.path, architecture)
        }
        let rope = raw["rope_parameters"] ?? raw["rope_scaling"] ?? .null
        let kind = rope["rope_type"]?.string ?? rope["type"]?.string ?? "default"
        guard kind == "default" else { throw CheckpointError.unsupported(file: file.path, "rope type '\(kind)'") }
        if let activation = raw["hidden_act"]?.string, activation != "silu" {
            throw CheckpointError.unsupported(file: file.path, "the activation '\(activation)'")
        }
        if raw["use_sliding_window"] == .bool(true) {
            throw CheckpointError.unsupported(file: file.path, "sliding-window attention")
        }
        // transformers 5 moved theta into rope_parameters and leaves defaults out of the file.
        var fields = raw.object ?? [:]
        if let theta = rope["rope_theta"] { fields["rope_theta"] = theta }
        fields["rope_theta"] = fields["rope_theta"] ?? 10_000
        fields["tie_word_embeddings"] = fields["tie_word_embeddings"] ?? false
        fields["num_key_value_heads"] = fields["num_key_value_heads"] ?? fields["num_attention_heads"]
        do {
            self = try JSONCoding.decoder.decode(Self.self, from: JSONCoding.encoder.encode(JSONValue.object(fields)))
        } catch DecodingError.keyNotFound(let key, _) {
            throw CheckpointError.malformed(file: file.path, "it lacks '\(key.stringValue)'")
        } catch {
            throw CheckpointError.malformed(file: file.path, "\(error)")
        }
        guard headCount > 0, keyValueHeadCount > 0, hiddenSize % headCount == 0, headCount % keyValueHeadCount == 0
        else { throw CheckpointError.malformed(file: file.path, "its head counts do not divide its width") }
        if let stated = raw["head_dim"], stated != .integer(headDimension), stated != .null {
            throw CheckpointError.unsupported(file: file.path, "a head_dim other than hidden_size / heads")
        }
    }

    /// The `config.json` that transformers reads.
    public func configJSON(dtype: String) throws -> Data {
        var fields = try JSONCoding.decoder.decode(JSONValue.self, from: JSONCoding.encoder.encode(self)).object ?? [:]
        fields["architectures"] = ["Qwen2ForCausalLM"]
        fields["model_type"] = "qwen2"
        fields["hidden_act"] = "silu"
        fields["use_sliding_window"] = false
        fields["torch_dtype"] = .string(dtype)
        return try JSONCoding.prettyEncoder.encode(JSONValue.object(fields))
    }
}
