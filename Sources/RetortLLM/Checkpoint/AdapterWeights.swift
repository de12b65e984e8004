import Foundation
import RetortCore
import RetortTensor

/// Applies a PEFT adapter's files to the weights of its base.
struct AdapterWeights {
    static let prefix = "base_model.model."
    /// The metadata key under which the file has the SHA-256 of a base that is a single file.
    static let baseDigest = "base_sha256"
    static let embedding = "model.embed_tokens"
    static let head = "lm_head"

    let configuration: AdapterConfiguration
    let file: SafetensorsFile
    /// Whether tensors are only looked for, and none is read.
    private let readsHeadersOnly: Bool
    private let tracker = Tracker()

    /// Records which of the file's tensors were used.
    private final class Tracker {
        var used: Set<String> = []
        /// Whether the base's head is its embedding.
        var isTied = false
    }

    /// - Parameter readsHeadersOnly: gives zeros of the right shapes instead of what is stored, to check them.
    init(_ folder: URL, _ configuration: AdapterConfiguration, readsHeadersOnly: Bool = false) throws {
        self.configuration = configuration
        self.readsHeadersOnly = readsHeadersOnly
        let weights = folder.appendingPathComponent("adapter_model.safetensors")
        let pickle = folder.appendingPathComponent("adapter_model.bin")
        if !FileManager.default.fileExists(atPath: weights.path), FileManager.default.fileExists(atPath: pickle.path) {
            throw CheckpointError.unsupported(
                file: pickle.path, "a pickle (load it in PEFT and save it with safe_serialization=True), which")
        }
        file = try SafetensorsFile(weights)
        try refuseForeignNames()
    }

    /// Refuses a base other than the one the adapter was trained over, if the adapter knows that.
    /// - Throws: `CheckpointError.otherBase`.
    func check(base: CheckpointSource) throws {
        guard let expected = file.metadata[Self.baseDigest], let found = try base.digest(), found != expected else {
            return
        }
        throw CheckpointError.otherBase(file: file.path, base: base.url.path, expected: expected, found: found)
    }

    // MARK: What is stored

    /// Two matrices whose product is added, with their companions.
    struct LowRank {
        /// `[rank, in]` in float32.
        let down: Tensor
        /// `[out, rank]`.
        let up: Tensor
        let scale: Double
        /// The norm of each output's row (DoRA), `[out]`.
        let magnitude: Tensor?
    }

    func key(_ name: String) -> String? {
        let key = Self.prefix + name
        return file.entries[key] == nil ? nil : key
    }

    func tensor(_ key: String, _ shape: [Int]) throws -> Tensor {
        tracker.used.insert(key)
        guard let stored = file.entries[key]?.shape, stored == shape else {
            throw unfit(
                "'\(key)' has the shape \(file.entries[key]?.shape ?? []), where its settings and the base call for "
                    + "\(shape)")
        }
        return readsHeadersOnly ? try Tensor.shared(shape) : try file.tensor(key).to(.float32)
    }

    /// What is stored and what the settings call for are not the same.
    func unfit(_ what: String) -> CheckpointError { .unfit(file: file.path, settings: configuration.file, what) }

    /// Whether the file has matrices for a module.
    func isAdapted(_ module: String) -> Bool {
        ["lora_A.weight", "lora_embedding_A"].contains { key("\(module).\($0)") != nil }
    }

    /// The matrices for a projection `[out, in]`, or for an embedding, whose outputs are its columns.
    func lowRank(_ module: String, outputs: Int, inputs: Int) throws -> LowRank? {
        let isEmbedding = module == Self.embedding
        let names = isEmbedding ? ("lora_embedding_A", "lora_embedding_B") : ("lora_A.weight", "lora_B.weight")
        guard let down = key("\(module).\(names.0)") else { return nil }
        guard let up = key("\(module).\(names.1)") else {
            throw unfit("it has '\(down)' without its other half")
        }
        if configuration.addsBias, key("\(module).lora_B.bias") == nil {
            throw unfit("it has no lora_B.bias for '\(module)', which lora_bias calls for")
        }
        var (rank, scale) = try configuration.size(of: module)
        // A decomposition has at most as many components as the shorter side.
        if configuration.start != .unchanged { rank = min(rank, outputs, inputs) }
        var magnitude: Tensor?
        if configuration.usesDirections {
            let stored = key("\(module).lora_magnitude_vector") ?? key("\(module).lora_magnitude_vector.weight")
            guard let stored else {
                throw unfit("it has no lora_magnitude_vector for '\(module)', which use_dora calls for")
            }
            magnitude = try tensor(stored, [outputs])
        }
        return LowRank(
            down: try tensor(down, [rank, inputs]), up: try tensor(up, [outputs, rank]), scale: scale,
            magnitude: magnitude)
    }

    /// A tensor of the base that is stored whole.
    /// - Parameter rows: the base's number of rows for embedding and head, of which an adapter may have more.
    func whole(_ name: String, _ shape: [Int]) throws -> Tensor? {
        if Self.isVocabulary(name), sharesVocabulary { return try sharedVocabulary(shape) }
        guard let key = wholeKey(name) else { return nil }
        let isBias = name.hasSuffix(".bias")
        guard isWhole(name) || (isBias ? configuration.bias != "none" : Self.isVocabulary(name)) else { return nil }
        return try tensor(key, shape)
    }

    /// Whether embedding and head are one matrix of the base, and neither has a copy of its own in the adapter.
    private var sharesVocabulary: Bool {
        tracker.isTied && ![Self.embedding, Self.head].contains { isWhole("\($0).weight") }
    }

    /// The matrix of a tied embedding and head. PEFT loads both names into it, the head's last.
    private func sharedVocabulary(_ shape: [Int]) throws -> Tensor? {
        let keys = [Self.embedding, Self.head].compactMap { wholeKey("\($0).weight") }
        return try keys.map { try tensor($0, shape) }.last
    }

    /// The key of a tensor that is stored whole; PEFT renames modules that it wraps.
    private func wholeKey(_ name: String) -> String? {
        let parts = name.split(separator: ".")
        let module = parts.dropLast().joined(separator: ".")
        return key(name) ?? parts.last.flatMap { key("\(module).base_layer.\($0)") }
    }

    /// Whether `modules_to_save` names a tensor's module, or one that contains it.
    private func isWhole(_ name: String) -> Bool {
        let parts = name.split(separator: ".").map(String.init)
        return parts.indices.dropFirst().contains { end in
            let module = parts[..<end].joined(separator: ".")
            return configuration.wholeModules.contains { module.hasSuffix($0) }
        }
    }

    private static func isVocabulary(_ name: String) -> Bool {
        name == "\(embedding).weight" || name == "\(head).weight"
    }

    /// The rows of a module that are stored individually, by token.
    func rows(_ module: String, width: Int) throws -> (places: [Int], values: Tensor)? {
        guard let (name, places) = configuration.rows.first(where: { module.hasSuffix($0.key) }) else { return nil }
        guard let key = key("\(module).token_adapter.trainable_tokens_delta") else {
            // PEFT stores the rows of a tied head with the embedding's.
            let embedding = configuration.rows.first { Self.embedding.hasSuffix($0.key) }
            if module == Self.head, embedding?.value == places { return nil }
            throw unfit("it has no rows of '\(name)', which trainable_token_indices names")
        }
        return (places, try tensor(key, [places.count, width]))
    }

    /// Refuses rows beyond the last token.
    func check(_ places: [Int], of tokens: Int) throws {
        guard places.allSatisfy({ $0 < tokens }) else {
            throw unfit("trainable_token_indices goes beyond the \(tokens) tokens")
        }
    }

    // MARK: Embedding and head

    /// The base's shape as the adapter needs it: with more tokens, or with a head that is no longer tied.
    func adapted(_ base: DecoderConfiguration) throws -> DecoderConfiguration {
        var shape = base
        tracker.isTied = base.tiesWordEmbeddings
        let names = [Self.embedding, Self.head].map { "\($0).weight" }
        let stored = names.map { wholeKey($0).flatMap { file.entries[$0]?.shape.first } }
        if let rows = stored.compactMap(\.self).max(), rows != shape.vocabularySize {
            guard stored.allSatisfy({ $0 == rows || ($0 == nil && shape.tiesWordEmbeddings) }) else {
                throw CheckpointError.unsupported(
                    file: file.path, "an adapter whose embedding and head have different numbers of tokens")
            }
            if let second = shape.layerEmbedding, rows > second.vocabulary {
                throw CheckpointError.unsupported(
                    file: file.path, "an adapter with more tokens than the base's second embedding has rows")
            }
            shape.vocabularySize = rows
        }
        guard shape.tiesWordEmbeddings else { return shape }
        let isApart = [Self.embedding, Self.head].contains {
            isAdapted($0) || (isWhole("\($0).weight") && wholeKey("\($0).weight") != nil)
        }
        let ownRows = try rows(Self.head, width: shape.hiddenSize) != nil
        guard isApart || ownRows else { return shape }
        guard !configuration.keepsTies else {
            throw CheckpointError.unsupported(
                file: configuration.file, "ensure_weight_tying for an adapted embedding or head")
        }
        shape.tiesWordEmbeddings = false
        return shape
    }

    // MARK: What it amounts to

    /// A tensor of the base with all changes of the adapter, in float32.
    /// - Parameter base: returns the base's own tensor.
    /// - Returns: nil when the adapter does not change it.
    func applied(_ name: String, _ shape: [Int], to base: () throws -> Tensor) throws -> Tensor? {
        let stored = try whole(name, shape)
        guard name.hasSuffix(".weight") else { return try bias(name, shape, stored: stored, to: base) }
        let module = String(name.dropLast(".weight".count))
        guard shape.count == 2 else { return stored }
        let isEmbedding = module == Self.embedding
        let (outputs, inputs) = isEmbedding ? (shape[1], shape[0]) : (shape[0], shape[1])
        let adapter = try lowRank(module, outputs: outputs, inputs: inputs)
        let rows = try rows(module, width: shape[1])
        let rest = try isEmbedding && stored == nil ? sharedRest(shape, of: base) : nil
        guard adapter != nil || rows != nil else { return stored ?? rest }
        var weight = try stored ?? rest ?? base().to(.float32)
        if let adapter {
            // PEFT stores a head as it is after the components were removed.
            if stored == nil, let taken = try taken(from: weight, adapter, isEmbedding: isEmbedding) {
                weight = try weight - taken.up.matmul(taken.down)
            }
            let product = try adapter.up.matmul(adapter.down) * adapter.scale
            weight = try weight + (isEmbedding ? product.transposed(0, 1) : product)
            if let magnitude = adapter.magnitude {
                let axis = isEmbedding ? 0 : 1
                let gain = try magnitude / weight.power(2).sum(axis: axis).power(0.5)
                weight = try weight * gain.reshaped(isEmbedding ? [1, outputs] : [outputs, 1])
            }
        }
        if let rows {
            try check(rows.places, of: shape[0])
            weight = try weight.replacing(rows.places, by: rows.values)
        }
        return weight
    }

    /// A tied embedding as PiSSA or OLoRA on the head leaves it: PEFT removes the components from the weight that both
    /// share. Nil when nothing was removed.
    private func sharedRest(_ shape: [Int], of base: () throws -> Tensor) throws -> Tensor? {
        guard tracker.isTied, configuration.start != .unchanged,
            let adapter = try lowRank(Self.head, outputs: shape[0], inputs: shape[1])
        else { return nil }
        let weight = try base().to(.float32)
        return try taken(from: weight, adapter, isEmbedding: false).map { try weight - $0.up.matmul($0.down) }
    }

    /// A projection's bias, including what the adapter adds to it.
    private func bias(_ name: String, _ shape: [Int], stored: Tensor?, to base: () throws -> Tensor) throws -> Tensor? {
        let module = String(name.dropLast(".bias".count))
        guard configuration.addsBias, name.hasSuffix(".bias"), let key = key("\(module).lora_B.bias") else {
            return stored
        }
        let added = try tensor(key, shape) * configuration.size(of: module).scale
        return try (stored ?? base().to(.float32)) + added
    }

    /// The part that was removed from the base's weight before training, as factors `[out, rank]` and `[rank, in]`.
    private func taken(
        from weight: Tensor, _ adapter: LowRank, isEmbedding: Bool
    ) throws -> (up: Tensor, down: Tensor)? {
        let rank = adapter.down.shape[0]
        switch configuration.start {
        case .unchanged: return nil
        case _ where isEmbedding:
            throw CheckpointError.unsupported(file: configuration.file, "PiSSA or OLoRA for the embedding")
        case .pissa: return try weight.largestComponents(rank)
        case .olora:
            // The columns are scaled as the adapter is, and PEFT does not undo that.
            let parts = try weight.orthogonalComponents(rank)
            return (try parts.up * adapter.scale, parts.down)
        }
    }

    /// An adapter that adds the same to a projection's output, without changing the weight.
    func beside(_ module: String, weight: Tensor, dtype: DType, device: Device) throws -> LowRankAdapter? {
        let (outputs, inputs) = (weight.shape[0], weight.shape[1])
        guard let adapter = try lowRank(module, outputs: outputs, inputs: inputs) else { return nil }
        var (down, up) = (adapter.down, try adapter.up * adapter.scale)
        let asksBase = configuration.start != .unchanged || adapter.magnitude != nil
        let base = try asksBase ? weight.to(.float32, device: .cpu) : weight
        if let taken = try taken(from: base, adapter, isEmbedding: false) {
            down = try Tensor.concatenated([down, taken.down], axis: 0)
            up = try Tensor.concatenated([up, -taken.up], axis: 1)
        }
        var gain: Tensor?
        if let magnitude = adapter.magnitude {
            let sum = try base + up.matmul(down)
            gain = try (magnitude / sum.power(2).sum(axis: 1).power(0.5)).to(dtype, device: device)
        }
        return LowRankAdapter(
            down: try down.to(dtype, device: device), up: try up.to(dtype, device: device), scale: 1, gain: gain)
    }

    // MARK: Nothing in silence

    /// Refuses tensors that were not used, and reports missing ones.
    /// - Parameters:
    ///   - modules: the base's projections, without embedding and head.
    ///   - parameters: the base's weights.
    func check(modules: [String], parameters: [String]) throws {
        try checkScope(modules)
        if let name = (parameters + ["\(Self.head).weight"]).first(where: { isWhole($0) && wholeKey($0) == nil }) {
            throw unfit("it holds nothing for '\(name)', which modules_to_save names")
        }
        let strays = try file.entries.keys.filter { try !tracker.used.contains($0) && !isCopy($0) }
        guard let stray = strays.min() else { return }
        let name = stray.hasPrefix(Self.prefix) ? String(stray.dropFirst(Self.prefix.count)) : stray
        switch true {
        case name.hasSuffix("lora_B.bias"):
            throw CheckpointError.unsupported(
                file: file.path, "'\(stray)', which belongs to no bias of the base model,")
        case name.contains("lora_"):
            throw unfit("'\(stray)' fits no projection of the base model")
        case name.contains("trainable_tokens_delta"):
            throw CheckpointError.unsupported(file: file.path, "'\(stray)', which trainable_token_indices leaves out,")
        default:
            throw CheckpointError.unsupported(
                file: file.path, "'\(stray)', which neither modules_to_save nor 'bias' names,")
        }
    }

    /// Whether a tensor is a wrapped module's copy of one that was used. PEFT writes an embedding or a head of
    /// `modules_to_save` three times when the vocabulary was resized: by its own name, as the copy that was trained,
    /// and as the original.
    private func isCopy(_ key: String) throws -> Bool {
        for wrapper in [".modules_to_save.", ".original_module."] {
            guard let place = key.range(of: wrapper) else { continue }
            let plain = key.replacingCharacters(in: place, with: ".")
            guard tracker.used.contains(plain), isWhole(String(plain.dropFirst(Self.prefix.count))) else {
                return false
            }
            guard wrapper == ".modules_to_save." else { return true }
            guard try file.tensor(key).bytes() == file.tensor(plain).bytes() else {
                throw CheckpointError.malformed(file: file.path, "'\(key)' and '\(plain)' are not the same")
            }
            return true
        }
        return false
    }

    /// Loading an adapter in part would silently give another model; PEFT skips tensors that `target_modules` leaves
    /// out.
    private func checkScope(_ modules: [String]) throws {
        for module in modules + [Self.embedding, Self.head] {
            let isMeant = try configuration.scope.holds(module, isHead: module == Self.head)
            switch (isMeant, isAdapted(module)) {
            case (true, false):
                throw unfit("it holds nothing for '\(module)', which target_modules names")
            case (false, true):
                throw CheckpointError.unsupported(
                    file: file.path, "an adapter for '\(module)', which target_modules leaves out,")
            default: continue
            }
        }
    }
}

/// The weights of a base with all changes of an adapter.
struct AdaptedWeights: WeightSource {
    let base: CheckpointWeights
    let adapter: AdapterWeights

    func tensor(_ name: String, _ shape: [Int]) throws -> Tensor {
        try withoutGradients {
            let applied = try adapter.applied(name, shape) { try base.own(name, shape) }
            return try applied?.to(base.dtype, device: base.device) ?? base.tensor(name, shape)
        }
    }
}
