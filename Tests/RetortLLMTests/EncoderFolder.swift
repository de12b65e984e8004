import Foundation
import RetortCore
import RetortTensor

@testable import RetortLLM

/// A tiny encoder in a folder of its own, its weights by a formula that the golden numbers of the tests were computed with, too, in
/// transformers: element `i` of the `k`-th tensor by name is 0.8 · sin(1.7 · i + k), and norms' scales are one more.
struct EncoderFolder {
    let url: URL

    static let shape: [String: JSONValue] = [
        "vocab_size": 12, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
        "max_position_embeddings": 16, "hidden_act": "gelu", "layer_norm_eps": 1e-12,
    ]

    init(
        _ type: String, _ settings: [String: JSONValue] = [:], classifies: Bool = false,
        files: [String: JSONValue] = [:]
    ) throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent("retort-encoder-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        var config = Self.shape.merging(["model_type": .string(type), "type_vocab_size": type == "bert" ? 2 : 1]) { $1 }
        config.merge(settings) { $1 }
        try write("config.json", .object(config))
        let words = [
            "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "five", "six", "seven", "eight", "##s", "nine", "ten",
        ]
        let vocabulary = Dictionary(uniqueKeysWithValues: words.enumerated().map { ($1, JSONValue.integer($0)) })
        let special: JSONValue = .object(
            Dictionary(
                uniqueKeysWithValues: [("[CLS]", 2), ("[SEP]", 3)].map { name, id in
                    (name, ["id": .string(name), "ids": [.integer(id)], "tokens": [.string(name)]])
                }))
        func token(_ name: String) -> JSONValue { ["SpecialToken": ["id": .string(name), "type_id": 0]] }
        func text(_ name: String, _ type: Int) -> JSONValue {
            ["Sequence": ["id": .string(name), "type_id": .integer(type)]]
        }
        try write(
            "tokenizer.json",
            [
                "added_tokens": .array(
                    (0..<5).map { ["id": .integer($0), "content": .string(words[$0]), "special": true] }),
                "normalizer": ["type": "BertNormalizer", "lowercase": true],
                "pre_tokenizer": ["type": "BertPreTokenizer"],
                "post_processor": [
                    "type": "TemplateProcessing", "special_tokens": special,
                    "single": [token("[CLS]"), text("A", 0), token("[SEP]")],
                    "pair": [token("[CLS]"), text("A", 0), token("[SEP]"), text("B", 1), token("[SEP]")],
                ],
                "model": ["type": "WordPiece", "unk_token": "[UNK]", "vocab": .object(vocabulary)],
            ])
        for (name, value) in files { try write(name, value) }
        try writeWeights(type == "bert" ? 2 : 1, classifies: classifies)
    }

    func write(_ name: String, _ value: JSONValue) throws {
        let file = url.appendingPathComponent(name)
        try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(value.jsonText.utf8).write(to: file)
    }

    private func writeWeights(_ types: Int, classifies: Bool) throws {
        var shapes: [String: [Int]] = [
            "embeddings.word_embeddings.weight": [12, 16], "embeddings.position_embeddings.weight": [16, 16],
            "embeddings.token_type_embeddings.weight": [types, 16], "embeddings.LayerNorm.weight": [16],
            "embeddings.LayerNorm.bias": [16],
        ]
        for layer in 0..<2 {
            let name = "encoder.layer.\(layer)"
            for part in [
                "attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
            ] {
                shapes["\(name).\(part).weight"] = [16, 16]
                shapes["\(name).\(part).bias"] = [16]
            }
            for part in ["attention.output.LayerNorm", "output.LayerNorm"] {
                shapes["\(name).\(part).weight"] = [16]
                shapes["\(name).\(part).bias"] = [16]
            }
            shapes["\(name).intermediate.dense.weight"] = [24, 16]
            shapes["\(name).intermediate.dense.bias"] = [24]
            shapes["\(name).output.dense.weight"] = [16, 24]
            shapes["\(name).output.dense.bias"] = [16]
        }
        if classifies {
            shapes = Dictionary(uniqueKeysWithValues: shapes.map { ("bert.\($0)", $1) })
            shapes["bert.pooler.dense.weight"] = [16, 16]
            shapes["bert.pooler.dense.bias"] = [16]
            shapes["classifier.weight"] = [1, 16]
            shapes["classifier.bias"] = [1]
        }
        let tensors = try shapes.keys.sorted().enumerated().map { place, name in
            let shape = shapes[name] ?? []
            let more = name.hasSuffix("LayerNorm.weight") ? 1.0 : 0
            let elements = (0..<shape.reduce(1, *)).map { Float(sin(1.7 * Double($0) + Double(place)) * 0.8 + more) }
            return (name: name, tensor: try Tensor(elements, shape: shape))
        }
        try SafetensorsFile.write(tensors, to: url.appendingPathComponent("model.safetensors"))
    }

    func remove() { try? FileManager.default.removeItem(at: url) }

    static func modules(_ types: String...) -> JSONValue {
        .array(
            types.enumerated().map { index, type in
                [
                    "idx": .integer(index), "name": .string("\(index)"),
                    "path": .string(index == 0 ? "" : "\(index)_\(type)"),
                    "type": .string("sentence_transformers.models.\(type)"),
                ]
            })
    }
}
