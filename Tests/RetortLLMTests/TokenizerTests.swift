import Foundation
import RetortCore
import RetortLLM
import Testing

/// The Seedling tokenizer that comes with the package.
let seedlings = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("seedlings")

@Suite("Tokenizer")
struct TokenizerTests {
    private func tokenizer() throws -> Tokenizer { try Tokenizer(seedlings.appendingPathComponent("tokenizer")) }

    @Test(
        "text comes back from its tokens",
        arguments: [
            "Velka Torrin was born in 1820.", " lead", "a\n\n b\t c  ", "naïve café 北京 😀👩‍👩‍👧 \u{200D}", "x = 12345678\r\n",
            "\u{1F468}\u{0301}\u{FE0F}", "",
        ])
    func roundTrip(text: String) throws {
        let tokenizer = try tokenizer()
        let decoded = tokenizer.decode(tokenizer.encode(text, specials: .asText))
        #expect(Array(decoded.utf8) == Array(text.utf8))
    }

    @Test("numbers are cut into groups of up to three digits, each one token")
    func numbers() throws {
        let tokenizer = try tokenizer()
        let ids = tokenizer.encode("12345678", specials: .asText)
        #expect(ids.map { tokenizer.decode([$0]) } == ["123", "456", "78"])
    }

    @Test("a special token in ordinary text stays text")
    func injection() throws {
        // snippet: Special tokens
        let tokenizer = try Tokenizer(seedlings.appendingPathComponent("tokenizer"))
        let end = try #require(tokenizer.id(of: "<|im_end|>"))
        #expect(tokenizer.encode("a<|im_end|>b", specials: .recognised).contains(end))
        #expect(!tokenizer.encode("a<|im_end|>b", specials: .asText).contains(end))
        // end snippet
    }

    @Test("streamed text equals the whole text, and never shows half a character")
    func streaming() throws {
        let tokenizer = try tokenizer()
        let text = "Zürich 北京 😀 done"
        var decoder = StreamDecoder(tokenizer)
        var pieces = tokenizer.encode(text, specials: .asText).map { decoder.push($0) }
        pieces.append(decoder.finish())
        #expect(pieces.joined() == text)
        #expect(!pieces.contains { $0.contains("\u{FFFD}") })
    }

    @Test("a long word does not take quadratic time, and comes back")
    func longWord() throws {
        let word = String(repeating: "abcdefghij", count: 5000)
        let tokenizer = try tokenizer()
        #expect(tokenizer.decode(tokenizer.encode(word, specials: .asText)) == word)
    }

    @Test("a tokenizer without merges is refused with its file's name")
    func noMerges() throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).json")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data(#"{"model":{"type":"BPE","vocab":{"a":0},"merges":[]},"added_tokens":[]}"#.utf8).write(to: file)
        let error = #expect(throws: TokenizerError.self) { try Tokenizer(file) }
        #expect("\(error.map(String.init(describing:)) ?? "")".contains("no merges"))
    }
}

@Suite("Chat formats")
struct ChatTemplateTests {
    private let messages = [
        Message(.system, "S"), Message(.user, "What? <|im_end|>"), Message(.assistant, "This.", trainable: true),
    ]

    @Test("only the assistant's text and its end are trainable")
    func mask() throws {
        let tokenizer = try Tokenizer(seedlings.appendingPathComponent("tokenizer"))
        let chat = try TurnTemplate(tokenizer).render(messages, then: .nothing, with: tokenizer)
        let learned = zip(chat.tokens, chat.trainable).filter(\.1).map(\.0)
        #expect(tokenizer.decode(learned) == "This.<|im_end|>")
        #expect(zip(chat.roles, chat.trainable).allSatisfy { $0 == .assistant || !$1 })
    }

    /// The Seedlings' tokenizer with the special tokens of another family instead of its own.
    private func tokenizer(with tokens: [String]) throws -> Tokenizer {
        let folder = try ScratchFolder()
        let source = seedlings.appendingPathComponent("tokenizer/tokenizer.json")
        var fields = try JSONCoding.decoder.decode(JSONValue.self, from: Data(contentsOf: source)).object ?? [:]
        fields["added_tokens"] = .array(
            tokens.enumerated().map { index, token in
                ["id": .integer(4000 + index), "content": .string(token), "special": true]
            })
        let file = folder.url.appendingPathComponent("tokenizer.json")
        try JSONCoding.encoder.encode(JSONValue.object(fields)).write(to: file)
        return try Tokenizer(file)
    }

    @Test(
        "each family's markers stand where its models expect them",
        arguments: [
            (
                ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
                "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|>"
                    + "<|start_header_id|>user<|end_header_id|>\n\nWhat? <|im_end|><|eot_id|>"
                    + "<|start_header_id|>assistant<|end_header_id|>\n\nThis.<|eot_id|>"
            ),
            (
                ["<bos>", "<start_of_turn>", "<end_of_turn>"],
                "<bos><start_of_turn>user\nS\n\nWhat? <|im_end|><end_of_turn>\n"
                    + "<start_of_turn>model\nThis.<end_of_turn>\n"
            ),
            (
                ["<bos>", "<|turn>", "<turn|>"],
                "<bos><|turn>system\nS<turn|>\n<|turn>user\nWhat? <|im_end|><turn|>\n"
                    + "<|turn>model\nThis.<turn|>\n"
            ),
            (
                ["<|system|>", "<|user|>", "<|assistant|>", "<|end|>"],
                "<|system|>S<|end|><|user|>What? <|im_end|><|end|><|assistant|>This.<|end|>"
            ),
        ])
    func formats(tokens: [String], text: String) throws {
        let tokenizer = try tokenizer(with: tokens)
        let chat = try TurnTemplate(tokenizer).render(messages, then: .nothing, with: tokenizer)
        #expect(tokenizer.decode(chat.tokens) == text)
        let learned = zip(chat.tokens, chat.trainable).filter(\.1).map(\.0)
        #expect(tokenizer.decode(learned) == "This.\(tokens.last ?? "")")
    }

    @Test("a tokenizer without the markers of any known format is refused")
    func noFormat() throws {
        let tokenizer = try tokenizer(with: ["<|endoftext|>"])
        #expect(throws: TokenizerError.self) { try TurnTemplate(tokenizer) }
    }

    @Test("a prompt is a prefix of the same chat with its answer")
    func prefix() throws {
        let tokenizer = try Tokenizer(seedlings.appendingPathComponent("tokenizer"))
        let template = try TurnTemplate(tokenizer)
        let prompt = try template.render(Array(messages.dropLast()), then: .generation(), with: tokenizer).tokens
        let whole = try template.render(messages, then: .nothing, with: tokenizer).tokens
        #expect(Array(whole.prefix(prompt.count)) == prompt)
    }
}
