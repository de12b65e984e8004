import Foundation
import RetortCore
import RetortTensor

/// Where one model's configuration, weights, tokenizer and chat templates come from: a Hugging Face folder, which has a file
/// for each, or a GGUF file, whose metadata says the same in other words. What is read of either is what stands in the folder's
/// documents; a GGUF file's are made from its keys.
public enum CheckpointSource: Sendable {
    case folder(URL)
    case gguf(GGUFModel)

    /// - Throws: `CheckpointError` that names a GGUF file which cannot be used. Of a folder nothing is read yet.
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

    /// Whether a path is meant as a GGUF file: a file that is one by its name or by its first bytes.
    public static func isGGUF(_ location: URL) -> Bool {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: location.path, isDirectory: &isFolder), !isFolder.boolValue else {
            return false
        }
        return location.pathExtension.lowercased() == "gguf" || GGUFContents.isOne(location)
    }

    /// Whether a model lies there: a folder with a configuration, or a GGUF file.
    public static func holdsModel(_ location: URL) -> Bool {
        FileManager.default.fileExists(atPath: location.appendingPathComponent("config.json").path)
            || isGGUF(location)
    }

    /// A GGUF file, or all the parts that it is one of.
    /// - Throws: `CheckpointError` for a file that cannot be read as one.
    public static func files(ofGGUF location: URL) throws -> [URL] { try GGUFParts.open(location).map(\.url) }

    /// The name of a model that is called after its place: a GGUF file's without its ending and the number of its part.
    public static func name(of location: URL) -> String {
        guard isGGUF(location) else { return location.lastPathComponent }
        return GGUFParts.name(of: location)
    }

    /// What a complaint about a document names.
    func path(of document: String) -> String {
        switch self {
        case .folder(let url): url.appendingPathComponent(document).path
        case .gguf(let model): model.url.path
        }
    }

    /// A JSON document's members; nil when there is none of that name.
    /// - Throws: `CheckpointError.malformed` for a file that is no JSON object.
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

    /// The tokenizer, with what other documents declare.
    func tokenizerDefinition() throws -> TokenizerDefinition {
        switch self {
        case .folder(let url): try TokenizerDefinition(folder: url)
        case .gguf(let model): try model.tokenizer.definition.declaring(TokenDeclarations(self))
        }
    }

    /// What a folder for other tools needs beside weights and configuration, by name.
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

    /// The SHA-256 of a GGUF file, by which adapters know it; nil for a folder, whose files are many.
    func digest() throws -> String? {
        if case .gguf(let model) = self { try model.digest() } else { nil }
    }
}
