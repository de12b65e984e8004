import Foundation
import RetortCore
import RetortTensor

/// Translates a GGUF file's keys and tensors into the `config.json` that transformers would have for the network (the
/// reverse of llama.cpp's conversion; see its `src/models/*.cpp`).
struct GGUFConfiguration {
    private let keys: GGUFKeys
    private let architecture: GGUFArchitecture
    private let family: any GGUFFamily.Type
    /// The names of all tensors.
    private let tensors: Set<String>
    /// Reads a small tensor with the divisors of frequencies.
    private let factors: (String) throws -> [Double]?

    init(
        _ keys: GGUFKeys, _ family: any GGUFFamily.Type, tensors: Set<String>,
        factors: @escaping (String) throws -> [Double]?
    ) {
        self.keys = keys
        self.family = family
        architecture = family.gguf
        self.tensors = tensors
        self.factors = factors
    }

    /// - Parameter vocabulary: the number of rows of the embedding.
    /// - Throws: `CheckpointError` that names the key.
    func fields(vocabulary: Int) throws -> [String: JSONValue] {
        let (width, heads) = (try keys.requiredCount(.width), try keys.requiredCount(.heads))
        let layers = try keys.requiredCount(.layers)
        guard layers <= 1000 else { throw keys.refused(.layers) }
        let headWidth = try headWidth(width, heads)
        if let stated = try keys.count(.vocabulary), stated != vocabulary {
            throw keys.contents.malformed(
                keys.key(.vocabulary), "is \(stated), and the embedding has \(vocabulary) rows")
        }
        let context = try keys.requiredCount(.context)
        var fields: [String: JSONValue] = [
            "architectures": .array([.string(family.architectures.first ?? "")]),
            "model_type": .string(family.architectures.last ?? ""),
            "vocab_size": .integer(vocabulary), "hidden_size": .integer(width),
            "intermediate_size": .integer(try keys.requiredCount(.innerWidth)), "num_hidden_layers": .integer(layers),
            "num_attention_heads": .integer(heads),
            "num_key_value_heads": .integer(try keys.count(.keyValueHeads) ?? heads),
            "max_position_embeddings": .integer(context),
            "rms_norm_eps": .number(try keys.number(.normEpsilon) ?? family.defaults.normEpsilon),
            "tie_word_embeddings": .bool(!tensors.contains("output.weight")),
        ]
        if headWidth * heads != width || family.defaults.headDimension != nil {
            fields["head_dim"] = .integer(headWidth)
        }
        fields.merge(try positions(headWidth, context: context)) { $1 }
        fields.merge(try caps()) { $1 }
        fields.merge(try windows(layers, context: context)) { $1 }
        fields.merge(try biases()) { $1 }
        fields.merge(try multipliers(headWidth)) { $1 }
        if architecture.parts["pre_feedforward_layernorm"] != nil {
            let divisor = architecture.scoreWidth(layers, width, heads, headWidth)
            fields["query_pre_attn_scalar"] = .integer(divisor)
            fields["hidden_activation"] = "gelu_pytorch_tanh"
        } else {
            fields["hidden_act"] = "silu"
        }
        return fields
    }

    private func headWidth(_ width: Int, _ heads: Int) throws -> Int {
        guard let own = try keys.count(.keyWidth) else {
            guard width.isMultiple(of: heads) else { throw keys.refused(.heads) }
            return width / heads
        }
        guard try keys.count(.valueWidth) ?? own == own else { throw keys.refused(.valueWidth) }
        return own
    }

    // MARK: Positions

    private func positions(_ headWidth: Int, context: Int) throws -> [String: JSONValue] {
        var fields: [String: JSONValue] = ["rope_theta": .number(try keys.number(.theta) ?? 10_000)]
        let isPhi = architecture.name == Phi3Family.gguf.name
        let turned = try keys.count(.turnedWidth) ?? headWidth
        if turned != headWidth {
            guard isPhi, turned < headWidth, turned.isMultiple(of: 2) else { throw keys.refused(.turnedWidth) }
            let share = Double(turned) / Double(headWidth)
            fields["partial_rotary_factor"] = .number(
                Int(Double(headWidth) * share) < turned ? share.nextUp : share)
        }
        if let theta = try keys.number(.localTheta) {
            if architecture.name == Gemma3Family.gguf.name {
                fields["rope_local_base_freq"] = .number(theta)
            } else if .number(theta) != fields["rope_theta"] {
                throw keys.refused(.localTheta)
            }
        }
        if let scaling = try isPhi ? longScaling(&fields, context: context) : scaling(headWidth, &fields, context) {
            fields["rope_scaling"] = .object(scaling)
        }
        return fields
    }

    /// Phi-3's short and long factors.
    private func longScaling(_ fields: inout [String: JSONValue], context: Int) throws -> [String: JSONValue]? {
        guard let short = try factors(GGUFArchitecture.shortFactors),
            let long = try factors(GGUFArchitecture.longFactors)
        else {
            if try keys.text(.scaling).map({ $0 != "none" }) ?? false { throw keys.refused(.scaling) }
            return nil
        }
        guard [nil, "none", "longrope"].contains(try keys.text(.scaling)) else { throw keys.refused(.scaling) }
        guard [0, 1].contains(try keys.number(.scalingFactor) ?? 0) else { throw keys.refused(.scalingFactor) }
        fields["original_max_position_embeddings"] = .integer(try keys.count(.originalContext) ?? context)
        var scaling: [String: JSONValue] = [
            "type": "longrope", "short_factor": .array(short.map(JSONValue.number)),
            "long_factor": .array(long.map(JSONValue.number)),
        ]
        if let amplitude = try keys.number(.amplitude) { scaling["attention_factor"] = .number(amplitude) }
        return scaling
    }

    private func scaling(
        _ headWidth: Int, _ fields: inout [String: JSONValue], _ context: Int
    ) throws -> [String: JSONValue]? {
        if let amplitude = try keys.number(.amplitude), amplitude != 1 { throw keys.refused(.amplitude) }
        let factor = try keys.number(.scalingFactor) ?? 0
        // llama.cpp treats a factor without a type as linear scaling.
        let type = try keys.text(.scaling) ?? "linear"
        let divisors = try factors(GGUFArchitecture.frequencies)
        switch type {
        case _ where type == "none" || (type == "linear" && (factor == 0 || factor == 1)):
            guard let divisors, divisors.contains(where: { $0 != 1 }) else { return nil }
            return try stretched(divisors, headWidth, &fields, context)
        case "linear" where divisors == nil && factor > 0: return ["rope_type": "linear", "factor": .number(factor)]
        default: throw keys.refused(has(type) ? .scaling : .scalingFactor)
        }
    }

    private func has(_ type: String) -> Bool { keys.has(.scaling) && type != "linear" }

    /// Llama 3.1's scaling has four parameters, but the file gives a divisor for each frequency. If no four
    /// parameters reproduce the divisors, they are passed on one by one, as equal short and long factors.
    private func stretched(
        _ divisors: [Double], _ headWidth: Int, _ fields: inout [String: JSONValue], _ context: Int
    ) throws -> [String: JSONValue] {
        guard divisors.count == headWidth / 2, divisors.allSatisfy({ $0 > 0 && $0.isFinite }) else {
            throw CheckpointError.malformed(
                file: keys.contents.path, "'\(GGUFArchitecture.frequencies)' does not fit heads of \(headWidth)")
        }
        let theta = try keys.number(.theta) ?? 10_000
        let plain = RotaryPlan(theta: theta).frequencies(dimension: headWidth)
        let factor = divisors.max() ?? 1
        for original in (4...24).map({ Double(1 << $0) }) {
            var plan = RotaryPlan(theta: theta)
            plan.scaling = .llama3(factor: factor, low: 1, high: 4, original: original)
            let own = zip(plain, plan.frequencies(dimension: headWidth)).map { $0 / $1 }
            guard zip(own, divisors).allSatisfy({ Float($0) == Float($1) }) else { continue }
            return [
                "rope_type": "llama3", "factor": .number(factor), "low_freq_factor": 1, "high_freq_factor": 4,
                "original_max_position_embeddings": .integer(Int(original)),
            ]
        }
        fields["original_max_position_embeddings"] = .integer(context)
        let list = JSONValue.array(divisors.map(JSONValue.number))
        return ["rope_type": "longrope", "short_factor": list, "long_factor": list, "attention_factor": 1]
    }

    // MARK: Scores and windows

    private func caps() throws -> [String: JSONValue] {
        func cap(_ key: GGUFArchitecture.Key, _ usual: Double) throws -> Double? {
            let value = try keys.number(key) ?? (architecture.caps ? usual : 0)
            return value == 0 ? nil : value
        }
        let (scores, logits) = (try cap(.scoreCap, 50), try cap(.logitCap, 30))
        guard architecture.parts["pre_feedforward_layernorm"] != nil else {
            if scores != nil { throw keys.refused(.scoreCap) }
            if logits != nil { throw keys.refused(.logitCap) }
            return [:]
        }
        return [
            "attn_logit_softcapping": scores.map(JSONValue.number) ?? .null,
            "final_logit_softcapping": logits.map(JSONValue.number) ?? .null,
        ]
    }

    private func windows(_ layers: Int, context: Int) throws -> [String: JSONValue] {
        let window =
            try keys.has(.window) && keys.contents.values[keys.key(.window)]?.integer != 0 ? keys.count(.window) : nil
        switch architecture.name {
        case Gemma2Family.gguf.name: return try pattern(layers, window ?? 4096, usual: 2)
        case Gemma3Family.gguf.name: return try pattern(layers, window, usual: 6)
        default:
            if keys.has(.windowPattern) { throw keys.refused(.windowPattern) }
            guard architecture.ignoresWindows || window.map({ $0 >= context }) ?? true else {
                throw keys.refused(.window)
            }
            return architecture.ignoresWindows ? ["sliding_window": window.map(JSONValue.integer) ?? .null] : [:]
        }
    }

    /// Which layers have a window: given as a list, or as every layer except the last of each group of this size.
    private func pattern(_ layers: Int, _ window: Int?, usual: Int) throws -> [String: JSONValue] {
        let key = keys.key(.windowPattern)
        var isLocal = [Bool](repeating: false, count: layers)
        if window != nil {
            if case .array = keys.contents.values[key] {
                let list = try keys.contents.numbers(key) ?? []
                guard list.count >= layers else {
                    throw keys.contents.malformed(key, "has \(list.count) entries for \(layers) layers")
                }
                isLocal = list.prefix(layers).map { $0 != 0 }
            } else {
                let period = try keys.count(.windowPattern) ?? usual
                isLocal = (0..<layers).map { $0 % period < period - 1 }
            }
        }
        return [
            "sliding_window": window.map(JSONValue.integer) ?? .null,
            "layer_types": .array(isLocal.map { $0 ? "sliding_attention" : "full_attention" }),
        ]
    }

    // MARK: Multipliers

    /// Granite's multipliers, by their names in `config.json`.
    private func multipliers(_ headWidth: Int) throws -> [String: JSONValue] {
        guard architecture.multiplies else { return [:] }
        let names: [(GGUFArchitecture.Multiplier, String, usual: Double)] = [
            (.embeddings, "embedding_multiplier", 1), (.residuals, "residual_multiplier", 1),
            (.scores, "attention_multiplier", 1 / Double(headWidth).squareRoot()), (.logits, "logits_scaling", 1),
        ]
        return try names.reduce(into: [:]) { fields, each in
            let key = "\(architecture.name).\(each.0.rawValue)"
            guard let value = keys.contents.values[key] else {
                fields[each.1] = .number(each.usual)
                return
            }
            guard let number = value.number, number.isFinite else {
                throw keys.contents.malformed(key, "is \(value.text), and no number")
            }
            fields[each.1] = .number(number == 0 ? each.usual : number)
        }
    }

    // MARK: Biases

    /// The network has biases if its first layer has them; whether all layers do shows when they are read.
    private func biases() throws -> [String: JSONValue] {
        func has(_ part: String) -> Bool { tensors.contains("blk.0.\(part).bias") }
        let isLlama = [LlamaFamily.gguf.name, GraniteFamily.gguf.name].contains(architecture.name)
        guard isLlama || architecture.name == Qwen3Family.gguf.name else { return [:] }
        var fields: [String: JSONValue] = ["attention_bias": .bool(has("attn_q") || has("attn_output"))]
        if isLlama { fields["mlp_bias"] = .bool(has("ffn_up") || has("ffn_down")) }
        return fields
    }
}
