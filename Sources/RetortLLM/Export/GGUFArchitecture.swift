import RetortCore
import RetortTensor

/// What one family is to llama.cpp: its name there, what of a configuration its graph computes, and how it holds the
/// tensors (llama.cpp's `src/llama-arch.cpp` and `src/models`).
struct GGUFArchitecture: Sendable {
    /// What a configuration may have beyond the plain decoder; as a refusal names it.
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
            case .localPlan:
                return shape.localRotary.map { $0.scaling != .none || $0.share != shape.rotary.share } ?? false
            }
            return false
        }
    }

    /// `general.architecture`, and the first part of the family's keys.
    let name: String
    /// What its graph computes; anything else is refused.
    private let takes: Set<Setting>
    /// Its names for a layer's parts, where they are not the common ones.
    private let parts: [String: String]
    /// Whether it turns neighbouring numbers of a head, where Hugging Face turns its halves.
    private let turnsNeighbours: Bool
    /// Whether it lets every token see all before it, windows or not.
    private let ignoresWindows: Bool
    /// At this many layers it divides scores by √(hidden size / heads), else by √(head's width).
    private let averagesHeadsAt: Int?
    /// Whether it presses scores and logits into caps, and cannot do without.
    private let caps: Bool

    init(
        _ name: String, takes: Set<Setting>, parts: [String: String] = [:], turnsNeighbours: Bool = false,
        ignoresWindows: Bool = false, averagesHeadsAt: Int? = nil, caps: Bool = false
    ) {
        self.name = name
        self.takes = takes
        self.parts = parts
        self.turnsNeighbours = turnsNeighbours
        self.ignoresWindows = ignoresWindows
        self.averagesHeadsAt = averagesHeadsAt
        self.caps = caps
    }

    /// - Throws: `CheckpointError.unsupported` that names the first setting llama.cpp does not compute.
    func check(_ shape: DecoderConfiguration, path: String) throws {
        for setting in Setting.allCases where setting.isUsed(by: shape) && !takes.contains(setting) {
            throw CheckpointError.unsupported(
                file: path, "GGUF export of \(shape.architecture) with \(setting.rawValue)")
        }
        guard (shape.scoreCap != nil) == caps, (shape.logitCap != nil) == caps else {
            throw CheckpointError.unsupported(
                file: path,
                "GGUF export of \(shape.architecture) with scores or logits that are \(caps ? "not " : "")capped")
        }
    }

    /// The longest context in which llama.cpp computes what the checkpoint's family does.
    func contextLength(_ shape: DecoderConfiguration) -> Int {
        var length = shape.maximumPositions
        if case .longrope(_, _, _, let longest) = shape.rotary.scaling { length = Int(longest) }
        if ignoresWindows, let window = shape.windows.compactMap(\.self).min() { length = min(length, window) }
        return length
    }

    /// What llama.cpp does otherwise, although the file is right.
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

    /// The family's keys.
    func metadata(_ shape: DecoderConfiguration) -> GGUFWriter.Metadata {
        func count(_ key: String, _ value: Int) -> GGUFWriter.Metadata.Element {
            ("\(name).\(key)", .unsigned(UInt32(value)))
        }
        func number(_ key: String, _ value: Double) -> GGUFWriter.Metadata.Element {
            ("\(name).\(key)", .float(Float(value)))
        }
        var keys = [
            count("block_count", shape.layerCount), count("context_length", contextLength(shape)),
            count("embedding_length", shape.hiddenSize), count("feed_forward_length", shape.intermediateSize),
            count("attention.head_count", shape.headCount), count("attention.head_count_kv", shape.keyValueHeadCount),
            count("attention.key_length", shape.headDimension), count("attention.value_length", shape.headDimension),
            number("attention.layer_norm_rms_epsilon", shape.normEpsilon),
            number("rope.freq_base", shape.rotary.theta),
            count("rope.dimension_count", shape.rotary.turnedWidth(of: shape.headDimension)),
            count("vocab_size", shape.vocabularySize),
        ]
        if let cap = shape.scoreCap { keys.append(number("attn_logit_softcapping", cap)) }
        if let cap = shape.logitCap { keys.append(number("final_logit_softcapping", cap)) }
        if let local = shape.localRotary { keys.append(number("rope.freq_base_swa", local.theta)) }
        if !ignoresWindows, let window = shape.windows.compactMap(\.self).first {
            keys.append(count("attention.sliding_window", window))
            keys.append(("\(name).attention.sliding_window_pattern", .bools(shape.windows.map { $0 != nil })))
        }
        switch shape.rotary.scaling {
        case .linear(let factor):
            keys += [("\(name).rope.scaling.type", .string("linear")), number("rope.scaling.factor", factor)]
        case .longrope(_, _, let original, _):
            keys.append(count("rope.scaling.original_context_length", Int(original)))
            keys.append(number("rope.scaling.attn_factor", shape.rotary.amplitude))
        // Within the context, dynamic positions are plain ones.
        case .none, .llama3, .dynamic, .yarn: break
        }
        return keys
    }

    // MARK: Tensors

    /// Hugging Face's names of a layer's parts, and ggml's.
    private static let commonParts = [
        "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
        "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    ]

    /// A tensor's name and numbers as llama.cpp has them; nil for one that it does not know.
    /// - Parameter key: as in Hugging Face's checkpoints.
    func tensor(_ key: String, _ tensor: Tensor, _ shape: DecoderConfiguration) throws -> (name: String, Tensor)? {
        var tensor = tensor
        if shape.normsFromOne, key.hasSuffix("norm.weight") { tensor = try tensor.to(.float32) + 1 }
        switch key {
        case "model.embed_tokens.weight": return ("token_embd.weight", tensor)
        case "model.norm.weight": return ("output_norm.weight", tensor)
        case "lm_head.weight": return ("output.weight", tensor)
        default: break
        }
        // model.layers.N.PART.weight
        let pieces = key.split(separator: ".")
        let part = pieces.dropFirst(3).dropLast().joined(separator: ".")
        guard pieces.count > 4, let known = parts[part] ?? Self.commonParts[part], let kind = pieces.last else {
            return nil
        }
        if turnsNeighbours, known == "attn_q" || known == "attn_k" {
            let heads = known == "attn_q" ? shape.headCount : shape.keyValueHeadCount
            tensor = try tensor.reshaped([heads, 2, shape.headDimension / 2, -1]).transposed(1, 2)
                .reshaped(tensor.shape)
        }
        // A norm undoes what stands before it.
        if known == (shape.normalisesHeads ? "attn_q_norm" : "attn_q"), let factor = queryFactor(shape) {
            tensor = try tensor * factor
        }
        return ("blk.\(pieces[2]).\(known).\(kind)", tensor)
    }

    /// What queries are multiplied by so that llama.cpp's scores, of which it fixes the scale, become the checkpoint's.
    private func queryFactor(_ shape: DecoderConfiguration) -> Double? {
        guard let scale = shape.scoreScale else { return nil }
        let width = shape.layerCount == averagesHeadsAt ? shape.hiddenSize / shape.headCount : shape.headDimension
        let factor = scale * Double(width).squareRoot()
        return abs(factor - 1) < 1e-9 ? nil : factor
    }

    /// Tensors that hold how positions are stretched: what each frequency is divided by.
    func positionTensors(_ shape: DecoderConfiguration) throws -> [(name: String, tensor: Tensor)] {
        func tensor(_ name: String, _ factors: [Double]) throws -> (name: String, tensor: Tensor) {
            ("\(name).weight", try Tensor(factors.map(Float.init), shape: [factors.count]))
        }
        switch shape.rotary.scaling {
        case .none, .linear, .dynamic, .yarn: return []
        case .llama3:
            let dimension = shape.headDimension
            let plain = RotaryPlan(theta: shape.rotary.theta).frequencies(dimension: dimension)
            return [
                try tensor("rope_freqs", zip(plain, shape.rotary.frequencies(dimension: dimension)).map { $0 / $1 })
            ]
        case .longrope(let short, let long, _, _):
            return [try tensor("rope_factors_long", long), try tensor("rope_factors_short", short)]
        }
    }
}
