import Foundation
import RetortCore
import RetortTensor
import Synchronization

/// A model in a GGUF file, or in several parts: its keys are presented as the documents of a Hugging Face folder, and
/// its tensors by that folder's names. What cannot be translated exactly is refused by name.
public final class GGUFModel: Sendable {
    /// The file, or the first of its parts.
    public let url: URL
    /// `config.json`, `tokenizer_config.json` and `generation_config.json`.
    let documents: [String: [String: JSONValue]]
    let tokenizer: GGUFTokenizer
    private let parts: [GGUFContents]
    private let architecture: GGUFArchitecture
    private let configuration: DecoderConfiguration
    /// ggml's name and the part of each tensor, by Hugging Face's name.
    private let places: [String: (name: String, part: Int)]
    private let known = Mutex<String?>(nil)

    /// Opens a file. No weights are read.
    /// - Throws: `CheckpointError` that names the file, and the key or tensor in it.
    public init(_ url: URL) throws {
        let parts = try GGUFParts.open(url)
        let first = parts[0]
        let family = try Self.family(first)
        let keys = GGUFKeys(contents: first, prefix: family.gguf.name, multiplies: family.gguf.multiplies)
        try keys.check()
        let entries = parts.reduce(into: [:]) { $0.merge($1.tensors) { $1 } }
        guard let embedding = entries["token_embd.weight"], embedding.shape.count == 2 else {
            throw CheckpointError.noTensor(file: first.path, name: "token_embd.weight")
        }
        let stretching = [
            GGUFArchitecture.frequencies, GGUFArchitecture.shortFactors, GGUFArchitecture.longFactors,
        ].filter { entries[$0] != nil && family.gguf.stretches(by: $0) }
        let fields = try GGUFConfiguration(keys, family, tensors: Set(entries.keys)) { name in
            guard stretching.contains(name), let part = parts.first(where: { $0.tensors[name] != nil }) else {
                return nil
            }
            return try Self.factors(name, part)
        }.fields(vocabulary: embedding.shape[0])
        configuration = try DecoderConfiguration(ConfigurationFields(fields, path: first.path))
        tokenizer = try GGUFTokenizer(first)
        guard tokenizer.count == embedding.shape[0] else {
            throw first.malformed(
                "tokenizer.ggml.tokens",
                "has \(tokenizer.count) tokens, and the embedding has \(embedding.shape[0]) rows")
        }
        documents = try Self.documents(fields, tokenizer, first)
        architecture = family.gguf
        places = Self.places(parts, architecture, without: Set(stretching))
        self.parts = parts
        self.url = first.url
    }

    /// The family of the architecture; of two families that share a name, the one with windows if the file has any.
    private static func family(_ contents: GGUFContents) throws -> any GGUFFamily.Type {
        if let type = contents.values["general.type"]?.string, type != "model" {
            throw CheckpointError.unsupported(file: contents.path, "a GGUF file of the type '\(type)'")
        }
        guard let name = contents.values["general.architecture"]?.string else {
            throw CheckpointError.malformed(file: contents.path, "it lacks the key 'general.architecture'")
        }
        let window = contents.values["\(name).\(GGUFArchitecture.Key.window.rawValue)"]?.integer ?? 0
        guard let family = DecoderConfiguration.family(gguf: name, hasWindow: window > 0) else {
            let known = DecoderConfiguration.knownGGUF.joined(separator: ", ")
            throw CheckpointError.unsupported(
                file: contents.path,
                "the architecture '\(name)'\(contents.place("general.architecture")) (known are \(known))")
        }
        return family
    }

    private static func factors(_ name: String, _ part: GGUFContents) throws -> [Double] {
        let tensor = try part.tensor(name)
        guard tensor.rank == 1, tensor.count <= 1 << 16 else {
            throw CheckpointError.malformed(file: part.path, "'\(name)' has the shape \(tensor.shape)")
        }
        return try tensor.to(.float32).floats().map(Double.init)
    }

    private static func documents(
        _ fields: [String: JSONValue], _ tokenizer: GGUFTokenizer, _ contents: GGUFContents
    ) throws -> [String: [String: JSONValue]] {
        var fields = fields
        if !tokenizer.ends.isEmpty { fields["eos_token_id"] = .array(tokenizer.ends.map(JSONValue.integer)) }
        var settings = tokenizer.named.mapValues(JSONValue.string)
        settings["tokenizer_class"] = "PreTrainedTokenizerFast"
        settings["chat_template"] = try tokenizer.templates()
        var documents = ["config.json": fields, "tokenizer_config.json": settings]
        let drawing = try drawing(contents)
        if !drawing.isEmpty { documents["generation_config.json"] = drawing }
        return documents
    }

    /// The makers' sampling settings, by the names of `generation_config.json`.
    private static func drawing(_ contents: GGUFContents) throws -> [String: JSONValue] {
        let space = "general.sampling."
        let names = ["temp": "temperature", "penalty_repeat": "repetition_penalty"]
        var settings: [String: JSONValue] = [:]
        for (key, value) in contents.values where key.hasPrefix(space) {
            let name = String(key.dropFirst(space.count))
            let own: JSONValue? =
                switch value {
                case .integer(let number): .integer(number)
                case .float(let number): .number(number)
                case .bool(let flag): .bool(flag)
                case .string: value.string.map(JSONValue.string)
                case .array: nil
                }
            guard let own else { throw contents.malformed(key, "is a list") }
            settings[names[name] ?? name] = own
        }
        return settings
    }

    // MARK: Tensors

    private static func places(
        _ parts: [GGUFContents], _ architecture: GGUFArchitecture, without used: Set<String>
    ) -> [String: (name: String, part: Int)] {
        var places: [String: (name: String, part: Int)] = [:]
        for (index, part) in parts.enumerated() {
            // A tensor that fits nothing keeps its own name, under which it is refused.
            for name in part.tensors.keys where !used.contains(name) {
                places[architecture.key(of: name) ?? name] = (name, index)
            }
        }
        return places
    }

    /// The SHA-256 of the file, or of its parts in order.
    func digest() throws -> String {
        if let digest = known.withLock({ $0 }) { return digest }
        let digest = try ContentHash.sha256(parts.map(\.url))
        known.withLock { $0 = digest }
        return digest
    }

    /// All files of the model, in order.
    public var files: [URL] { parts.map(\.url) }
}

extension GGUFModel: StoredTensors {
    var path: String { url.path }
    var names: [String] { Array(places.keys) }

    func tensor(_ name: String) throws -> Tensor {
        guard let place = places[name] else { throw CheckpointError.noTensor(file: path, name: name) }
        return try architecture.restored(place.name, parts[place.part].tensor(place.name), configuration)
    }

    func shape(of name: String) -> [Int]? { places[name].flatMap { parts[$0.part].tensors[$0.name]?.shape } }

    func ownName(of name: String) -> String { places[name]?.name ?? architecture.ownName(of: name) ?? name }
}

extension GGUFArchitecture {
    /// Whether a tensor tells the family how positions are stretched.
    fileprivate func stretches(by tensor: String) -> Bool {
        let isPhi = name == Phi3Family.gguf.name
        return tensor == Self.frequencies ? !isPhi : isPhi
    }

    /// ggml's name for a tensor with one of Hugging Face's names.
    fileprivate func ownName(of key: String) -> String? {
        Self.outerParts[key] ?? layerPart(of: key).map { "blk.\($0.layer).\($0.part).\($0.kind)" }
    }
}
