import Foundation
import Testing

@testable import RetortLLM

@Suite("Tokenizers of the families")
struct TokenizerFamilyTests {
    /// Writes a definition and opens it.
    private func tokenizer(_ json: String) throws -> Tokenizer {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).json")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data(json.utf8).write(to: file)
        return try Tokenizer(file)
    }

    private static let bytes = (0..<256).map { byte in
        let digits = String(byte, radix: 16, uppercase: true)
        return "\"<0x\(digits.count == 1 ? "0" : "")\(digits)>\": \(byte + 3)"
    }.joined(separator: ",")

    /// In the manner of Llama 2: characters, bytes for the rest, a visible blank.
    private static let pieces = """
        {"added_tokens": [{"id": 1, "content": "<s>", "special": true}, {"id": 2, "content": "</s>", "special": true}],
         "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
         "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
         "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}],
            "special_tokens": {"<s>": {"ids": [1]}}},
         "model": {"type": "BPE", "byte_fallback": true, "fuse_unk": true, "unk_token": "<unk>",
            "vocab": {"<unk>": 0, "<s>": 1, "</s>": 2, \(bytes), "▁": 300, "a": 301, "b": 302, "ab": 303, "▁ab": 304,
                "é": 305, "e\u{301}": 306},
            "merges": ["a b", ["▁", "ab"]]}}
        """

    @Test("characters that are no token become their bytes, and come back")
    func byteFallback() throws {
        let tokenizer = try tokenizer(Self.pieces)
        #expect(tokenizer.encode("ab Z", specials: .asText) == [304, 300, 0x5A + 3])
        let text = "ab 北京 😀  b"
        #expect(tokenizer.decode(tokenizer.encode(text, specials: .asText)) == text)
        #expect(tokenizer.opening == [1])
    }

    @Test("characters become bytes, too, where a byte has no token of its own, as Gemma's tab")
    func missingByte() throws {
        let tokenizer = try tokenizer(
            Self.pieces.replacingOccurrences(of: "\"<0x09>\"", with: "\"\\t\""))
        #expect(tokenizer.encode("\tZ", specials: .asText, continuing: true) == [0x09 + 3, 0x5A + 3])
    }

    @Test("text that goes on gets no blank of its own")
    func continuing() throws {
        let tokenizer = try tokenizer(Self.pieces)
        #expect(tokenizer.encode("ab", specials: .asText) == [304])
        #expect(tokenizer.encode("ab", specials: .asText, continuing: true) == [303])
    }

    @Test("tokens that differ by their accents' encoding alone are two tokens")
    func exactBytes() throws {
        let tokenizer = try tokenizer(Self.pieces)
        #expect(tokenizer.encode("é", specials: .asText, continuing: true) == [305])
        #expect(tokenizer.id(of: "é") == 305)
        #expect(tokenizer.id(of: "e\u{301}") == 306)
    }

    @Test("pieces of words, the longest first")
    func wordPiece() throws {
        let tokenizer = try tokenizer(
            """
            {"normalizer": {"type": "BertNormalizer"}, "pre_tokenizer": {"type": "BertPreTokenizer"},
             "decoder": {"type": "WordPiece", "prefix": "##"},
             "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                "vocab": {"[UNK]": 0, "un": 1, "##aff": 2, "##able": 3, "##affable": 4, "!": 5}}}
            """)
        #expect(tokenizer.encode("UnAffable!x", specials: .asText) == [1, 4, 5, 0])
        #expect(tokenizer.decode([1, 4, 5]) == "unaffable!")
    }

    @Test("a unigram model takes the pieces whose scores add up to the most, and one unknown token for neighbours")
    func unigram() throws {
        let tokenizer = try tokenizer(
            """
            {"pre_tokenizer": {"type": "Metaspace"}, "decoder": {"type": "Metaspace"},
             "model": {"type": "Unigram", "unk_id": 0, "vocab": [
                ["<unk>", 0], ["▁", -2], ["▁a", -1.5], ["b", -2.5], ["ab", -3], ["▁ab", -4.5], ["c", -2]]}}
            """)
        #expect(tokenizer.encode("ab xyc", specials: .asText) == [2, 3, 1, 0, 6])
        #expect(tokenizer.encode("abc", specials: .asText) == [2, 3, 6])
        #expect(tokenizer.encode("cab  b", specials: .asText) == [1, 6, 4, 1, 1, 3])
        let long = String(repeating: "ab", count: 5000)
        #expect(tokenizer.encode(long, specials: .asText).count == 10_000 - 4999)
    }

    @Test("a compiled table of characters replaces what it knows, and a damaged one is refused")
    func characterMap() throws {
        // One entry, "A" to "b": units of the root, the step by 0x41 with a leaf, and the leaf.
        var units = [UInt32](repeating: 0, count: 128)
        units[0] = 1 << 10
        units[1 ^ 0x41] = 0x41 | 1 << 8 | 2 << 10
        units[1 ^ 0x41 ^ 2] = 1 << 31 | 0
        let bytes = ([UInt32(units.count * 4)] + units).flatMap { unit in (0..<4).map { UInt8(unit >> (8 * $0) & 0xFF) }
        }
        let map = try CharacterMap(base64: Data(bytes + Array("b\u{0}".utf8)).base64EncodedString(), file: "f")
        #expect(map("A1éA\u{1F468}\u{200D}\u{1F469}") == "b1éb\u{1F468}\u{200D}\u{1F469}")
        for text in ["", "!!", Data(bytes.prefix(100)).base64EncodedString()] {
            #expect(throws: TokenizerError.self) { try CharacterMap(base64: text, file: "f") }
        }
    }

    @Test(
        "definitions that cannot be used are refused by name",
        arguments: [
            (#"{"model": {"type": "Unigram", "vocab": [["a", -1.0]]}}"#, "Unigram"), ("{", "at byte"),
            (#"{"model": {"vocab": {"a": -5}, "merges": ["a a"]}}"#, "no token id"),
            (#"{"model": {"vocab": {"a": 0}, "merges": ["a b"]}}"#, "outside the vocabulary"),
            (#"{"model": {"vocab": {"a": 0, "aa": 1}, "merges": ["a a"]}, "pre_tokenizer": {"type": "New"}}"#, "New"),
            (#"{"model": {"vocab": {"a": 0, "aa": 1}, "merges": ["a a"]}, "normalizer": {"type": "Odd"}}"#, "Odd"),
            (String(repeating: "[", count: 100_000), "nested deeper"), ("", "missing"), ("[]", "model"),
            (#"{"model": {"vocab": {"a": 99999999999}, "merges": ["a a"]}}"#, "no token id"),
        ])
    func refused(json: String, word: String) {
        let error = #expect(throws: TokenizerError.self) { try tokenizer(json) }
        #expect("\(error.map(String.init(describing:)) ?? "")".contains(word))
    }
}
