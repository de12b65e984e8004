import Foundation
import RetortCore
import Testing

@testable import RetortLLM

/// The values are those of tokenizers 0.23.
@Suite("Tokenizers, part by part")
struct TokenizerPartTests {
    private func tokenizer(_ json: String) throws -> Tokenizer {
        let folder = try ScratchFolder()
        let file = folder.url.appendingPathComponent("tokenizer.json")
        try Data(json.utf8).write(to: file)
        return try Tokenizer(file)
    }

    private static let letters = "abcdefghijklmnopqrstuvwxyz_ ".enumerated()
        .map { "\"\($0.element)\": \($0.offset)" }.joined(separator: ",")

    private func texts(_ tokenizer: Tokenizer, _ text: String) -> [String] {
        tokenizer.encode(text, specials: .recognised).compactMap(tokenizer.token)
    }

    // MARK: Patterns

    @Test(
        "patterns are read as Oniguruma reads them",
        arguments: [
            (#"\s+$|^\w+|."#, "ab c\nde \n", ["ab", " ", "c", "\n", "de", " \n"]),
            (".+", "a\rb\u{2028}c\nd", ["a\rb\u{2028}c", "\n", "d"]),
            (#"\p{N}{1,3}+"#, "3.14159", ["3", ".", "14159"]),
            (#"\p{N}{2}?"#, "123", ["12", "3"]), (#"\p{N}{,2}"#, "123", ["12", "3"]), ("(?m:a.b)", "a\nb", ["a\nb"]),
            (#"\h+"#, "xabz", ["x", "ab", "z"]), (#"[^\h]+"#, "xabz", ["x", "ab", "z"]),
            (#"\w+"#, "a²b ½\u{200C}é", ["a²b", " ", "½", "\u{200C}", "é"]), (#"\b\w"#, "a² b", ["a", "² ", "b"]),
            (#"\p{^L}+"#, "ab12", ["ab", "12"]), (#"(?:[a\]]|(?<x>b)){1,2}+|\{"#, "a]b{c", ["a]b", "{", "c"]),
            (
                #"(?i:'s)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"#,
                "It's 12345 ok\n\n  x  ", ["It", "'s", " ", "12345", " ok", "\n\n", " ", " x", "  "]
            ),
        ])
    func patterns(pattern: String, text: String, expected: [String]) throws {
        let splitter = try WordSplitter(pattern, file: "tokenizer.json")
        #expect(splitter.parts(of: text, inverted: false).map(\.text) == expected)
    }

    @Test("a pattern that cannot be read is refused by name")
    func badPattern() {
        for pattern in ["(", "[a", "(?<n", "\\", "(?m", "{1}", "a{1,2}+{"] {
            _ = try? WordSplitter(pattern, file: "tokenizer.json")
        }
        #expect(throws: TokenizerError.self) { try WordSplitter("a(", file: "tokenizer.json") }
    }

    private func normalised(_ json: String, _ text: String) throws -> String {
        try TextNormalizer(JSONTree.parse(Array(json.utf8)), file: "tokenizer.json")(text, continuing: false)
    }

    @Test("a pattern of a normalizer ends lines where Oniguruma does")
    func replacement() throws {
        let json = #"{"type": "Replace", "pattern": {"Regex": "\\s+$"}, "content": ""}"#
        #expect(try normalised(json, "a \nb ") == "a\nb")
    }

    @Test("StripAccents removes marks of all kinds")
    func accents() throws {
        let json = #"{"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"}]}"#
        #expect(try normalised(json, "नमस्ते é ที่ a\u{489}") == "नमसत e ท a")
    }

    // MARK: Added tokens

    private func added(_ tokens: String) throws -> Tokenizer {
        try tokenizer(
            "{\"added_tokens\": [\(tokens)], \"model\": {\"type\": \"BPE\", \"vocab\": {\(Self.letters), \"yz\": 40}, \"merges\": [\"y z\"]}}"
        )
    }

    @Test("a token that must stand alone and does not is passed over, with the tokens inside it")
    func singleWord() throws {
        let tokenizer = try added(
            """
            {"id": 28, "content": "range", "single_word": true, "normalized": false},
            {"id": 29, "content": "ran", "normalized": false}
            """)
        #expect(texts(tokenizer, "_range") == ["_", "r", "a", "n", "g", "e"])
        #expect(texts(tokenizer, "range") == ["range"])
        #expect(texts(tokenizer, "ran ge") == ["ran", " ", "g", "e"])
    }

    @Test("tokens of the original text come before those of normalised text, without a normalizer, too")
    func order() throws {
        let tokenizer = try added(
            """
            {"id": 28, "content": "bc", "normalized": false}, {"id": 29, "content": "ab", "normalized": true}
            """)
        #expect(texts(tokenizer, "abc") == ["a", "bc"])
        #expect(texts(tokenizer, "ab") == ["ab"])
    }

    // MARK: Decoders

    private func decoding(_ decoder: String) throws -> Tokenizer {
        try tokenizer(
            """
            {"decoder": \(decoder), "model": {"type": "WordPiece", "unk_token": "a", "continuing_subword_prefix": "##",
             "vocab": {"a": 0, "b": 1, ".": 2, "##c": 3, "'m": 4}}}
            """)
    }

    @Test(
        "without a decoder, tokens are separated; WordPiece's removes the blanks before marks unless it is told not to")
    func decoders() throws {
        #expect(try decoding("null").decode([0, 1]) == "a b")
        let cleaning = try decoding(###"{"type": "WordPiece", "prefix": "##"}"###)
        #expect(cleaning.decode([0, 4, 1, 3, 2]) == "a'm bc.")
        #expect(cleaning.decode([2, 0]) == ". a")
        let plain = try decoding(###"{"type": "WordPiece", "prefix": "##", "cleanup": false}"###)
        #expect(plain.decode([0, 4, 1, 3, 2]) == "a 'm bc .")
    }

    @Test(
        "a decoder that would be read otherwise is refused",
        arguments: [
            #"{"type": "Strip", "content": " ", "start": 1, "stop": 0}, {"type": "Fuse"}"#,
            #"{"type": "Replace", "pattern": {"String": "a"}, "content": " "}, {"type": "Replace", "pattern": {"String": "b"}, "content": " "}"#,
        ])
    func refusedDecoders(decoders: String) {
        #expect(throws: TokenizerError.self) { try decoding("{\"type\": \"Sequence\", \"decoders\": [\(decoders)]}") }
    }

    // MARK: Turns

    private static let template = """
        {% for m in messages %}{{ '<|' ~ m.role ~ '|>\\n' ~ m.content ~ '<|end|>\\n' }}{% endfor %}\
        {% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}
        """

    /// In the manner of Phi-3, whose added tokens take the blanks behind them.
    private func turns(_ part: String, takesBlanks: Bool) throws -> Tokenizer {
        let specials = ["<|user|>", "<|assistant|>", "<|end|>"].enumerated().map {
            "{\"id\": \(20 + $0.offset), \"content\": \"\($0.element)\", \"special\": true, \"rstrip\": \(takesBlanks)}"
        }
        return try tokenizer(
            """
            {\(part), "added_tokens": [\(specials.joined(separator: ","))], "model": {"type": "BPE",
             "vocab": {"▁": 0, "H": 1, "i": 2, "▁H": 3, "▁Hi": 4, "\\n": 6, "▁\\n": 7},
             "merges": ["▁ H", "▁H i", "▁ \\n"]}}
            """)
    }

    @Test(
        "behind an added token a turn begins as tokenizers begins it, and its prompt is the same",
        arguments: [
            (
                #"""
                "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
                 {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}
                """#, true, ["<|assistant|>", "▁Hi", "<|end|>"]
            ),
            (
                #""pre_tokenizer": {"type": "Metaspace", "prepend_scheme": "always"}"#, true,
                ["<|assistant|>", "▁Hi", "<|end|>"]
            ),
            (
                #""pre_tokenizer": {"type": "Metaspace", "prepend_scheme": "first"}"#, true,
                ["<|assistant|>", "H", "i", "<|end|>"]
            ),
            (
                #""pre_tokenizer": {"type": "Metaspace", "prepend_scheme": "always"}"#, false,
                ["<|assistant|>", "▁\n", "H", "i", "<|end|>", "▁\n"]
            ),
        ])
    func turns(part: String, takesBlanks: Bool, expected: [String]) throws {
        let tokenizer = try turns(part, takesBlanks: takesBlanks)
        let template = try JinjaTemplate(Self.template, tokenizer: tokenizer)
        let messages = [Message(.user, "Hi"), Message(.assistant, "Hi", trainable: true)]
        let chat = try template.render(messages, then: .nothing, with: tokenizer)
        let shown = chat.tokens.compactMap(tokenizer.token)
        #expect(Array(shown.suffix(expected.count)) == expected)
        #expect(texts(tokenizer, "<|user|>\nHi<|end|>\n<|assistant|>\nHi<|end|>\n") == shown)
        let prompt = try template.render([messages[0]], then: .generation(), with: tokenizer)
        #expect(chat.tokens.starts(with: prompt.tokens))
        let begun = try template.render([messages[0]], then: .generation(prefill: "Hi"), with: tokenizer)
        #expect(chat.tokens.starts(with: begun.tokens))
    }

    @Test("blanks at the beginning of an answer belong to the token before it")
    func leadingBlanks() throws {
        let part = #""pre_tokenizer": {"type": "Metaspace", "prepend_scheme": "always"}"#
        let tokenizer = try turns(part, takesBlanks: true)
        let messages = [Message(.user, "Hi"), Message(.assistant, "  Hi", trainable: true)]
        let chat = try JinjaTemplate(Self.template, tokenizer: tokenizer)
            .render(messages, then: .nothing, with: tokenizer)
        #expect(chat.tokens.suffix(3).compactMap(tokenizer.token) == ["<|assistant|>", "▁Hi", "<|end|>"])
        #expect(chat.trainable == chat.tokens.indices.map { $0 >= chat.tokens.count - 2 })
    }
}
