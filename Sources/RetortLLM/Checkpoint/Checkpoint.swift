import Foundation
import RetortCore
import RetortTensor

/// A Hugging Face model folder, a GGUF file, or a PEFT adapter folder that names its base.
public struct Checkpoint {
    /// Where its parts are.
    public let folders: CheckpointFolders
    /// The shape of the base network, from `config.json` or a GGUF file's keys.
    public let configuration: DecoderConfiguration
    let voice: Voice

    /// The tokenizer that belongs to the model, or to the adapter if it has its own.
    public var tokenizer: Tokenizer { voice.tokenizer }
    /// The chat template that belongs to the model, or to the adapter if it has its own.
    public var template: any ChatTemplate { voice.template }
    /// The tokens that end a generation.
    public var endTokens: Set<Int> { voice.endTokens }
    /// The folder or the GGUF file with the base weights.
    public var folder: URL { folders.base.url }
    /// The adapter's folder; nil without an adapter.
    public var adapterFolder: URL? { folders.adapter }

    /// Opens a folder or a GGUF file.
    /// - Throws: `CheckpointError` or `TokenizerError` that names the file.
    public init(folder: URL) throws {
        folders = try CheckpointFolders(folder)
        configuration = try folders.base.configuration()
        voice = try Voice(folders)
    }

    /// Loads the weights, and applies the adapter if there is one.
    public func network(dtype: DType = .float32, device: Device = .cpu) throws -> DecoderNetwork {
        var shape = configuration
        let stored = try CheckpointWeights(folders.base, dtype: dtype, device: device, ties: shape.tiesWordEmbeddings)
        if shape.tiesWordEmbeddings, try stored.holdsOwnHead() { shape.tiesWordEmbeddings = false }
        guard let adapterFolder, let configuration = folders.adapterConfiguration else {
            let network = try DecoderNetwork(shape, weights: stored)
            try stored.refuseStrays(besides: network.parameters.lazy.map(\.name), and: shape.unusedTensors)
            return network
        }
        let adapter = try AdapterWeights(adapterFolder, configuration)
        try adapter.check(base: folders.base)
        let network = try DecoderNetwork(
            adapter.adapted(shape), weights: AdaptedWeights(base: stored, adapter: adapter))
        try stored.refuseStrays(besides: network.parameters.lazy.map(\.name), and: shape.unusedTensors)
        try adapter.check(modules: network.projections.map(\.name), parameters: network.parameters.map(\.name))
        return network
    }

    /// Writes a complete folder: configuration, weights, and the tokenizer files of `source`, a folder or a GGUF
    /// file.
    /// - Parameter positions: the length of the longest text that the model was trained on, in tokens; nil when
    ///   unknown.
    public static func write(
        _ network: DecoderNetwork, dtype: DType, tokenizerFrom source: URL, metadata: [String: String] = [:],
        positions: Int = 0, to folder: URL
    ) throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        for companion in try CheckpointSource(source).companions() {
            try write(companion.data, as: companion.name, to: folder)
        }
        try AtomicFile.write(
            network.configuration.reading(positions).configJSON(dtype: dtype.configurationName),
            to: folder.appendingPathComponent("config.json"))
        try writeWeights(network.parameters, dtype: dtype, metadata: metadata, to: folder)
    }

    static func write(_ data: Data, as name: String, to folder: URL) throws {
        let target = folder.appendingPathComponent(name)
        try FileManager.default.createDirectory(
            at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
        try AtomicFile.write(data, to: target)
    }

    static func writeWeights(
        _ parameters: [(name: String, tensor: Tensor)], dtype: DType, metadata: [String: String] = [:], to folder: URL
    ) throws {
        let tensors = try parameters.map { (name: $0.name, tensor: try $0.tensor.detached().to(dtype)) }
        try SafetensorsFile.write(
            tensors, metadata: metadata.merging(["format": "pt"]) { _, format in format },
            to: folder.appendingPathComponent("model.safetensors"))
    }
}

extension DType {
    /// The name in `config.json`.
    var configurationName: String { self == .bfloat16 ? "bfloat16" : self == .float16 ? "float16" : "float32" }
}
