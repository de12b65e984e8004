import ArgumentParser
import Foundation
import RetortCore
import RetortLLM

/// `retort tokenize`
struct TokenizeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tokenize", abstract: "Turn lines of text into token ids.",
        discussion: "Each line of the file is a JSON string; each line printed is the JSON array of its ids.")

    @Argument(help: "A checkpoint's folder, or a tokenizer.json.") var folder: String
    @Option(help: "The file of JSON strings.") var lines: String

    func run() throws {
        let tokenizer = try Tokenizer(URL(fileURLWithPath: folder))
        try JSONLines.forEach(String.self, in: URL(fileURLWithPath: lines)) { text, _ in
            print(
                String(
                    decoding: try JSONCoding.encoder.encode(tokenizer.encode(text, specials: .recognised)),
                    as: UTF8.self))
        }
    }
}
