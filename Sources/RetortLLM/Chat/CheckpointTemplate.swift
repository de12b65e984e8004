import Foundation
import RetortCore

/// A checkpoint's chat templates by name. A folder has them in `chat_template.jinja` and
/// `additional_chat_templates/NAME.jinja`, or in `tokenizer_config.json`; a GGUF file has them in its metadata.
struct TemplateFiles {
    static let usual = "default"
    /// The template that is used when functions are offered.
    static let tools = "tool_use"

    let source: CheckpointSource
    /// The file they were found in, for messages.
    let file: String
    let texts: [String: String]

    private static let single = "chat_template.jinja"
    private static let more = "additional_chat_templates"
    /// The longest template, in bytes; templates are programs from other people.
    private static let longest = 1 << 20

    /// - Returns: nil for a source without templates.
    /// - Throws: `CheckpointError.template` that names the file.
    init?(_ source: CheckpointSource) throws {
        self.source = source
        let folder = source.url
        var names: [String] = []
        if case .folder = source { names = Self.names(in: folder) }
        if names.isEmpty {
            file = source.path(of: "tokenizer_config.json")
            guard let texts = try Self.texts(in: source.object("tokenizer_config.json"), file: file) else { return nil }
            self.texts = texts
        } else {
            file = source.path(of: names[0])
            var texts: [String: String] = [:]
            for name in names {
                let url = folder.appendingPathComponent(name)
                guard let data = try? Data(contentsOf: url), let text = String(data: data, encoding: .utf8) else {
                    throw CheckpointError.template(file: url.path, "it is not UTF-8 text")
                }
                texts[name == Self.single ? Self.usual : url.deletingPathExtension().lastPathComponent] = text
            }
            self.texts = texts
        }
        guard texts[Self.usual] != nil else {
            throw CheckpointError.template(
                file: file,
                "it has the chat templates \(texts.keys.sorted().joined(separator: ", ")), and none that "
                    + "is named '\(Self.usual)'")
        }
        if texts.values.contains(where: { $0.utf8.count > Self.longest }) {
            throw CheckpointError.template(file: file, "its chat template is longer than \(Self.longest) bytes")
        }
    }

    /// The files of a folder that contain nothing but templates.
    static func names(in folder: URL) -> [String] {
        let has = { FileManager.default.fileExists(atPath: folder.appendingPathComponent($0).path) }
        let others =
            (try? FileManager.default.contentsOfDirectory(atPath: folder.appendingPathComponent(more).path)) ?? []
        return (has(single) ? [single] : [])
            + others.filter { $0.hasSuffix(".jinja") }.sorted().map { "\(more)/\($0)" }
    }

    private static func texts(in settings: [String: JSONValue]?, file: String) throws -> [String: String]? {
        switch settings?["chat_template"] {
        case nil, .null: return nil
        case .string(let text): return [usual: text]
        case .object(let all):
            let texts = all.compactMapValues(\.string)
            guard texts.count == all.count, !texts.isEmpty else { break }
            return texts
        case .array(let all):
            let pairs = all.compactMap { entry in
                entry["name"]?.string.flatMap { name in entry["template"]?.string.map { (name, $0) } }
            }
            guard pairs.count == all.count, !pairs.isEmpty else { break }
            return Dictionary(pairs, uniquingKeysWith: { $1 })
        default: break
        }
        throw CheckpointError.template(file: file, "its chat_template is neither a text nor texts by name")
    }
}

extension JinjaTemplate {
    /// The template of a folder; nil when it has none.
    /// - Throws: `CheckpointError.template` that names the file.
    public init?(folder: URL, tokenizer: Tokenizer) throws {
        guard let files = try TemplateFiles(.folder(folder)) else { return nil }
        try self.init(files, variables: TokenDeclarations(.folder(folder)).named, tokenizer: tokenizer)
    }

    init(_ files: TemplateFiles, variables: [String: String], tokenizer: Tokenizer) throws {
        do {
            try self.init(
                files.texts[TemplateFiles.usual] ?? "", forTools: files.texts[TemplateFiles.tools],
                variables: variables, tokenizer: tokenizer, date: Date())
        } catch {
            throw CheckpointError.template(file: files.file, "\(error)")
        }
    }
}
