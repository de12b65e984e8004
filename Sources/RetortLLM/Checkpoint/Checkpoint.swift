import Foundation
import RetortCore
import RetortTensor

/// A Hugging Face model folder, or a PEFT adapter folder that names its base.
public struct Checkpoint {
    /// The folder with the base weights.
    public let folder: URL
    /// The folder with an adapter, or nil.
    public let adapterFolder: URL?
    /// The network's shape.
    public let configuration: DecoderConfiguration
    /// The vocabulary and merges.
    public let tokenizer: Tokenizer
    /// How chats become tokens.
    public let template: any ChatTemplate
    /// Tokens that end a generation.
    public let endTokens: Set<Int>

    /// Opens a folder.
    /// - Throws: `CheckpointError` or `TokenizerError`, naming the file.
    public init(folder: URL) throws {
        let adapterFile = folder.appendingPathComponent("adapter_config.json")
        if FileManager.default.fileExists(atPath: adapterFile.path) {
            adapterFolder = folder
            self.folder = try AdapterConfiguration(adapterFile).base(relativeTo: folder)
        } else {
            adapterFolder = nil
            self.folder = folder
        }
        configuration = try DecoderConfiguration(configFile: self.folder.appendingPathComponent("config.json"))
        tokenizer = try Tokenizer(self.folder)
        let template: any ChatTemplate =
            try JinjaTemplate(folder: self.folder, tokenizer: tokenizer) ?? TurnTemplate(tokenizer)
        self.template = template
        endTokens = Self.endTokens(self.folder).union([Int(template.endOfTurn)])
    }

    /// Loads the weights, and merges the adapter into them when there is one.
    public func network(dtype: DType = .float32, device: Device = .cpu) throws -> DecoderNetwork {
        let network = try DecoderNetwork(
            configuration, weights: try CheckpointWeights(folder: folder, dtype: dtype, device: device))
        if let adapterFolder { try AdapterFile.merge(adapterFolder, into: network) }
        return network
    }

    private static func endTokens(_ folder: URL) -> Set<Int> {
        let file = folder.appendingPathComponent("generation_config.json")
        guard let data = try? Data(contentsOf: file),
            let fields = try? JSONCoding.decoder.decode(JSONValue.self, from: data)
        else { return [] }
        switch fields["eos_token_id"] {
        case .integer(let id): return [id]
        case .array(let ids): return Set(ids.compactMap { if case .integer(let id) = $0 { id } else { nil } })
        default: return []
        }
    }

    /// Writes a complete folder: configuration, weights, and the tokenizer's files copied from `source`.
    public static func write(
        _ network: DecoderNetwork, dtype: DType, tokenizerFrom source: URL, metadata: [String: String] = [:],
        to folder: URL
    ) throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        for name in ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"] {
            let original = source.appendingPathComponent(name)
            guard let data = try? Data(contentsOf: original) else {
                if name == "tokenizer.json" { throw CheckpointError.missing(file: original.path) }
                continue
            }
            try AtomicFile.write(data, to: folder.appendingPathComponent(name))
        }
        let name = dtype == .bfloat16 ? "bfloat16" : dtype == .float16 ? "float16" : "float32"
        try AtomicFile.write(
            network.configuration.configJSON(dtype: name), to: folder.appendingPathComponent("config.json"))
        let tensors = try network.parameters.map { (name: $0.name, tensor: try $0.tensor.detached().to(dtype)) }
        try SafetensorsFile.write(
            tensors, metadata: metadata.merging(["format": "pt"]) { _, format in format },
            to: folder.appendingPathComponent("model.safetensors"))
    }
}

/// The weights of a folder: one `model.safetensors`, or shards with an index.
public struct CheckpointWeights: WeightSource {
    private let files: [String: SafetensorsFile]
    private let whole: SafetensorsFile?
    private let path: String
    private let dtype: DType
    private let device: Device

    /// Maps the files.
    /// - Throws: `CheckpointError` that names the file.
    public init(folder: URL, dtype: DType, device: Device) throws {
        self.dtype = dtype
        self.device = device
        let index = folder.appendingPathComponent("model.safetensors.index.json")
        guard let data = try? Data(contentsOf: index) else {
            let file = try SafetensorsFile(folder.appendingPathComponent("model.safetensors"))
            (whole, files, path) = (file, [:], file.path)
            return
        }
        guard
            let map = (try? JSONCoding.decoder.decode(JSONValue.self, from: data))?["weight_map"]?.object?
                .compactMapValues(\.string)
        else { throw CheckpointError.malformed(file: index.path, "it has no weight_map") }
        var shards: [String: SafetensorsFile] = [:]
        for name in Set(map.values) { shards[name] = try SafetensorsFile(folder.appendingPathComponent(name)) }
        (whole, path) = (nil, index.path)
        files = map.compactMapValues { shards[$0] }
    }

    /// The tensor in the dtype and on the device of this source.
    /// - Throws: `CheckpointError` for a missing tensor or one of another shape.
    public func tensor(_ name: String, _ shape: [Int]) throws -> Tensor {
        guard let file = whole ?? files[name] else { throw CheckpointError.noTensor(file: path, name: name) }
        let tensor = try file.tensor(name)
        guard tensor.shape == shape else {
            throw CheckpointError.wrongShape(file: file.path, name: name, expected: shape, found: tensor.shape)
        }
        return try tensor.to(dtype, device: device)
    }
}
