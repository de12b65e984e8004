import ArgumentParser
import Foundation
import RetortCore
import RetortLLM

/// `retort tokenize`
struct TokenizeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tokenize", abstract: "Turn lines of text into token ids.",
        discussion: "Each line of the file is a JSON string; each line printed is the JSON array of its ids, or with "
            + "--decode the JSON string that the ids stand for.")

    @Argument(help: "A checkpoint's folder or GGUF file, or a tokenizer.json.") var folder: String
    @Option(help: "The file of JSON strings.") var lines: String

    @Flag(help: "Add the tokens that the format puts around a text, such as <s> or [CLS] and [SEP].") var framed = false
    @Flag(help: "Print the text of the framed tokens.") var decode = false

    func run() throws {
        let tokenizer = try Tokenizer(URL(fileURLWithPath: folder))
        try JSONLinesFile(URL(fileURLWithPath: lines)).forEach(String.self) { text, _ in
            var ids = tokenizer.encode(text, specials: .recognised)
            if framed || decode { ids = tokenizer.opening + ids + tokenizer.closing }
            let line =
                decode ? try JSONCoding.encoder.encode(tokenizer.decode(ids)) : try JSONCoding.encoder.encode(ids)
            print(String(decoding: line, as: UTF8.self))
        }
    }
}
