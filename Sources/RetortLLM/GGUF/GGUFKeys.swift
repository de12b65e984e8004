import RetortCore

/// A GGUF file's metadata, read key by key; every error names the file, the key and the byte. Keys that are not read
/// are either known to change nothing, or refused by name.
struct GGUFKeys {
    let contents: GGUFContents
    /// The prefix of the family's keys.
    let prefix: String
    /// Whether the family has keys for multipliers, which are then read.
    var multiplies = false

    /// The largest plausible number of layers, tokens or channels.
    private static let largest = 1 << 24

    /// Keys that describe the file's origin, or parts of it that do not belong to the model.
    private static let harmless: Set<String> = [
        "general.architecture", "general.type", "general.alignment", "general.file_type", "general.name",
        "general.author", "general.version", "general.organization", "general.finetune", "general.basename",
        "general.description", "general.quantized_by", "general.size_label", "general.license", "general.url",
        "general.doi", "general.uuid", "general.repo_url", "general.tags", "general.languages", "general.datasets",
        "general.parameter_count", "general.license.name", "general.license.link", "split.no", "split.count",
        "split.tensors.count",
    ]
    /// Prefixes of further such keys.
    private static let harmlessSpaces = [
        "general.source.", "general.base_model.", "general.dataset.", "general.sampling.", "quantize.imatrix.",
        "imatrix.", "mradermacher.",
    ]
    /// Keys that llama.cpp uses for other architectures, without the family's name in front.
    private static let ownHarmless: Set<String> = [
        "tensor_data_layout", "rope.scaling.finetuned", "attention.layer_norm_epsilon", "use_parallel_residual",
    ]
    /// Keys that change nothing when they have one of these values, without the family's name in front.
    private static let ownNeutral: [String: [Double]] = [
        "expert_count": [0], "expert_used_count": [0], "pooling_type": [0], "logit_scale": [0, 1],
        "residual_scale": [0, 1], "embedding_scale": [0, 1], "attention.scale": [0], "attention.clamp_kqv": [0],
        "attention.max_alibi_bias": [0], "attention.causal": [1], "nextn_predict_layers": [0],
        "rope.scale_linear": [0, 1], "rope.scaling.yarn_ext_factor": [0], "rope.scaling.yarn_log_multiplier": [0],
    ]
    /// Keys of a kind of scaling that is refused by its type.
    private static let ofYaRN: Set<String> = [
        "rope.scaling.yarn_attn_factor", "rope.scaling.yarn_beta_fast", "rope.scaling.yarn_beta_slow",
    ]

    /// Refuses keys that would change something, and unknown ones.
    func check() throws {
        let read = Set(GGUFArchitecture.Key.allCases.map(\.rawValue))
        for (key, value) in contents.values.sorted(by: { $0.key < $1.key }) {
            if Self.harmless.contains(key) || Self.harmlessSpaces.contains(where: key.hasPrefix) { continue }
            if key == "general.quantization_version" {
                guard value.integer == 2 else { throw unsupported(key, value) }
                continue
            }
            if key.hasPrefix("tokenizer.") {
                guard GGUFTokenizer.knows(key, value) else { throw unknown(key, value) }
                continue
            }
            guard key.hasPrefix("\(prefix).") else { throw unknown(key, value) }
            let own = String(key.dropFirst(prefix.count + 1))
            if read.contains(own) || Self.ownHarmless.contains(own) || Self.ofYaRN.contains(own) { continue }
            if multiplies, GGUFArchitecture.Multiplier(rawValue: own) != nil { continue }
            guard let neutral = Self.ownNeutral[own] else { throw unknown(key, value) }
            let number = if case .bool(let flag) = value { flag ? 1.0 : 0 } else { value.number }
            guard let number, neutral.contains(number) else { throw unsupported(key, value) }
        }
    }

    private func unknown(_ key: String, _ value: GGUFValue) -> CheckpointError {
        .unknownSetting(file: contents.path, "\(key)\(contents.place(key)): \(value.text)")
    }

    private func unsupported(_ key: String, _ value: GGUFValue) -> CheckpointError {
        .unsupported(file: contents.path, "'\(key)'\(contents.place(key)) with the value \(value.text)")
    }

    // MARK: The family's keys

    func key(_ key: GGUFArchitecture.Key) -> String { "\(prefix).\(key.rawValue)" }

    func refused(_ key: GGUFArchitecture.Key) -> CheckpointError {
        let key = self.key(key)
        return unsupported(key, contents.values[key] ?? .bool(false))
    }

    func has(_ key: GGUFArchitecture.Key) -> Bool { contents.values[self.key(key)] != nil }

    /// A count; nil when the key is missing. If the file has one for each layer, all must be equal.
    func count(_ name: GGUFArchitecture.Key) throws -> Int? {
        let key = key(name)
        guard let value = contents.values[key] else { return nil }
        var number = value.integer
        if case .array = value {
            let all = Set(try contents.numbers(key) ?? [])
            guard all.count == 1 else { throw unsupported(key, value) }
            number = all.first.flatMap { Int(exactly: $0) }
        }
        guard let number, (1...Self.largest).contains(number) else {
            throw contents.malformed(key, "is \(value.text), and no count from 1 to \(Self.largest)")
        }
        return number
    }

    func requiredCount(_ name: GGUFArchitecture.Key) throws -> Int {
        guard let count = try count(name) else {
            throw CheckpointError.malformed(file: contents.path, "it lacks the key '\(key(name))'")
        }
        return count
    }

    /// A number; nil when the key is missing.
    func number(_ name: GGUFArchitecture.Key) throws -> Double? {
        guard let value = contents.values[key(name)] else { return nil }
        guard let number = value.number, number.isFinite else {
            throw contents.malformed(key(name), "is \(value.text), and no number")
        }
        return number
    }

    func text(_ name: GGUFArchitecture.Key) throws -> String? {
        guard let value = contents.values[key(name)] else { return nil }
        guard let text = value.string else { throw contents.malformed(key(name), "is no text") }
        return text
    }
}
