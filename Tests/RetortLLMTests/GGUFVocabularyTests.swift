import Foundation
import RetortCore
import RetortLLM
import Testing

@Suite("SentencePiece vocabularies for llama.cpp")
struct GGUFVocabularyTests {
    /// A Llama 2 in small, its `tokenizer.json` altered.
    private func export(_ alter: (inout [String: JSONValue]) -> Void) throws -> (
        keys: [String: JSONValue], remarks: [String]
    ) {
        let folder = try ScratchFolder()
        var definition = Self.definition
        alter(&definition)
        let template = "{% for m in messages %}{{ m['content'] + '</s>' }}{% endfor %}"
        let files: [String: JSONValue] = [
            "tokenizer.json": .object(definition),
            "tokenizer_config.json": ["bos_token": "<s>", "chat_template": .string(template)],
            "config.json": Family("", ["model_type": "llama", "vocab_size": 320]).fields,
        ]
        for (name, value) in files {
            try JSONCoding.encoder.encode(value).write(to: folder.url.appendingPathComponent(name))
        }
        let checkpoint = try Checkpoint(folder: folder.url)
        let network = try DecoderNetwork(checkpoint.configuration, weights: RandomWeights(seed: 4))
        let file = folder.url.appendingPathComponent("m.gguf")
        let remarks = try GGUFExport.write(network, of: checkpoint, name: "m", precision: .q8_0, to: file)
        return (try GGUFFile(file).keys, remarks)
    }

    private static func added(_ id: Int, _ content: String, _ more: [String: JSONValue] = [:]) -> JSONValue {
        .object(["id": .integer(id), "content": .string(content), "special": true].merging(more) { $1 })
    }

    private static let definition: [String: JSONValue] = {
        var vocabulary: [String: JSONValue] = ["<unk>": 0, "<s>": 1, "</s>": 2]
        for byte in 0..<256 { vocabulary[byteToken(byte)] = .integer(byte + 3) }
        for (id, token) in ["▁a", "ab", "▁ab", "▁", "a", "b"].enumerated() { vocabulary[token] = .integer(id + 259) }
        return [
            "added_tokens": [added(0, "<unk>"), added(1, "<s>"), added(2, "</s>")],
            "normalizer": [
                "type": "Sequence",
                "normalizers": [
                    ["type": "Prepend", "prepend": "▁"],
                    ["type": "Replace", "pattern": ["String": " "], "content": "▁"],
                ],
            ],
            "post_processor": [
                "type": "TemplateProcessing", "single": [["SpecialToken": ["id": "<s>"]], ["Sequence": ["id": "A"]]],
                "special_tokens": ["<s>": ["ids": [1]]],
            ],
            "model": [
                "type": "BPE", "byte_fallback": true, "unk_token": "<unk>", "vocab": .object(vocabulary),
                "merges": ["▁ a", "a b", "▁a b", "▁ ab"],
            ],
        ]
    }()

    private static func byteToken(_ byte: Int) -> String {
        let digits = String(byte, radix: 16, uppercase: true)
        return "<0x\(digits.count == 1 ? "0" : "")\(digits)>"
    }

    private static func model(_ fields: inout [String: JSONValue], _ alter: (inout [String: JSONValue]) -> Void) {
        guard var model = fields["model"]?.object else { return }
        alter(&model)
        fields["model"] = .object(model)
    }

    @Test("tokens have their kinds, and the earlier a merge the better its score")
    func vocabulary() throws {
        let (keys, remarks) = try export {
            $0["added_tokens"] = [
                Self.added(0, "<unk>"), Self.added(1, "<s>"), Self.added(2, "</s>"),
                Self.added(300, "▁▁", ["special": false, "normalized": false]),
            ]
        }
        #expect(keys["tokenizer.ggml.model"] == "llama")
        let kinds = try #require(keys["tokenizer.ggml.token_type"]?.array)
        // Unknown, control, byte, normal, the user's, unused.
        #expect([0, 1, 2, 3, 258, 259, 300, 301].map { kinds[$0] } == [2, 3, 3, 6, 6, 1, 4, 5])
        let tokens = try #require(keys["tokenizer.ggml.tokens"]?.array)
        #expect(tokens.count == 320)
        #expect([3, 261, 300, 301].map { tokens[$0] } == ["<0x00>", "▁ab", "  ", "[PAD301]"])
        let scores = (keys["tokenizer.ggml.scores"]?.array ?? []).compactMap(\.number)
        try #require(scores.count == 320)
        #expect([259, 260, 261].map { scores[$0] } == [0, -1, -2])
        #expect(scores.enumerated().allSatisfy { (259...261).contains($0.offset) || $0.element < -2 })
        #expect(keys["tokenizer.ggml.bos_token_id"] == 1)
        #expect(keys["tokenizer.ggml.eos_token_id"] == 2)
        #expect(keys["tokenizer.ggml.unknown_token_id"] == 0)
        #expect(keys["tokenizer.ggml.add_bos_token"] == true)
        #expect(keys["tokenizer.ggml.add_space_prefix"] == true)
        #expect(remarks.isEmpty)
    }

    @Test("where a blank stands before text is told, or said to be otherwise")
    func prefix() throws {
        func metaspace(_ scheme: String) -> JSONValue {
            ["type": "Metaspace", "replacement": "▁", "split": false, "prepend_scheme": .string(scheme)]
        }
        let never = try export {
            $0["normalizer"] = nil; $0["pre_tokenizer"] = metaspace("never")
        }
        #expect(never.keys["tokenizer.ggml.add_space_prefix"] == false)
        #expect(never.remarks.isEmpty)
        let first = try export {
            $0["normalizer"] = nil; $0["pre_tokenizer"] = metaspace("first")
        }
        #expect(first.keys["tokenizer.ggml.add_space_prefix"] == false)
        #expect(first.remarks.count == 1)
        let error = #expect(throws: CheckpointError.self) {
            try export {
                $0["normalizer"] = nil; $0["pre_tokenizer"] = metaspace("always")
            }
        }
        #expect("\(try #require(error))".contains("unless it has one"))
    }

    @Test("blanks behind special tokens fall away where the tokenizer lets them, by the model's name")
    func blanks() throws {
        func added(_ stripping: Bool) -> JSONValue {
            [
                Self.added(0, "<unk>"), Self.added(1, "<s>"), Self.added(2, "</s>", ["rstrip": .bool(stripping)]),
                Self.added(301, "<|endoftext|>"), Self.added(302, "<|end|>", ["rstrip": .bool(stripping)]),
            ]
        }
        let stripping = try export { $0["added_tokens"] = added(true) }
        #expect(stripping.keys["general.name"] == "m (Phi-3)")
        #expect(stripping.remarks.isEmpty)
        let none = try export { $0["added_tokens"] = added(false) }
        #expect(none.keys["general.name"] == "m")
        // Without <|endoftext|> llama.cpp would stop at the name.
        let some = try export { $0["added_tokens"] = [Self.added(1, "<s>"), Self.added(2, "</s>", ["rstrip": true])] }
        #expect(some.keys["general.name"] == "m")
        #expect(some.remarks.contains { $0.contains("</s>") })
    }

    @Test("a token that the merge list never makes is counted, because llama.cpp makes it")
    func unmade() throws {
        let (keys, remarks) = try export {
            Self.model(&$0) { $0["merges"] = ["▁ a", "a b"] }
        }
        #expect(remarks.contains { $0.contains("(1 of them)") })
        let scores = (keys["tokenizer.ggml.scores"]?.array ?? []).compactMap(\.number)
        try #require(scores.count == 320)
        #expect(scores[261] < scores[260])
    }

    @Test(
        "a tokenizer that llama.cpp cannot be told is refused by name",
        arguments: [
            (["merges": ["▁ a", "a b", "▁a b"]], "a merge list without '▁' and 'ab'"),
            (["merges": ["▁a b", "▁ a", "a b", "▁ ab"]], "'▁ab' at two ranks"),
            (["byte_fallback": false], "does not fall back to bytes"),
        ] as [([String: JSONValue], String)])
    func refusedModel(own: [String: JSONValue], message: String) throws {
        let error = #expect(throws: CheckpointError.self) { try export { Self.model(&$0) { $0.merge(own) { $1 } } } }
        #expect("\(try #require(error))".contains(message))
    }

    @Test(
        "so is text preparation that llama.cpp does not do",
        arguments: [
            ("normalizer", ["type": "NFKC"], "NFKC"), ("pre_tokenizer", ["type": "WhitespaceSplit"], "WhitespaceSplit"),
            ("normalizer", .null, "neither byte-level"),
            ("added_tokens", [added(1, "<s>", ["normalized": true]), added(2, "</s>")], "behind a blank"),
            (
                "added_tokens", [added(2, "</s>"), added(300, "ab", ["special": false, "single_word": true])],
                "a whole word only"
            ),
            ("added_tokens", [added(2, "</s>"), added(301, "[PAD302]")], "both token 301 and token 302"),
        ] as [(String, JSONValue, String)])
    func refused(part: String, value: JSONValue, message: String) throws {
        let error = #expect(throws: CheckpointError.self) { try export { $0[part] = value } }
        #expect("\(try #require(error))".contains(message))
    }
}
