import Foundation
import RetortCore
import RetortTensor
import Testing

@testable import RetortLLM

private func distance(_ a: [Float], _ b: [Float]) -> Float {
    a.count == b.count ? zip(a, b).map { abs($0 - $1) }.max() ?? 0 : .infinity
}

@Suite("ModernBERT")
struct ModernBERTTests {
    private static let text = "abc ab cabcabc"
    private static let mean: [Float] = [
        0.816439, -0.39331, 0.305957, -1.182288, 0.868404, -0.132385, 0.294096, -0.961281, 0.785791, -0.146282,
        0.541249, -0.402687, 0.177748, -0.16711, 1.029332, -0.817655,
    ]
    private static let cls: [Float] = [
        -1.672917, 0.53738, -0.346963, 1.50436, -1.518562, 0.315525, -0.729298, 1.723962, -1.067781, 0.207062,
        -1.194421, 1.859914, -0.697829, 0.31207, -1.472694, 1.545765,
    ]
    private static let biased: [Float] = [
        0.497175, -1.552129, 2.54731, -0.704097, -0.120167, -1.388998, 2.117765, -0.430268, -0.332913, -1.737386,
        1.793953, -0.02859, -0.460139, -1.707388, 2.195565, -0.357131,
    ]

    private func embed(_ folder: ByteEncoderFolder, _ texts: [String]) async throws -> [Float] {
        try await TextEncoder(folder: folder.url, weights: .float32).embed(texts)
    }

    @Test("gives the states that transformers computes, with windows of five tokens between layers that see all")
    func states() async throws {
        let folder = try ByteEncoderFolder(
            ByteEncoderFolder.modern,
            files: [
                "modules.json": EncoderFolder.modules("Transformer", "Pooling"),
                "1_Pooling/config.json": ["pooling_mode": ["mean", "cls"]],
            ])
        defer { folder.remove() }
        #expect(try await distance(embed(folder, [Self.text]), Self.mean + Self.cls) < 1e-5)
        #expect(TextEncoder.holdsEncoder(folder.url))
        #expect(try TextEncoder.configuration(folder.url).longest == 64)
    }

    @Test("older files say the same in other keys, and a model with its language head has prefixed names")
    func olderFiles() async throws {
        let folder = try ByteEncoderFolder(
            ByteEncoderFolder.modern,
            with: [
                "architectures": ["ModernBertForMaskedLM"], "global_attn_every_n_layers": 3,
                "global_rope_theta": 160000.0, "local_rope_theta": 10000.0, "layer_norm_eps": 1e-5,
                "position_embedding_type": "absolute", "reference_compile": false, "repad_logits_with_grad": false,
                "embedding_dropout": 0.0, "mlp_dropout": 0.0, "gradient_checkpointing": false, "decoder_bias": true,
                "classifier_pooling": "mean", "sparse_prediction": false, "sparse_pred_ignore_index": -100,
                "initializer_cutoff_factor": 2.0, "deterministic_flash_attn": false, "cls_token_id": 2,
            ], without: ["layer_types", "rope_parameters"], prefix: "model.")
        defer { folder.remove() }
        #expect(try await distance(embed(folder, [Self.text]), Self.mean) < 1e-5)
    }

    @Test("biases of norms and projections, and another gate")
    func biases() async throws {
        let folder = try ByteEncoderFolder(
            ByteEncoderFolder.modern,
            with: [
                "norm_bias": true, "attention_bias": true, "mlp_bias": true, "hidden_activation": "gelu_pytorch_tanh",
            ])
        defer { folder.remove() }
        #expect(try await distance(embed(folder, [Self.text]), Self.biased) < 1e-5)
    }

    @Test("a text's vector does not depend on what comes with it")
    func together() async throws {
        let folder = try ByteEncoderFolder(ByteEncoderFolder.modern)
        defer { folder.remove() }
        let texts = ["a", "ab cab", "", Self.text, "cab ab", "abc"]
        let all = try await embed(folder, texts)
        for (row, text) in texts.enumerated() {
            #expect(try await distance(Array(all[row * 16..<(row + 1) * 16]), embed(folder, [text])) < 1e-5)
        }
    }

    @Test("a cross-encoder scores pairs as transformers does", arguments: [("cls", 1.352282), ("mean", 4.4009404)])
    func ranking(pooling: String, score: Float) async throws {
        let folder = try ByteEncoderFolder(
            ByteEncoderFolder.modern,
            with: ["num_labels": 1, "classifier_pooling": .string(pooling), "classifier_bias": true], prefix: "model.",
            more: [
                "classifier.bias": [1], "classifier.weight": [1, 16], "head.dense.bias": [16],
                "head.dense.weight": [16, 16], "head.norm.weight": [16],
            ])
        defer { folder.remove() }
        let scores = try await PairScorer(folder: folder.url, weights: .float32).scores("abc", [" ab cab", "c"])
        #expect(abs(scores[0] - score) < 1e-5 && scores[1] != scores[0])
        // Without its head it embeds.
        #expect(throws: Never.self) { try TextEncoder(folder: folder.url, weights: .float32) }
    }

    @Test(
        "what changes the result and is not done is refused by name",
        arguments: [
            ("rope_scaling", ["rope_type": "linear", "factor": 2.0]), ("hidden_activation", "mish"),
            ("classifier_pooling", "max"), ("position_embedding_type", "relative_key"), ("num_key_value_heads", 1),
            ("head_dim", 4), ("local_rope_theta", .null), ("is_decoder", true), ("rope_theta", 5000),
            ("layer_types", ["full_attention", "chunked_attention", "full_attention", "full_attention"]),
        ] as [(String, JSONValue)])
    func refusals(key: String, value: JSONValue) throws {
        let folder = try ByteEncoderFolder(ByteEncoderFolder.modern, with: [key: value])
        defer { folder.remove() }
        let error = #expect(throws: CheckpointError.self) { try TextEncoder(folder: folder.url) }
        let words = "\(try #require(error))"
        #expect(words.contains("'\(key)'") || words.contains("chunked_attention"))
    }

    @Test("windows in blocks attend like a mask over the whole text", arguments: [1, 3, 256, 257, 600], [1, 5, 300])
    func windows(length: Int, reach: Int) throws {
        let parts = try (1...3).map { try Tensor.normal([2, 2, length, 8], deviation: 1, seed: $0) }
        let found = try AttentionWindows().attend(parts[0], parts[1], parts[2], reach: reach)
        let hidden = (0..<length * length).map { abs($0 / length - $0 % length) <= reach ? 0 : -Float.infinity }
        let mask = try Tensor(hidden, shape: [1, 1, length, length])
        let expected = try Tensor.attention(parts[0], parts[1], parts[2], mask: .additive(mask))
        #expect(try distance(found.floats(), expected.floats()) < 1e-5)
    }
}

@Suite("Decoders that embed")
struct EmbeddingDecoderTests {
    private static let instruction = "Instruct: abc\nQuery:"
    private static let last: [Float] = [
        0.015601, 0.185999, -0.607652, 0.110237, 0.044761, -0.352379, 0.258392, 0.121285, -0.097049, 0.316302,
        0.162723, -0.133578, 0.147534, 0.115701, -0.427958, 0.06346,
    ]

    @Test(
        "the last token's state of Qwen3, an end of text, is that of transformers, stored with or without its head",
        arguments: ["", "model."])
    func lastToken(prefix: String) async throws {
        let folder = try ByteEncoderFolder(
            ByteEncoderFolder.qwen, with: prefix.isEmpty ? [:] : ["architectures": ["Qwen3ForCausalLM"]],
            prefix: prefix, files: ByteEncoderFolder.lastToken)
        defer { folder.remove() }
        let encoder = try TextEncoder(folder: folder.url, weights: .float32)
        let texts = ["c", "abc ab cab", "", "ab ab", "c c c c c"]
        let all = try await encoder.embed(texts)
        #expect(distance(Array(all[16..<32]), Self.last) < 1e-5)
        for (row, text) in texts.enumerated() {
            #expect(try await distance(Array(all[row * 16..<(row + 1) * 16]), encoder.embed([text])) < 1e-5)
        }
        #expect(encoder.longest == 64 && TextEncoder.holdsEncoder(folder.url))
    }

    @Test("the instruction goes before queries, and nothing before passages")
    func prompts() async throws {
        let folder = try ByteEncoderFolder(
            ByteEncoderFolder.qwen,
            files: ByteEncoderFolder.lastToken.merging([
                "config_sentence_transformers.json": [
                    "prompts": ["query": .string(Self.instruction), "document": ""], "default_prompt_name": .null,
                    "similarity_fn_name": "cosine",
                ]
            ]) { $1 })
        defer { folder.remove() }
        let encoder = try TextEncoder(folder: folder.url, weights: .float32)
        #expect(encoder.prompt(.query) == Self.instruction && encoder.prompt(.passage).isEmpty)
        #expect(try await distance(encoder.embed([" ab cab"], prompt: "abc"), Self.last) < 1e-5)
    }

    @Test("in bfloat16 the vectors are nearly those of float32")
    func halves() async throws {
        let folder = try ByteEncoderFolder(ByteEncoderFolder.qwen, files: ByteEncoderFolder.lastToken)
        defer { folder.remove() }
        let encoder = try TextEncoder(folder: folder.url, weights: .bfloat16)
        #expect(try await distance(encoder.embed(["abc ab cab"]), Self.last) < 0.02)
    }

    @Test("a decoder without a description of its pooling is no encoder")
    func bare() throws {
        let folder = try ByteEncoderFolder(ByteEncoderFolder.qwen)
        defer { folder.remove() }
        #expect(!TextEncoder.holdsEncoder(folder.url))
        let error = #expect(throws: CheckpointError.self) { try TextEncoder(folder: folder.url) }
        #expect("\(try #require(error))".contains("modules.json"))
    }

    @Test(
        "what changes the result and is not done is refused by name",
        arguments: [
            ("config.json", "architectures", ["Qwen3ForSequenceClassification"], "Qwen3ForSequenceClassification"),
            ("config.json", "auto_map", ["AutoModel": "modeling.Bidirectional"], "auto_map"),
            ("config.json", "is_causal", false, "is_causal"),
            ("config.json", "use_bidirectional_attention", true, "use_bidirectional_attention"),
            ("config.json", "novel_scaling", 2, "novel_scaling"),
            ("tokenizer_config.json", "truncation_side", "left", "truncation_side"),
            (
                "sentence_bert_config.json", "modality_config",
                ["message": ["method": "forward", "method_output_name": "last_hidden_state"]], "modality_config"
            ),
        ] as [(String, String, JSONValue, String)])
    func refusals(file: String, key: String, value: JSONValue, named: String) throws {
        let isOfNetwork = file == "config.json"
        let folder = try ByteEncoderFolder(
            ByteEncoderFolder.qwen, with: isOfNetwork ? [key: value] : [:],
            files: ByteEncoderFolder.lastToken.merging(isOfNetwork ? [:] : [file: .object([key: value])]) { $1 })
        defer { folder.remove() }
        let error = #expect(throws: CheckpointError.self) { try TextEncoder(folder: folder.url) }
        #expect("\(try #require(error))".contains(named))
    }

    @Test("a tokenizer that adds nothing is refused: an empty text would have no token")
    func unframed() throws {
        let bare = ByteEncoderFolder.tokenizer(isDecoder: true).object?.filter { $0.key != "post_processor" }
        let folder = try ByteEncoderFolder(
            ByteEncoderFolder.qwen,
            files: ByteEncoderFolder.lastToken.merging(["tokenizer.json": .object(bare ?? [:])]) { $1 })
        defer { folder.remove() }
        let error = #expect(throws: CheckpointError.self) { try TextEncoder(folder: folder.url) }
        #expect("\(try #require(error))".contains("post-processor"))
    }

    @Test("a decoder is no re-ranker")
    func ranking() throws {
        let folder = try ByteEncoderFolder(ByteEncoderFolder.qwen, files: ByteEncoderFolder.lastToken)
        defer { folder.remove() }
        let error = #expect(throws: CheckpointError.self) { try PairScorer(folder: folder.url) }
        #expect("\(try #require(error))".contains("re-ranker"))
    }
}
