import Foundation
import RetortCore

/// Finds the chat template of a checkpoint's folder.
enum CheckpointTemplate {
    /// Templates are somebody else's programs: longer ones are refused.
    private static let longest = 1 << 20

    /// The folder's own template, or the format whose markers the tokenizer has.
    /// - Throws: `CheckpointError.template` that names the file, or `TokenizerError.noChatFormat`.
    static func find(in folder: URL, _ tokenizer: Tokenizer) throws -> any ChatTemplate {
        let configuration = fields(folder.appendingPathComponent("tokenizer_config.json"))
        guard let (source, file) = try source(in: folder, configuration) else { return try TurnTemplate(tokenizer) }
        guard source.utf8.count <= longest else {
            throw CheckpointError.malformed(file: file.path, "its chat template is longer than \(longest) bytes")
        }
        do {
            return try JinjaTemplate(source, variables: specials(configuration), tokenizer: tokenizer)
        } catch let error as JinjaError {
            throw CheckpointError.template(file: file.path, error.description)
        } catch let error as ChatTemplateError {
            throw CheckpointError.template(file: file.path, error.description)
        }
    }

    private static func source(in folder: URL, _ configuration: JSONValue?) throws -> (String, URL)? {
        let file = folder.appendingPathComponent("chat_template.jinja")
        if FileManager.default.fileExists(atPath: file.path) {
            guard let data = try? Data(contentsOf: file), let text = String(data: data, encoding: .utf8) else {
                throw CheckpointError.malformed(file: file.path, "it is not UTF-8 text")
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

    private static func fields(_ file: URL) -> JSONValue? {
        (try? Data(contentsOf: file)).flatMap { try? JSONCoding.decoder.decode(JSONValue.self, from: $0) }
    }
}
