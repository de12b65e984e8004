import Foundation
import RetortCore

/// Where a checkpoint's parts are. A Hugging Face folder or a GGUF file contains all of them; an adapter's folder
/// names its base, and may contain a tokenizer and a chat template of its own, with which it was trained.
public struct CheckpointFolders: Sendable {
    /// The source of the base weights.
    public let base: CheckpointSource
    /// The adapter's folder; nil without an adapter.
    public let adapter: URL?
    /// The source of the tokenizer that is used.
    public let tokenizer: CheckpointSource
    let adapterConfiguration: AdapterConfiguration?

    /// Finds the parts of a checkpoint or an adapter.
    /// - Throws: `CheckpointError` that names the adapter's file, or an unusable GGUF file.
    public init(_ folder: URL) throws {
        let file = folder.appendingPathComponent("adapter_config.json")
        guard FileManager.default.fileExists(atPath: file.path) else {
            base = try CheckpointSource(folder)
            (adapter, tokenizer, adapterConfiguration) = (nil, base, nil)
            return
        }
        let configuration = try AdapterConfiguration(file)
        (adapter, adapterConfiguration) = (folder, configuration)
        base = try CheckpointSource(configuration.base(relativeTo: folder))
        tokenizer = try Self.hasTokenizer(folder) ? .folder(folder) : base
    }

    /// The sources to search for a document, in order: an adapter's before its base's.
    var all: [CheckpointSource] { (adapter.map { [.folder($0)] } ?? []) + [base] }

    /// Whether an adapter's folder contains a tokenizer.
    /// - Throws: when it is in an unsupported form, since the base's would silently be used instead.
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

    /// Reads the tokenizer that is used.
    public func readTokenizer() throws -> Tokenizer { try Tokenizer(tokenizer.tokenizerDefinition()) }

    /// The chat template: the adapter's own, else the base's, else the known format whose markers the tokenizer has.
    public func template(for tokenizer: Tokenizer) throws -> any ChatTemplate {
        try writtenTemplate(for: tokenizer) ?? TurnTemplate(tokenizer)
    }

    /// The chat template that a file contains; nil when there is none.
    public func writtenTemplate(for tokenizer: Tokenizer) throws -> JinjaTemplate? {
        try template().map {
            try JinjaTemplate($0, variables: variables(templateOf: $0.source), tokenizer: tokenizer)
        }
    }

    /// The templates that are used, as they are stored.
    func template() throws -> TemplateFiles? {
        for source in all {
            if let files = try TemplateFiles(source) { return files }
        }
        return nil
    }

    /// `bos_token` and other named tokens.
    func variables(templateOf source: CheckpointSource) throws -> [String: String] {
        try TokenDeclarations(tokenizer).named.merging(TokenDeclarations(source).named) { _, own in own }
    }
}
