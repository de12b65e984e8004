import Foundation
import RetortCore

extension JinjaTemplate {
    /// Templates are somebody else's programs: longer ones are refused.
    private static let longest = 1 << 20

    /// The template of a checkpoint's folder: `chat_template.jinja`, or the one in `tokenizer_config.json`; nil when it
    /// has none.
    /// - Throws: `CheckpointError.template` that names the file.
    public init?(folder: URL, tokenizer: Tokenizer) throws {
        let configuration = Self.configuration(folder)
        guard let (source, file) = try Self.source(in: folder, configuration) else { return nil }
        guard source.utf8.count <= Self.longest else {
            throw CheckpointError.template(file: file.path, "its chat template is longer than \(Self.longest) bytes")
        }
        do {
            try self.init(source, variables: Self.specials(configuration), tokenizer: tokenizer)
        } catch {
            throw CheckpointError.template(file: file.path, "\(error)")
        }
    }

    /// `bos_token` and the like, of a checkpoint's folder.
    static func specials(in folder: URL) -> [String: String] { specials(configuration(folder)) }

    /// The text of the folder's template, or nil.
    static func source(in folder: URL) throws -> String? { try source(in: folder, configuration(folder))?.0 }

    private static func configuration(_ folder: URL) -> JSONValue? {
        (try? Data(contentsOf: folder.appendingPathComponent("tokenizer_config.json")))
            .flatMap { try? JSONCoding.decoder.decode(JSONValue.self, from: $0) }
    }

    private static func source(in folder: URL, _ configuration: JSONValue?) throws -> (String, URL)? {
        let file = folder.appendingPathComponent("chat_template.jinja")
        if FileManager.default.fileExists(atPath: file.path) {
            guard let data = try? Data(contentsOf: file), let text = String(data: data, encoding: .utf8) else {
                throw CheckpointError.template(file: file.path, "it is not UTF-8 text")
            }
            return (text, file)
        }
        let home = folder.appendingPathComponent("tokenizer_config.json")
        switch configuration?["chat_template"] {
        case .string(let text): return (text, home)
        // Several templates by name: the default one.
        case .array(let all):
            return all.first { $0["name"]?.string == "default" }?["template"]?.string.map { ($0, home) }
        default: return nil
        }
    }

    /// `bos_token` and the like: a string, or an object with the string inside.
    private static func specials(_ configuration: JSONValue?) -> [String: String] {
        (configuration?.object ?? [:]).filter { $0.key.hasSuffix("_token") }
            .compactMapValues { $0.string ?? $0["content"]?.string }
    }
}
