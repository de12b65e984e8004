import Foundation
import RetortCore
import Yams

/// Reads a YAML file: first as text, then as nodes.
package enum YAMLFile {
    /// The file's text, without a byte order mark.
    /// - Throws: `RecipeError` for a file that does not exist or is not UTF-8.
    package static func text(_ file: URL) throws -> String {
        guard let data = try? Data(contentsOf: file) else {
            throw fault(file.path, "the file cannot be read; check the path")
        }
        // As in JSON, a NUL is in no YAML.
        guard ExactJSON.encodingFault(data) == nil, let text = String(data: data, encoding: .utf8) else {
            let line = line(ofFirstFaultIn: data)
            throw RecipeError(
                file: file.path,
                faults: [.init(line: line, column: 1, message: "the file is not UTF-8; save it in that encoding")])
        }
        return text
    }

    /// Parses a text.
    /// - Throws: `RecipeError` when it is not YAML.
    package static func root(_ text: String, file: String) throws -> Node {
        let text = text.unicodeScalars.first == "\u{FEFF}" ? String(text.unicodeScalars.dropFirst()) : text
        let root: Node?
        do {
            root = try Yams.compose(yaml: text)
        } catch let error as YamlError {
            throw RecipeError(file: file, faults: [fault(error)])
        }
        guard let root else { throw fault(file, "the recipe is empty") }
        return root
    }

    /// The line of the first byte that no YAML in UTF-8 has, from 1.
    private static func line(ofFirstFaultIn data: Data) -> Int {
        var line = 1
        for part in data.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            guard ExactJSON.encodingFault(part) == nil else { return line }
            line += 1
        }
        return 1
    }

    private static func fault(_ file: String, _ message: String) -> RecipeError {
        RecipeError(file: file, faults: [.init(line: 1, column: 1, message: message)])
    }

    private static func fault(_ error: YamlError) -> RecipeError.Fault {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            .init(line: mark.line, column: mark.column, message: "this is not YAML: \(problem)")
        // The library's own message would contain the whole file.
        case .duplicatedKeysInMapping(let keys, let context):
            .init(
                line: context.mark.line, column: context.mark.column,
                message: keys.map { "'\($0)'" }.joined(separator: ", ")
                    + " stands more than once in one mapping; keep one")
        case .reader(let problem, _, _, _): .init(line: 1, column: 1, message: "this is not YAML: \(problem)")
        default: .init(line: 1, column: 1, message: "this is not YAML: \(error)")
        }
    }
}
