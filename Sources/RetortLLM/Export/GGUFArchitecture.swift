import RetortCore
import RetortTensor

/// A family in llama.cpp's terms: its name, the settings that its graph computes, and how it stores the tensors
/// (llama.cpp's `src/llama-arch.cpp` and `src/models`).
struct GGUFArchitecture: Sendable {
    /// What a configuration may have beyond the plain decoder, in the words of a refusal.
    enum Setting: String, CaseIterable, Sendable {
        case outputBias = "a bias on the attention's output"
        case feedForwardBias = "biases in the feed-forward layers"
        case ownHead = "a head that is not the embedding"
        case ownHeadWidth = "heads whose widths do not add up to the hidden size"
        case partlyTurned = "heads that are turned in part"
        case linear = "positions stretched by one factor"
        case llama3 = "positions stretched as Llama 3.1's"
        case longrope = "positions stretched by short and long factors"
        case yarn = "positions stretched by YaRN"
        case windows = "a sliding window"
        case unrotated = "layers that turn nothing"
        case multipliers = "multipliers of residuals and logits"
        case tiedHead = "a head that is the embedding"
        case localPlan = "positions that are stretched otherwise in layers with a window"

        func isUsed(by shape: DecoderConfiguration) -> Bool {
            switch self {
            case .outputBias: return shape.hasOutputBias
            case .feedForwardBias: return shape.hasFeedForwardBias
            case .ownHead: return !shape.tiesWordEmbeddings
            case .ownHeadWidth: return shape.headCount * shape.headDimension != shape.hiddenSize
            case .partlyTurned: return shape.rotary.turnedWidth(of: shape.headDimension) != shape.headDimension
            case .linear: if case .linear = shape.rotary.scaling { return true }
            case .llama3: if case .llama3 = shape.rotary.scaling { return true }
            case .longrope: if case .longrope = shape.rotary.scaling { return true }
            case .yarn: if case .yarn = shape.rotary.scaling { return true }
            case .windows: return shape.windows.contains { $0 != nil }
            case .unrotated: return !shape.unrotated.isEmpty
            case .multipliers: return shape.residualScale != nil || shape.logitScale != nil
            case .tiedHead: return shape.tiesWordEmbeddings
            case .localPlan:
                return shape.localRotary.map { $0.scaling != .none || $0.share != shape.rotary.share } ?? false
            }
            return false
        }
    }

    /// `general.architecture`, which is also the prefix of the family's keys.
    let name: String
    /// The settings that its graph computes; all others are refused.
    private let takes: Set<Setting>
    /// The layers without rotation, given the number of layers, as in the graph.
    private let unrotated: @Sendable (Int) -> Set<Int>
    /// Whether it has keys for multipliers of embeddings, scores, residuals and logits.
    let multiplies: Bool
    /// Its names of a layer's parts, where they differ from the common ones.
    let parts: [String: String]
    /// Whether it rotates adjacent numbers of a head, where Hugging Face rotates its two halves.
    let turnsNeighbours: Bool
    /// Whether every token sees all tokens before it, even if the model has windows.
    let ignoresWindows: Bool
    /// With this many layers, scores are divided by √(hidden size / heads), otherwise by √(head width).
    private let averagesHeadsAt: Int?
    /// Whether it always caps scores and logits, so that it needs the caps.
    let caps: Bool

    init(
        _ name: String, takes: Set<Setting>, parts: [String: String] = [:], turnsNeighbours: Bool = false,
        ignoresWindows: Bool = false, averagesHeadsAt: Int? = nil, caps: Bool = false,
        multiplies: Bool = false, unrotated: @escaping @Sendable (Int) -> Set<Int> = { _ in [] }
    ) {
        self.multiplies = multiplies
        self.unrotated = unrotated
        self.name = name
        self.takes = takes
        self.parts = parts
        self.turnsNeighbours = turnsNeighbours
        self.ignoresWindows = ignoresWindows
        self.averagesHeadsAt = averagesHeadsAt
        self.caps = caps
    }

    /// The architecture that computes what a network does.
    /// - Throws: `CheckpointError.unsupported` that names the family, or the first setting, that llama.cpp does not
    ///   compute.
    static func able(_ shape: DecoderConfiguration, path: String) throws -> GGUFArchitecture {
        guard let architecture = shape.gguf else {
            throw CheckpointError.unsupported(file: path, "GGUF export of \(shape.architecture)")
        }
        try architecture.check(shape, path: path)
        return architecture
    }

    /// - Throws: `CheckpointError.unsupported` that names the first setting llama.cpp does not compute.
    private func check(_ shape: DecoderConfiguration, path: String) throws {
        for setting in Setting.allCases where setting.isUsed(by: shape) && !takes.contains(setting) {
            throw CheckpointError.unsupported(
                file: path, "GGUF export of \(shape.architecture) with \(setting.rawValue)")
        }
        guard shape.unrotated == unrotated(shape.layerCount) else {
            throw CheckpointError.unsupported(
                file: path, "GGUF export of \(shape.architecture) with these layers that turn nothing")
        }
        guard (shape.scoreCap != nil) == caps, (shape.logitCap != nil) == caps else {
            throw CheckpointError.unsupported(
                file: path,
                "GGUF export of \(shape.architecture) with scores or logits that are \(caps ? "not " : "")capped")
        }
    }

    /// The longest context in which llama.cpp computes the same as the checkpoint's family.
    func contextLength(_ shape: DecoderConfiguration) -> Int {
        var length = shape.maximumPositions
        if case .longrope(_, _, _, let longest) = shape.rotary.scaling { length = Int(longest) }
        if ignoresWindows, let window = shape.windows.compactMap(\.self).min() { length = min(length, window) }
        return length
    }

    /// Differences in llama.cpp's behaviour although the file is correct.
    func remarks(_ shape: DecoderConfiguration) -> [String] {
        var remarks: [String] = []
        let length = contextLength(shape)
        if ignoresWindows, shape.windows.contains(length) {
            remarks.append(
                "llama.cpp does without the sliding window: the file's context is the window, \(length) tokens")
        }
        if case .longrope(_, _, let original, let longest) = shape.rotary.scaling, longest > original {
            remarks.append(
                "llama.cpp takes the long factors for any context of more than \(Int(original)) tokens, Retort the "
                    + "short ones: start it with -c \(Int(original)) to get the same")
        }
        return remarks
    }

    // MARK: Keys

    /// The family's keys, without its name in front.
    enum Key: String, CaseIterable, Sendable {
        case layers = "block_count"
        case context = "context_length"
        case width = "embedding_length"
        case innerWidth = "feed_forward_length"
        case vocabulary = "vocab_size"
        case heads = "attention.head_count"
        case keyValueHeads = "attention.head_count_kv"
        case keyWidth = "attention.key_length"
        case valueWidth = "attention.value_length"
        case normEpsilon = "attention.layer_norm_rms_epsilon"
        case scoreCap = "attn_logit_softcapping"
        case logitCap = "final_logit_softcapping"
        case window = "attention.sliding_window"
        case windowPattern = "attention.sliding_window_pattern"
        case theta = "rope.freq_base"
        case localTheta = "rope.freq_base_swa"
        case turnedWidth = "rope.dimension_count"
        case scaling = "rope.scaling.type"
        case scalingFactor = "rope.scaling.factor"
        case originalContext = "rope.scaling.original_context_length"
        case amplitude = "rope.scaling.attn_factor"
    }

    /// The tensor with the divisor of each frequency.
    static let frequencies = "rope_freqs.weight"
    /// The divisors for short and for long contexts.
    static let shortFactors = "rope_factors_short.weight"
    static let longFactors = "rope_factors_long.weight"

    /// Keys for multipliers, or for the divisor of logits, without the family's name in front; 0 is no multiplier.
    enum Multiplier: String, CaseIterable, Sendable {
        case embeddings = "embedding_scale"
        case scores = "attention.scale"
        case residuals = "residual_scale"
        case logits = "logit_scale"
    }

    private func multipliers(_ shape: DecoderConfiguration) -> GGUFWriter.Metadata {
        let values: [(Multiplier, Double?)] = [
            (.embeddings, shape.embeddingScale), (.scores, shape.scoreScale), (.residuals, shape.residualScale),
            (.logits, shape.logitScale.map { 1 / $0 } ?? 1),
        ]
        return values.compactMap { key, value in value.map { ("\(name).\(key.rawValue)", .float(Float($0))) } }
    }

    /// The family's keys with a network's values.
    func metadata(_ shape: DecoderConfiguration) -> GGUFWriter.Metadata {
        func key(_ key: Key) -> String { "\(name).\(key.rawValue)" }
        func count(_ name: Key, _ value: Int) -> GGUFWriter.Metadata.Element { (key(name), .unsigned(UInt32(value))) }
        func number(_ name: Key, _ value: Double) -> GGUFWriter.Metadata.Element { (key(name), .float(Float(value))) }
        var keys = [
            count(.layers, shape.layerCount), count(.context, contextLength(shape)), count(.width, shape.hiddenSize),
            count(.innerWidth, shape.intermediateSize), count(.heads, shape.headCount),
            count(.keyValueHeads, shape.keyValueHeadCount), count(.keyWidth, shape.headDimension),
            count(.valueWidth, shape.headDimension), number(.normEpsilon, shape.normEpsilon),
            number(.theta, shape.rotary.theta), count(.turnedWidth, shape.rotary.turnedWidth(of: shape.headDimension)),
            count(.vocabulary, shape.vocabularySize),
        ]
        if multiplies { keys += multipliers(shape) }
        if let cap = shape.scoreCap { keys.append(number(.scoreCap, cap)) }
        if let cap = shape.logitCap { keys.append(number(.logitCap, cap)) }
        if let local = shape.localRotary { keys.append(number(.localTheta, local.theta)) }
        if !ignoresWindows, let window = shape.windows.compactMap(\.self).first {
            keys.append(count(.window, window))
            keys.append((key(.windowPattern), .bools(shape.windows.map { $0 != nil })))
        }
        switch shape.rotary.scaling {
        case .linear(let factor):
            keys += [(key(.scaling), .string("linear")), number(.scalingFactor, factor)]
        case .longrope(_, _, let original, _):
            keys.append(count(.originalContext, Int(original)))
            keys.append(number(.amplitude, shape.rotary.amplitude))
        // Within the context, dynamic positions are the same as plain ones.
        case .none, .llama3, .dynamic, .yarn, .proportional: break
        }
        return keys
    }

    // MARK: Tensors

    /// Hugging Face's names of tensors outside the layers, and ggml's names.
    static let outerParts = [
        "model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
        "lm_head.weight": "output.weight",
    ]

    /// Hugging Face's names of a layer's parts, and ggml's names.
    static let commonParts = [
        "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
        "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    ]

    /// A tensor's name and numbers as llama.cpp expects them; nil for an unknown tensor.
    /// - Parameter key: the name in Hugging Face's checkpoints.
    func tensor(_ key: String, _ tensor: Tensor, _ shape: DecoderConfiguration) throws -> (name: String, Tensor)? {
        var tensor = tensor
        if shape.normsFromOne, key.hasSuffix("norm.weight") { tensor = try tensor.to(.float32) + 1 }
        if let name = Self.outerParts[key] { return (name, tensor) }
        guard let (layer, known, kind) = layerPart(of: key) else { return nil }
        if turnsNeighbours, known == "attn_q" || known == "attn_k" {
            let heads = known == "attn_q" ? shape.headCount : shape.keyValueHeadCount
            tensor = try tensor.reshaped([heads, 2, shape.headDimension / 2, -1]).transposed(1, 2)
                .reshaped(tensor.shape)
        }
        // A norm would cancel a factor that is applied before it.
        if known == (shape.headNorms == .eachHead ? "attn_q_norm" : "attn_q"), let factor = queryFactor(shape) {
            tensor = try tensor * factor
        }
        return ("blk.\(layer).\(known).\(kind)", tensor)
    }

    /// A layer's part by Hugging Face's key, with ggml's name for it; nil for an unknown one.
    func layerPart(of key: String) -> (layer: Substring, part: String, kind: Substring)? {
        // model.layers.N.PART.weight
        let pieces = key.split(separator: ".")
        let part = pieces.dropFirst(3).dropLast().joined(separator: ".")
        guard pieces.count > 4, let known = parts[part] ?? Self.commonParts[part] else { return nil }
        return (pieces[2], known, pieces[pieces.count - 1])
    }

    /// The factor on queries that turns llama.cpp's scores, whose scale is fixed, into the checkpoint's.
    private func queryFactor(_ shape: DecoderConfiguration) -> Double? {
        guard let scale = shape.scoreScale, !multiplies else { return nil }
        let width = scoreWidth(shape.layerCount, shape.hiddenSize, shape.headCount, shape.headDimension)
        let factor = scale * Double(width).squareRoot()
        return abs(factor - 1) < 1e-9 ? nil : factor
    }

    /// The number whose square root llama.cpp divides scores by.
    func scoreWidth(_ layers: Int, _ width: Int, _ heads: Int, _ headWidth: Int) -> Int {
        layers == averagesHeadsAt ? width / heads : headWidth
    }

    /// Tensors that describe how positions are stretched: the divisor of each frequency.
    func positionTensors(_ shape: DecoderConfiguration) throws -> [(name: String, tensor: Tensor)] {
        func tensor(_ name: String, _ factors: [Double]) throws -> (name: String, tensor: Tensor) {
            (name, try Tensor(factors.map(Float.init), shape: [factors.count]))
        }
        switch shape.rotary.scaling {
        case .none, .linear, .dynamic, .yarn, .proportional: return []
        case .llama3:
            let dimension = shape.headDimension
            let plain = RotaryPlan(theta: shape.rotary.theta).frequencies(dimension: dimension)
            return [
                try tensor(Self.frequencies, zip(plain, shape.rotary.frequencies(dimension: dimension)).map { $0 / $1 })
            ]
        case .longrope(let short, let long, _, _):
            return [try tensor(Self.longFactors, long), try tensor(Self.shortFactors, short)]
        }
    }
}
