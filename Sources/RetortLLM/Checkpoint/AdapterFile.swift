import Foundation
import RetortCore
import RetortTensor

/// The files of a LoRA adapter in PEFT's format.
public enum AdapterFile {
    /// Writes a network's adapters, with the names of their projections as `target_modules`.
    /// - Parameter base: the source that the network was read from; if it is a GGUF file, its SHA-256 is recorded.
    public static func write(
        _ network: DecoderNetwork, _ configuration: AdapterConfiguration, over base: CheckpointSource? = nil,
        to folder: URL
    ) throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let adapted = network.projections.filter { $0.linear.adapter != nil }
        let tensors = try adapted.flatMap { name, linear in
            guard let adapter = linear.adapter else { return [(name: String, tensor: Tensor)]() }
            return [
                (name: "\(AdapterWeights.prefix)\(name).lora_A.weight", tensor: try adapter.down.detached()),
                (name: "\(AdapterWeights.prefix)\(name).lora_B.weight", tensor: try adapter.up.detached()),
            ]
        }
        var configuration = configuration
        configuration.targets = targets(adapted.map(\.name), of: network.projections.map(\.name))
        var metadata = ["format": "pt"]
        metadata[AdapterWeights.baseDigest] = try base?.digest()
        try SafetensorsFile.write(
            tensors, metadata: metadata, to: folder.appendingPathComponent("adapter_model.safetensors"))
        try AtomicFile.write(
            JSONCoding.prettyEncoder.encode(configuration), to: folder.appendingPathComponent("adapter_config.json"))
    }

    /// The value of `target_modules` for adapted projections: the last parts of their names where these are
    /// unambiguous, otherwise full names.
    private static func targets(_ adapted: [String], of all: [String]) -> [String] {
        func last(_ name: String) -> String { name.split(separator: ".").last.map(String.init) ?? name }
        let ends = Set(adapted.map(last))
        let isExact = all.allSatisfy { !ends.contains(last($0)) || adapted.contains($0) }
        return isExact
            ? all.map(last).reduce(into: []) { if ends.contains($1), !$0.contains($1) { $0.append($1) } } : adapted
    }

    /// Attaches an adapter to the projections it belongs to.
    /// - Parameters:
    ///   - number: the number under which it is served beside others; nil makes it the network's own adapter, for
    ///     training.
    ///   - base: the source that the network was read from; an adapter that records its base's hash is refused over
    ///     another base.
    /// - Returns: the adapters by projection name.
    /// - Throws: `CheckpointError`, also for an adapter that changes more than projections.
    @discardableResult
    public static func attach(
        _ folder: URL, to network: DecoderNetwork, servedAs number: Int? = nil, over base: CheckpointSource? = nil
    ) throws -> [(name: String, adapter: LowRankAdapter)] {
        let configuration = try AdapterConfiguration(folder.appendingPathComponent("adapter_config.json"))
        let weights = try AdapterWeights(folder, configuration)
        if let base { try weights.check(base: base) }
        try refuseMore(weights, isForTraining: number == nil)
        var attached: [(name: String, adapter: LowRankAdapter)] = []
        for (name, linear) in network.projections {
            // A served adapter has the precision of the model's weights; one in training has full precision.
            let dtype = number == nil ? DType.float32 : linear.weight.dtype
            let adapter =
                try number == nil
                ? weights.plain(name, linear, network.device)
                : withoutGradients {
                    try weights.beside(name, weight: linear.weight, dtype: dtype, device: network.device)
                }
            guard let adapter else { continue }
            if let number { linear.served[number] = adapter } else { linear.adapter = adapter }
            attached.append((name, adapter))
        }
        try weights.check(modules: network.projections.map(\.name), parameters: network.parameters.map(\.name))
        return attached
    }

    /// Embedding, head and whole modules are shared by all served adapters, so an adapter cannot have its own.
    private static func refuseMore(_ weights: AdapterWeights, isForTraining: Bool) throws {
        let configuration = weights.configuration
        let more: [(String, Bool)] = [
            (
                "LoRA on the embedding or the head",
                weights.isAdapted(AdapterWeights.embedding) || weights.isAdapted(AdapterWeights.head)
            ),
            ("an adapter with trainable_token_indices", !configuration.rows.isEmpty),
            ("an adapter with modules_to_save, or with a whole embedding,", weights.holdsWhole),
            ("an adapter with lora_bias", configuration.addsBias),
            ("an adapter with the bias '\(configuration.bias)'", configuration.bias != "none"),
        ]
        if let (what, _) = more.first(where: \.1) {
            throw isForTraining
                ? CheckpointError.unsupported(file: configuration.file, "training with \(what)")
                : CheckpointError.notBesideOthers(file: configuration.file, what)
        }
        guard isForTraining, configuration.usesDirections || configuration.start != .unchanged else { return }
        throw CheckpointError.unsupported(file: configuration.file, "training with DoRA, PiSSA or OLoRA")
    }
}

extension AdapterWeights {
    /// Whether anything is stored whole.
    fileprivate var holdsWhole: Bool {
        file.entries.keys.contains { key in
            !["lora_", "trainable_tokens_delta", ".bias"].contains { key.contains($0) }
        }
    }

    /// The adapter as it is stored, for further training.
    fileprivate func plain(_ module: String, _ linear: Linear, _ device: Device) throws -> LowRankAdapter? {
        let shape = linear.weight.shape
        return try lowRank(module, outputs: shape[0], inputs: shape[1]).map {
            LowRankAdapter(down: try $0.down.to(device: device), up: try $0.up.to(device: device), scale: $0.scale)
        }
    }
}
