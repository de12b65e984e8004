import Foundation
import RetortCore
import RetortTensor

/// `adapter_config.json` in PEFT's format, as far as plain LoRA needs it.
public struct AdapterConfiguration: Codable, Sendable, Hashable {
    /// The base model: a path, absolute or relative to the adapter's folder. PEFT leaves it out when it knows none.
    public var baseModel: String?
    public var rank: Int
    public var alpha: Double
    public var dropout: Double
    /// Suffixes of the adapted projections.
    public var targets: [String]
    var kind = "LORA"
    var task: String? = "CAUSAL_LM"
    var bias = "none"
    /// Scaled by alpha / √rank instead (arXiv 2312.03732).
    var usesRankStabilisation: Bool?
    /// Weights split into size and direction (arXiv 2402.09353); not done.
    var usesDirections: Bool?

    enum CodingKeys: String, CodingKey {
        case baseModel = "base_model_name_or_path"
        case rank = "r"
        case alpha = "lora_alpha"
        case dropout = "lora_dropout"
        case targets = "target_modules"
        case kind = "peft_type"
        case task = "task_type"
        case bias
        case usesRankStabilisation = "use_rslora"
        case usesDirections = "use_dora"
    }

    /// What the adapter's product is multiplied by.
    var scale: Double {
        usesRankStabilisation == true ? alpha / Double(rank).squareRoot() : alpha / Double(rank)
    }

    /// Plain LoRA, scaled by `alpha / rank`.
    public init(baseModel: String, rank: Int, alpha: Double, dropout: Double, targets: [String]) {
        self.baseModel = baseModel
        self.rank = rank
        self.alpha = alpha
        self.dropout = dropout
        self.targets = targets
    }

    init(_ file: URL) throws {
        guard let data = try? Data(contentsOf: file) else { throw CheckpointError.missing(file: file.path) }
        do {
            // Which projections are adapted is read off the weights; PEFT may say it as a list, a pattern or a word.
            var fields = try JSONCoding.decoder.decode(JSONValue.self, from: data).object ?? [:]
            if fields["target_modules"]?.array == nil { fields["target_modules"] = .array([]) }
            self = try JSONCoding.decoder.decode(Self.self, from: JSONCoding.encoder.encode(fields))
            for name in ["rank_pattern", "alpha_pattern"] where !(fields[name]?.object ?? [:]).isEmpty {
                throw CheckpointError.unsupported(file: file.path, "an adapter with a \(name)")
            }
        } catch let error as DecodingError {
            throw CheckpointError.malformed(file: file.path, "\(error)")
        }
        guard usesDirections != true else { throw CheckpointError.unsupported(file: file.path, "DoRA") }
        guard kind == "LORA", bias == "none" else {
            throw CheckpointError.unsupported(file: file.path, "an adapter of type \(kind) with bias \(bias)")
        }
        guard rank > 0 else { throw CheckpointError.malformed(file: file.path, "r is \(rank)") }
    }

    func base(relativeTo folder: URL) throws -> URL {
        guard let baseModel else {
            throw CheckpointError.malformed(
                file: folder.appendingPathComponent("adapter_config.json").path,
                "base_model_name_or_path does not say which model it belongs to")
        }
        return URL(fileURLWithPath: baseModel, relativeTo: folder.appendingPathComponent("")).standardizedFileURL
    }
}

/// The weights of a LoRA adapter in PEFT's format.
public enum AdapterFile {
    private static let prefix = "base_model.model."

    /// Writes the adapters beside a network's projections.
    public static func write(_ network: DecoderNetwork, _ configuration: AdapterConfiguration, to folder: URL) throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let tensors = try network.projections.flatMap { name, linear in
            guard let adapter = linear.adapter else { return [(name: String, tensor: Tensor)]() }
            return [
                (name: "\(prefix)\(name).lora_A.weight", tensor: try adapter.down.detached()),
                (name: "\(prefix)\(name).lora_B.weight", tensor: try adapter.up.detached()),
            ]
        }
        try SafetensorsFile.write(
            tensors, metadata: ["format": "pt"], to: folder.appendingPathComponent("adapter_model.safetensors"))
        try AtomicFile.write(
            JSONCoding.prettyEncoder.encode(configuration), to: folder.appendingPathComponent("adapter_config.json"))
    }

    /// Puts an adapter beside the projections it belongs to.
    /// - Parameter number: the number it is served by, beside others; nil makes it the network's own.
    /// - Returns: the adapters by projection name.
    @discardableResult
    public static func attach(
        _ folder: URL, to network: DecoderNetwork, servedAs number: Int? = nil
    ) throws -> [(name: String, adapter: LowRankAdapter)] {
        let configuration = try AdapterConfiguration(folder.appendingPathComponent("adapter_config.json"))
        let file = try SafetensorsFile(folder.appendingPathComponent("adapter_model.safetensors"))
        var attached: [(name: String, adapter: LowRankAdapter)] = []
        var used: Set<String> = []
        for (name, linear) in network.projections {
            let keys = (down: "\(prefix)\(name).lora_A.weight", up: "\(prefix)\(name).lora_B.weight")
            guard file.entries[keys.down] != nil else { continue }
            used.formUnion([keys.down, keys.up])
            // One that is served is held as the model's own weights are; one that learns, in full.
            let dtype = number == nil ? DType.float32 : linear.weight.dtype
            let (outputs, inputs) = (linear.weight.shape[0], linear.weight.shape[1])
            let adapter = LowRankAdapter(
                down: try read(file, keys.down, [configuration.rank, inputs], dtype, network.device),
                up: try read(file, keys.up, [outputs, configuration.rank], dtype, network.device),
                scale: configuration.scale)
            if let number { linear.served[number] = adapter } else { linear.adapter = adapter }
            attached.append((name, adapter))
        }
        // An adapter that is loaded in part would silently be another model.
        if let stray = file.entries.keys.filter({ !used.contains($0) }).min() {
            throw CheckpointError.malformed(file: file.path, "'\(stray)' fits no projection of the base model")
        }
        return attached
    }

    /// Adds an adapter's product to the weights it belongs to.
    static func merge(_ folder: URL, into network: DecoderNetwork) throws {
        try attach(folder, to: network)
        for (_, linear) in network.projections {
            guard let adapter = linear.adapter else { continue }
            let sum = try withoutGradients { try linear.weight.to(.float32) + adapter.delta() }
            try linear.weight.assign(sum)
            linear.adapter = nil
        }
    }

    private static func read(
        _ file: SafetensorsFile, _ name: String, _ shape: [Int], _ dtype: DType, _ device: Device
    ) throws -> Tensor {
        let tensor = try file.tensor(name).to(dtype, device: device)
        guard tensor.shape == shape else {
            throw CheckpointError.wrongShape(file: file.path, name: name, expected: shape, found: tensor.shape)
        }
        return tensor
    }
}
