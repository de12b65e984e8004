import Foundation
import RetortCore
import RetortTensor
import Testing

@testable import RetortLLM

@Suite("Encoders")
struct EncoderTests {
    private static let mean: [Float] = [
        0.046788, -0.016829, -1.180515, 2.720371, -0.500715, -0.360169, -0.973737, 1.957517, -0.399331, -0.38375,
        -2.054772,
        2.513152, -0.465323, -0.199358, -1.61904, 2.258977,
    ]
    private static let max: [Float] = [
        0.053074, -0.016167, -1.179411, 2.733234, -0.497382, -0.359258, -0.968604, 1.962109, -0.397753, -0.382674,
        -2.051751,
        2.514499, -0.464335, -0.193558, -1.611501, 2.261863,
    ]
    private static let cls: [Float] = [
        0.054007, -0.018719, -1.165455, 2.723776, -0.501578, -0.359767, -0.965709, 1.943534, -0.398668, -0.387398,
        -2.061793,
        2.517007, -0.468199, -0.199354, -1.626351, 2.264458,
    ]

    private func distance(_ a: [Float], _ b: [Float]) -> Float {
        a.count == b.count ? zip(a, b).map { abs($0 - $1) }.max() ?? 0 : .infinity
    }

    private func embed(
        _ folder: EncoderFolder, _ texts: [String], prompt: String = ""
    ) async throws -> [Float] {
        try await TextEncoder(folder: folder.url, weights: .float32).embed(texts, prompt: prompt)
    }

    @Test("a folder without sentence-transformers' files gives the mean of the states that transformers computes")
    func mean() async throws {
        let folder = try EncoderFolder("bert")
        defer { folder.remove() }
        #expect(try await distance(embed(folder, ["five six seven"]), Self.mean) < 1e-5)
    }

    @Test("several ways of pooling stand one behind the other, in the old and in the new way of naming them")
    func pooling() async throws {
        for pooling in [
            ["pooling_mode": ["max", "mean"], "embedding_dimension": 16],
            [
                "pooling_mode_max_tokens": true, "pooling_mode_mean_tokens": true, "pooling_mode_cls_token": false,
                "word_embedding_dimension": 16,
            ],
        ] as [JSONValue] {
            let folder = try EncoderFolder(
                "bert",
                files: [
                    "modules.json": EncoderFolder.modules("Transformer", "Pooling"), "1_Pooling/config.json": pooling,
                ])
            defer { folder.remove() }
            let (one, other) = (try await embed(folder, ["Five, six"]), try await embed(folder, ["five , SIX"]))
            #expect(distance(one, other) < 1e-6)
            #expect(try await distance(embed(folder, ["five six seven"]), Self.max + Self.mean) < 1e-5)
        }
    }

    @Test("RoBERTa's positions begin behind the padding token's number")
    func roberta() async throws {
        let folder = try EncoderFolder(
            "roberta",
            [
                "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "output_past": true,
                "classifier_dropout": .null,
                "position_embedding_type": "absolute", "use_cache": true, "dtype": "float32", "is_decoder": false,
            ],
            files: [
                "modules.json": EncoderFolder.modules("Transformer", "Pooling"),
                "1_Pooling/config.json": ["pooling_mode": "cls"],
            ])
        defer { folder.remove() }
        #expect(try await distance(embed(folder, ["five six seven"]), Self.cls) < 1e-5)
        #expect(try await TextEncoder(folder: folder.url, weights: .float32).longest == 14)
    }

    @Test("a text's vector does not depend on what comes with it, and is of length one where the folder says so")
    func together() async throws {
        let folder = try EncoderFolder(
            "bert",
            files: [
                "modules.json": EncoderFolder.modules("Transformer", "Pooling", "Normalize"),
                "1_Pooling/config.json": ["pooling_mode": "mean"],
            ])
        defer { folder.remove() }
        let texts = ["five", "six seven", "", "eights nine ten five", "ten", "seven six"]
        let all = try await embed(folder, texts)
        for (row, text) in texts.enumerated() {
            let own = Array(all[row * 16..<(row + 1) * 16])
            #expect(try await distance(own, embed(folder, [text])) < 1e-5)
            #expect(abs(own.reduce(0) { $0 + $1 * $1 } - 1) < 1e-5)
        }
    }

    @Test("long texts are cut at the length that the files say, and prompts go before")
    func cut() async throws {
        let folder = try EncoderFolder(
            "bert",
            files: [
                "sentence_bert_config.json": ["max_seq_length": 5, "do_lower_case": false],
                "config_sentence_transformers.json": [
                    "prompts": ["query": "five ", "document": "six "], "similarity_fn_name": "cosine",
                ],
            ])
        defer { folder.remove() }
        #expect(try await distance(embed(folder, ["five six seven eight nine ten"]), Self.mean) < 1e-5)
        let encoder = try TextEncoder(folder: folder.url, weights: .float32)
        #expect(encoder.prompt(.query) == "five " && encoder.prompt(.passage) == "six ")
        #expect(try await distance(embed(folder, ["six seven"], prompt: encoder.prompt(.query)), Self.mean) < 1e-5)
    }

    @Test("a cross-encoder's score of a pair is that of transformers, and the longer half is cut first")
    func ranking() async throws {
        let folder = try EncoderFolder("bert", ["num_labels": 1], classifies: true)
        defer { folder.remove() }
        let scorer = try PairScorer(folder: folder.url, weights: .float32)
        let scores = try await scorer.scores("five", ["six seven", "ten", "six seven"])
        #expect(abs(scores[0] - 1.0279865) < 1e-5 && scores[0] == scores[2] && scores[1] != scores[0])
        #expect(EncoderTokenizer.longestFirst(3, 20, room: 10) == (3, 7))
        #expect(EncoderTokenizer.longestFirst(20, 4, room: 10) == (6, 4))
        #expect(EncoderTokenizer.longestFirst(20, 30, room: 11) == (5, 6))
    }

    @Test(
        "what changes the result and is not done is refused by name",
        arguments: [
            ("config.json", "position_embedding_type", "relative_key"), ("config.json", "hidden_act", "mish"),
            ("config.json", "is_decoder", true), ("config.json", "novel_scaling", 2),
            ("1_Pooling/config.json", "include_prompt", false), ("1_Pooling/config.json", "pooling_mode", "median"),
            ("sentence_bert_config.json", "sliding", 3), ("config_sentence_transformers.json", "truncate_dim", 8),
            ("config_sentence_transformers.json", "similarity_fn_name", "euclidean"),
        ] as [(String, String, JSONValue)])
    func refusals(file: String, key: String, value: JSONValue) throws {
        let folder = try EncoderFolder(
            "bert", file == "config.json" ? [key: value] : [:],
            files: file == "config.json"
                ? [:]
                : [
                    "modules.json": EncoderFolder.modules("Transformer", "Pooling"),
                    "1_Pooling/config.json": ["pooling_mode": "mean"],
                ].merging([file: .object([key: value])]) { $1 })
        defer { folder.remove() }
        let error = #expect(throws: CheckpointError.self) { try TextEncoder(folder: folder.url) }
        let words = "\(try #require(error))"
        #expect(words.contains("'\(key)'") || words.contains(value.string ?? "-"))
    }

    private func withDense(_ settings: [String: JSONValue], _ tensors: [(String, [Float], [Int])]) throws
        -> EncoderFolder
    {
        let config: [String: JSONValue] = ["in_features": 16, "out_features": 2]
        let folder = try EncoderFolder(
            "bert",
            files: [
                "modules.json": EncoderFolder.modules("Transformer", "Pooling", "Dense", "Normalize"),
                "1_Pooling/config.json": ["pooling_mode": "mean"],
                "2_Dense/config.json": .object(config.merging(settings) { $1 }),
            ])
        try SafetensorsFile.write(
            tensors.map { (name: $0.0, tensor: try Tensor($0.1, shape: $0.2)) },
            to: folder.url.appendingPathComponent("2_Dense/model.safetensors"))
        return folder
    }

    @Test("a Dense module takes the pooled vector through a layer and an activation before it is normalised")
    func dense() async throws {
        let weight = (0..<32).map { Float($0 % 5) / 10 - 0.2 }
        let bias: [Float] = [0.3, -0.1]
        let sums = (0..<2).map { row in (0..<16).reduce(bias[row]) { $0 + weight[row * 16 + $1] * Self.mean[$1] } }
        let residual = (0..<32).map { Float($0 % 3) / 7 }
        let added = (0..<2).map { row in (0..<16).reduce(Float(0)) { $0 + residual[row * 16 + $1] * Self.mean[$1] } }
        func unit(_ x: [Float]) -> [Float] {
            let length = x.reduce(0) { $0 + $1 * $1 }.squareRoot()
            return x.map { $0 / length }
        }
        let own = [("linear.weight", weight, [2, 16]), ("linear.bias", bias, [2])]
        let identity: JSONValue = "torch.nn.modules.linear.Identity"
        for (settings, tensors, expected) in [
            ([:], own, sums.map { Float(tanh(Double($0))) }), (["activation_function": identity], own, sums),
            (
                ["activation_function": identity, "bias": false], [own[0]], zip(sums, bias).map { $0 - $1 }
            ),
            (
                ["activation_function": identity, "use_residual": true],
                own + [("residual.weight", residual, [2, 16])],
                zip(sums, added).map { $0 + $1 }
            ),
        ] as [([String: JSONValue], [(String, [Float], [Int])], [Float])] {
            let folder = try withDense(settings, tensors)
            defer { folder.remove() }
            let encoder = try TextEncoder(folder: folder.url, weights: .float32)
            #expect(encoder.dimensions == 2)
            #expect(try await distance(encoder.embed(["five six seven"]), unit(expected)) < 1e-4)
        }
    }

    @Test(
        "a Dense module that does not fit, or does more, is refused by name",
        arguments: [
            ("in_features", 8, "16"), ("activation_function", "torch.nn.modules.activation.Mish", "Mish"),
            ("module_input_name", "token_embeddings", "module_input_name"), ("dropout", 0.5, "dropout"),
            ("bias", false, "linear.bias"),
        ] as [(String, JSONValue, String)])
    func denseRefusals(key: String, value: JSONValue, words: String) throws {
        let tensors = [
            ("linear.weight", [Float](repeating: 0, count: 32), [2, 16]), ("linear.bias", [0, 0], [2]),
        ]
        let folder = try withDense([key: value], tensors)
        defer { folder.remove() }
        let error = #expect(throws: CheckpointError.self) { try TextEncoder(folder: folder.url) }
        #expect("\(try #require(error))".contains(words))
    }

    @Test("a module that is not known and a decoder are no encoders")
    func strangers() throws {
        let folder = try EncoderFolder(
            "bert",
            files: [
                "modules.json": EncoderFolder.modules("Transformer", "Pooling", "Dense"),
                "1_Pooling/config.json": ["pooling_mode": "mean"],
            ])
        defer { folder.remove() }
        let error = #expect(throws: CheckpointError.self) { try TextEncoder(folder: folder.url) }
        #expect("\(try #require(error))".contains("Dense"))
        let other = try EncoderFolder("qwen2")
        defer { other.remove() }
        #expect(throws: CheckpointError.self) { try TextEncoder(folder: other.url) }
        #expect(TextEncoder.holdsEncoder(folder.url) && !TextEncoder.holdsEncoder(other.url))
    }
}
