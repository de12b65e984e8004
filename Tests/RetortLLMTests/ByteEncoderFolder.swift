import Foundation
import RetortCore
import RetortTensor

@testable import RetortLLM

/// A tiny encoder with a tokenizer by bytes in a folder of its own: ModernBERT or Qwen3. Its weights follow the formula of
/// `EncoderFolder`, with which the golden numbers of the tests were computed in transformers 5.24.
struct ByteEncoderFolder {
    let url: URL

    static let modern: [String: JSONValue] = [
        "model_type": "modernbert", "vocab_size": 12, "hidden_size": 16, "intermediate_size": 24,
        "num_hidden_layers": 4, "num_attention_heads": 2, "max_position_embeddings": 64, "local_attention": 4,
        "layer_types": ["full_attention", "sliding_attention", "sliding_attention", "full_attention"],
        "rope_parameters": [
            "full_attention": ["rope_type": "default", "rope_theta": 160000.0],
            "sliding_attention": ["rope_type": "default", "rope_theta": 10000.0],
        ],
    ]
    static let qwen: [String: JSONValue] = [
        "architectures": ["Qwen3Model"], "model_type": "qwen3", "vocab_size": 12, "hidden_size": 16,
        "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "head_dim": 8, "max_position_embeddings": 64, "rms_norm_eps": 1e-6, "tie_word_embeddings": false,
        "rope_parameters": ["rope_type": "default", "rope_theta": 10000.0],
    ]
    /// The files of sentence-transformers as Qwen3-Embedding has them.
    static let lastToken: [String: JSONValue] = [
        "modules.json": EncoderFolder.modules("Transformer", "Pooling", "Normalize"),
        "1_Pooling/config.json": [
            "word_embedding_dimension": 16, "pooling_mode_lasttoken": true, "pooling_mode_mean_tokens": false,
            "include_prompt": true,
        ],
    ]

    /// - Parameter prefix: what goes before the names of the network's tensors.
    init(
        _ config: [String: JSONValue], with settings: [String: JSONValue] = [:], without: [String] = [],
        prefix: String = "", more shapes: [String: [Int]] = [:], files: [String: JSONValue] = [:]
    ) throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent("retort-encoder-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        let config = config.filter { !without.contains($0.key) }.merging(settings) { $1 }
        try write("config.json", .object(config))
        let isDecoder = config["model_type"] == "qwen3"
        try write("tokenizer.json", Self.tokenizer(isDecoder: isDecoder))
        for (name, value) in files { try write(name, value) }
        let own = isDecoder ? Self.decoderShapes : Self.modernShapes(config)
        try writeWeights(Dictionary(uniqueKeysWithValues: own.map { (prefix + $0, $1) }).merging(shapes) { $1 })
    }

    func remove() { try? FileManager.default.removeItem(at: url) }

    private func write(_ name: String, _ value: JSONValue) throws {
        let file = url.appendingPathComponent(name)
        try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(value.jsonText.utf8).write(to: file)
    }

    /// Letters, `ab` and ` ab`, between `[CLS]` and `[SEP]` or before an end of text.
    static func tokenizer(isDecoder: Bool) -> JSONValue {
        let special =
            isDecoder
            ? ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<a>", "<b>"]
            : ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        let words = special + ["a", "b", "c", "Ġ", "ab", "Ġab", "."]
        let (opening, closing) = isDecoder ? ([], [0]) : ([2], [3])
        func token(_ id: Int) -> JSONValue { ["SpecialToken": ["id": .string(words[id]), "type_id": 0]] }
        func text(_ name: String) -> JSONValue { ["Sequence": ["id": .string(name), "type_id": 0]] }
        let (before, behind) = (opening.map(token), closing.map(token))
        let framed = (opening + closing).map { id in
            (words[id], ["id": .string(words[id]), "ids": [.integer(id)], "tokens": [.string(words[id])]] as JSONValue)
        }
        return [
            "added_tokens": .array(
                special.indices.map { ["id": .integer($0), "content": .string(words[$0]), "special": true] }),
            "normalizer": ["type": "NFC"],
            "pre_tokenizer": ["type": "ByteLevel", "add_prefix_space": false, "use_regex": true],
            "post_processor": [
                "type": "Sequence",
                "processors": [
                    ["type": "ByteLevel", "trim_offsets": false],
                    [
                        "type": "TemplateProcessing", "single": .array(before + [text("A")] + behind),
                        "pair": .array(before + [text("A")] + behind + [text("B")] + behind),
                        "special_tokens": .object(Dictionary(uniqueKeysWithValues: framed)),
                    ],
                ],
            ],
            "model": [
                "type": "BPE", "merges": ["a b", "Ġ ab"],
                "vocab": .object(
                    Dictionary(uniqueKeysWithValues: words.enumerated().map { ($1, JSONValue.integer($0)) })),
            ],
        ]
    }

    private static func modernShapes(_ config: [String: JSONValue]) -> [String: [Int]] {
        var shapes: [String: [Int]] = ["embeddings.tok_embeddings.weight": [12, 16]]
        for layer in 0..<4 {
            shapes["layers.\(layer).attn.Wqkv.weight"] = [48, 16]
            shapes["layers.\(layer).attn.Wo.weight"] = [16, 16]
            shapes["layers.\(layer).mlp.Wi.weight"] = [48, 16]
            shapes["layers.\(layer).mlp.Wo.weight"] = [16, 24]
            shapes["layers.\(layer).mlp_norm.weight"] = [16]
            if layer > 0 { shapes["layers.\(layer).attn_norm.weight"] = [16] }
        }
        shapes["embeddings.norm.weight"] = [16]
        shapes["final_norm.weight"] = [16]
        let biased = [("norm_bias", "norm"), ("attention_bias", "attn."), ("mlp_bias", ".mlp.")]
        for (setting, part) in biased where config[setting] == true {
            for (name, shape) in shapes where name.contains(part) && name.hasSuffix(".weight") {
                shapes[name.dropLast("weight".count) + "bias"] = [shape[0]]
            }
        }
        return shapes
    }

    private static var decoderShapes: [String: [Int]] {
        var shapes: [String: [Int]] = ["embed_tokens.weight": [12, 16], "norm.weight": [16]]
        for layer in 0..<2 {
            let name = "layers.\(layer)"
            for (part, shape) in [
                ("self_attn.q_proj", [32, 16]), ("self_attn.k_proj", [16, 16]), ("self_attn.v_proj", [16, 16]),
                ("self_attn.o_proj", [16, 32]), ("self_attn.q_norm", [8]), ("self_attn.k_norm", [8]),
                ("mlp.gate_proj", [24, 16]), ("mlp.up_proj", [24, 16]), ("mlp.down_proj", [16, 24]),
                ("input_layernorm", [16]), ("post_attention_layernorm", [16]),
            ] { shapes["\(name).\(part).weight"] = shape }
        }
        return shapes
    }

    private func writeWeights(_ shapes: [String: [Int]]) throws {
        let tensors = try shapes.sorted { $0.key < $1.key }.enumerated().map { place, entry in
            let more = entry.key.hasSuffix("norm.weight") ? 1.0 : 0
            let elements = (0..<entry.value.reduce(1, *)).map {
                Float(sin(1.7 * Double($0) + Double(place)) * 0.8 + more)
            }
            return (name: entry.key, tensor: try Tensor(elements, shape: entry.value))
        }
        try SafetensorsFile.write(tensors, to: url.appendingPathComponent("model.safetensors"))
    }
}
