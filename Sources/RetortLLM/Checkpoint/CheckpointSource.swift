import Foundation
import RetortCore
import RetortTensor

/// The source of a model's configuration, weights, tokenizer and chat templates: a Hugging Face folder with a file
/// for each, or a GGUF file with metadata that says the same. Both are read as the documents of a folder; those of a
/// GGUF file are derived from its keys.
public enum CheckpointSource: Sendable {
    /// A Hugging Face folder.
    case folder(URL)
    /// A GGUF file, or the parts of one model.
    case gguf(GGUFModel)

    /// - Throws: `CheckpointError` that names an unusable GGUF file. Nothing is read from a folder yet.
    public init(_ location: URL) throws {
        if location.pathExtension.lowercased() == "gguf", !FileManager.default.fileExists(atPath: location.path) {
            throw CheckpointError.missing(file: location.path)
        }
        self = try Self.isGGUF(location) ? .gguf(GGUFModel(location)) : .folder(location)
    }

    /// The folder or the file.
    public var url: URL {
        switch self {
        case .folder(let url): url
        case .gguf(let model): model.url
        }
    }

    /// Whether a path is a GGUF file, by its name or by its first bytes.
    public static func isGGUF(_ location: URL) -> Bool {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: location.path, isDirectory: &isFolder), !isFolder.boolValue else {
            return false
        }
        return location.pathExtension.lowercased() == "gguf" || GGUFContents.isOne(location)
    }

    /// Whether a path contains a model: a folder with a configuration, or a GGUF file.
    public static func holdsModel(_ location: URL) -> Bool {
        FileManager.default.fileExists(atPath: location.appendingPathComponent("config.json").path)
            || isGGUF(location)
    }

    /// A GGUF file, or all parts of the model that it is a part of.
    /// - Throws: `CheckpointError` for a file that cannot be read as GGUF.
    public static func files(ofGGUF location: URL) throws -> [URL] { try GGUFParts.open(location).map(\.url) }

    /// The name for a model at this location: the last path component; for a GGUF file without extension and part
    /// number.
    public static func name(of location: URL) -> String {
        guard isGGUF(location) else { return location.lastPathComponent }
        return GGUFParts.name(of: location)
    }

    /// The path that errors about a document mention.
    func path(of document: String) -> String {
        switch self {
        case .folder(let url): url.appendingPathComponent(document).path
        case .gguf(let model): model.url.path
        }
    }

    /// The members of a JSON document; nil when there is no such document.
    /// - Throws: `CheckpointError.malformed` for a file that is not a JSON object.
    func object(_ document: String) throws -> [String: JSONValue]? {
        switch self {
        case .folder(let url): try CheckpointJSON.object(url.appendingPathComponent(document))
        case .gguf(let model): model.documents[document]
        }
    }

    /// The same, to be read setting by setting.
    func fields(_ document: String) throws -> ConfigurationFields? {
        try object(document).map { ConfigurationFields($0, path: path(of: document)) }
    }

    /// The shape of the network.
    func configuration() throws -> DecoderConfiguration {
        guard let fields = try fields("config.json") else {
            throw CheckpointError.missing(file: path(of: "config.json"))
        }
        return try DecoderConfiguration(fields)
    }

    /// The tokenizer, including tokens that other documents declare.
    func tokenizerDefinition() throws -> TokenizerDefinition {
        switch self {
        case .folder(let url): try TokenizerDefinition(folder: url)
        case .gguf(let model): try model.tokenizer.definition.declaring(TokenDeclarations(self))
        }
    }

    /// The files that other tools need beside weights and configuration, by name.
    /// - Throws: for a folder without a tokenizer.
    func companions() throws -> [(name: String, data: Data)] {
        switch self {
        case .gguf(let model):
            let documents = ["tokenizer_config.json", "generation_config.json"].compactMap { name in
                model.documents[name].map { (name: name, data: Data(ExactJSON.text(.object($0)).utf8)) }
            }
            return [(name: "tokenizer.json", data: try tokenizerDefinition().written())] + documents
        case .folder(let url):
            let names = Self.tokenizerFiles + ["generation_config.json"] + TemplateFiles.names(in: url)
            return try names.compactMap { name in
                let file = url.appendingPathComponent(name)
                if let data = try? Data(contentsOf: file) { return (name: name, data: data) }
                if name == "tokenizer.json" { throw CheckpointError.missing(file: file.path) }
                return nil
            }
        }
    }

    static let tokenizerFiles = [
        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    ]

    /// The SHA-256 of a GGUF file, by which adapters identify it; nil for a folder, which has many files.
    func digest() throws -> String? {
        if case .gguf(let model) = self { try model.digest() } else { nil }
    }
}
