import Foundation
import RetortCore
import RetortTensor

/// A Hugging Face model folder, or a PEFT adapter folder that names its base.
public struct Checkpoint {
    /// Where its parts lie.
    public let folders: CheckpointFolders
    /// The base network's shape, as its `config.json` says.
    public let configuration: DecoderConfiguration
    let voice: Voice

    /// The vocabulary and merges.
    public var tokenizer: Tokenizer { voice.tokenizer }
    /// How chats become tokens.
    public var template: any ChatTemplate { voice.template }
    /// Tokens that end a generation.
    public var endTokens: Set<Int> { voice.endTokens }
    /// The folder with the base weights.
    public var folder: URL { folders.base }
    /// The folder with an adapter, or nil.
    public var adapterFolder: URL? { folders.adapter }

    /// Opens a folder.
    /// - Throws: `CheckpointError` or `TokenizerError`, naming the file.
    public init(folder: URL) throws {
        folders = try CheckpointFolders(folder)
        configuration = try DecoderConfiguration(configFile: folders.base.appendingPathComponent("config.json"))
        voice = try Voice(folders)
    }

    /// Loads the weights, and what an adapter makes of them when there is one.
    public func network(dtype: DType = .float32, device: Device = .cpu) throws -> DecoderNetwork {
        var shape = configuration
        let stored = try CheckpointWeights(
            folder: folder, dtype: dtype, device: device, ties: shape.tiesWordEmbeddings)
        if shape.tiesWordEmbeddings, try stored.holdsOwnHead() { shape.tiesWordEmbeddings = false }
        guard let adapterFolder, let configuration = folders.adapterConfiguration else {
            let network = try DecoderNetwork(shape, weights: stored)
            try stored.refuseStrays(besides: network.parameters.lazy.map(\.name))
            return network
        }
        let adapter = try AdapterWeights(adapterFolder, configuration)
        let network = try DecoderNetwork(
            adapter.adapted(shape), weights: AdaptedWeights(base: stored, adapter: adapter))
        try stored.refuseStrays(besides: network.parameters.lazy.map(\.name))
        try adapter.check(modules: network.projections.map(\.name), parameters: network.parameters.map(\.name))
        return network
    }

    /// What a folder needs beside weights and configuration, so far as the source has it.
    static let tokenizerFiles = [
        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    ]

    /// Writes a complete folder: configuration, weights, and the tokenizer's files copied from `source`.
    public static func write(
        _ network: DecoderNetwork, dtype: DType, tokenizerFrom source: URL, metadata: [String: String] = [:],
        to folder: URL
    ) throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        for name in tokenizerFiles + ["generation_config.json"] + TemplateFiles.names(in: source) {
            try copy(name, from: source, to: folder)
        }
        try AtomicFile.write(
            network.configuration.configJSON(dtype: dtype.configurationName),
            to: folder.appendingPathComponent("config.json"))
        try writeWeights(network.parameters, dtype: dtype, metadata: metadata, to: folder)
    }

    /// Copies a file, unless it is one that a folder may lack.
    static func copy(_ name: String, from source: URL, to folder: URL) throws {
        let original = source.appendingPathComponent(name)
        guard let data = try? Data(contentsOf: original) else {
            if name == "tokenizer.json" { throw CheckpointError.missing(file: original.path) }
            return
        }
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
    /// What `config.json` calls it.
    var configurationName: String { self == .bfloat16 ? "bfloat16" : self == .float16 ? "float16" : "float32" }
}
