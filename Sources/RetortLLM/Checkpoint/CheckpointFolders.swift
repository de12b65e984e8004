import Foundation
import RetortCore

/// Where a checkpoint's parts lie: a Hugging Face folder holds them all; an adapter's folder names its base and may bring a
/// tokenizer and a chat template of its own, with which it was trained.
public struct CheckpointFolders: Sendable {
    /// The folder with the base weights.
    public let base: URL
    /// The folder with an adapter, or nil.
    public let adapter: URL?
    /// The folder whose tokenizer counts.
    public let tokenizer: URL
    let adapterConfiguration: AdapterConfiguration?

    /// Finds the parts of a checkpoint or an adapter.
    /// - Throws: `CheckpointError` that names the adapter's file.
    public init(_ folder: URL) throws {
        let file = folder.appendingPathComponent("adapter_config.json")
        guard FileManager.default.fileExists(atPath: file.path) else {
            (base, adapter, tokenizer, adapterConfiguration) = (folder, nil, folder, nil)
            return
        }
        let configuration = try AdapterConfiguration(file)
        (adapter, adapterConfiguration) = (folder, configuration)
        base = try configuration.base(relativeTo: folder)
        tokenizer = try Self.hasTokenizer(folder) ? folder : base
    }

    /// Whether an adapter's folder brings a tokenizer.
    /// - Throws: for one in a form that is not read: the base's would be taken in its place.
    static func hasTokenizer(_ folder: URL) throws -> Bool {
        func has(_ name: String) -> Bool {
            FileManager.default.fileExists(atPath: folder.appendingPathComponent(name).path)
        }
        if has("tokenizer.json") { return true }
        if let other = ["tokenizer.model", "vocab.json", "added_tokens.json"].first(where: has) {
            throw CheckpointError.unsupported(
                file: folder.appendingPathComponent(other).path, "an adapter's own tokenizer without a tokenizer.json")
        }
        return false
    }

    /// The chat template: the adapter's own, else the base's, else the format whose markers the tokenizer has.
    public func template(for tokenizer: Tokenizer) throws -> any ChatTemplate {
        try writtenTemplate(for: tokenizer) ?? TurnTemplate(tokenizer)
    }

    /// The chat template that a file holds; nil when there is none.
    public func writtenTemplate(for tokenizer: Tokenizer) throws -> JinjaTemplate? {
        try template().map {
            try JinjaTemplate($0, variables: variables(templateFolder: $0.folder), tokenizer: tokenizer)
        }
    }

    /// The templates that count, as they are stored.
    func template() throws -> TemplateFiles? {
        for folder in [adapter, base].compactMap(\.self) {
            if let files = try TemplateFiles(folder) { return files }
        }
        return nil
    }

    /// `bos_token` and the like.
    func variables(templateFolder: URL) throws -> [String: String] {
        try TokenDeclarations(tokenizer).named.merging(TokenDeclarations(templateFolder).named) { _, own in own }
    }
}
