import Foundation
import RetortCore
import Testing

@testable import RetortLLM

private let eras: [(name: String, config: JSONValue)] = {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Configurations/eras.jsonl")
    let lines = (try? String(contentsOf: file, encoding: .utf8))?.split(separator: "\n") ?? []
    return lines.compactMap { line in
        guard let era = try? ExactJSON.value(of: String(line)), let config = era["config"] else { return nil }
        return ("\(era["family"]?.string ?? "") of \(era["transformers"]?.string ?? "")", config)
    }
}()

/// `config.json` as several years of transformers write it.
@Suite("Configurations of all eras")
struct ConfigurationEraTests {
    private func read(_ config: JSONValue) throws -> DecoderConfiguration {
        let folder = try ScratchFolder()
        let file = folder.url.appendingPathComponent("config.json")
        try Data(ExactJSON.text(config).utf8).write(to: file)
        return try DecoderConfiguration(configFile: file)
    }

    @Test("every key that transformers 4.40 to 5.24 writes is known", arguments: eras.map(\.name))
    func known(name: String) throws {
        let era = try #require(eras.first { $0.name == name })
        let shape = try read(era.config)
        #expect(shape.layerCount == 4 && shape.keyValueHeadCount == 2 && shape.hiddenSize == 64)
    }

    @Test("what is sent to other processes arrives as it was", arguments: eras.map(\.name))
    func sent(name: String) throws {
        let era = try #require(eras.first { $0.name == name })
        var shape = try read(era.config)
        var sent = try JSONDecoder().decode(DecoderConfiguration.self, from: JSONEncoder().encode(shape))
        // Where a file says 1e4, an integer comes back: the same to whoever reads it.
        #expect(sent.fields.keys == shape.fields.keys)
        (sent.fields, shape.fields) = ([:], [:])
        #expect(sent == shape)
    }

    @Test("the file holds all families in every era that has them")
    func complete() { #expect(eras.count == 35) }

    /// Keys of published models that transformers does not write itself.
    private static let publishedKeys: [String: JSONValue] = [
        "_name_or_path": "meta/llama", "_attn_implementation_autoset": true, "unsloth_version": "2025.1.5",
        "unsloth_fixed": true, "model_max_length": 2048, "max_sequence_length": 2048, "use_flash_attention": true,
        "neftune_noise_alpha": 5, "pretraining_tp": 1, "trust_remote_code": false, "is_llama_config": true,
        "rope_interleaved": false, "use_mrope": false, "tokenizer_padding_side": "right", "temperature": 0.6,
        "transformers.js_config": ["kv_cache_dtype": ["q4f16": "float16"]], "auto_map": ["AutoConfig": "x.Y"],
        "_model_name_or_path": "here", "quantization_config": .null, "head_dim": .null, "attn_logit_softcapping": .null,
        "_pre_quantization_dtype": "bfloat16", "license": "apache-2.0", "cache_implementation": "hybrid",
    ]

    @Test("keys of published models are known, too", arguments: publishedKeys.keys.sorted())
    func published(key: String) throws {
        for era in eras where era.name.hasPrefix("llama of") || era.name.hasPrefix("qwen2 of") {
            var config = try #require(era.config.object)
            config[key] = Self.publishedKeys[key]
            #expect(throws: Never.self, "\(era.name)") { try read(.object(config)) }
        }
    }

    @Test(
        "what would be computed otherwise is refused by its name",
        arguments: [
            ("dual_chunk_attention_config", ["chunk_size": 262144]), ("num_experts", 8), ("use_mrope", true),
            ("no_rope_layers", [1]), ("rope_interleaved", true), ("sliding_window_pattern", 6), ("model_type", true),
            ("attention_chunk_size", 8192), ("layer_norm_eps", 1e-5), ("alibi", true),
        ] as [(String, JSONValue)])
    func refused(key: String, value: JSONValue) throws {
        let era = try #require(eras.first { $0.name == "llama of 5.24.0" })
        var config = try #require(era.config.object)
        config[key] = value
        let error = #expect(throws: CheckpointError.self) { try read(.object(config)) }
        #expect(error.map { "\($0)".contains(key) } == true)
    }
}
