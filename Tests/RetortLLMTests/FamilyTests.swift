import Foundation
import RetortCore
import RetortLLM
import RetortTensor
import Testing

/// A family's `config.json`, small; numbers are compared with transformers by `Tools/parity.py`.
struct Family: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let fields: JSONValue

    init(_ name: String, _ own: [String: JSONValue]) {
        testDescription = name
        let shape: [String: JSONValue] = [
            "vocab_size": 3072, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 4,
            "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128,
        ]
        fields = .object(shape.merging(own) { _, own in own })
    }

    /// Whether GGUF files of it are read and written.
    var isKnownToGGUF: Bool {
        [
            "qwen2", "qwen3", "llama", "mistral", "gemma2", "gemma3_text", "phi3", "smollm3", "olmo2", "granite",
        ].contains(fields["model_type"]?.string)
    }

    static let all = [
        Family("Qwen2", ["model_type": "qwen2", "rope_theta": 1_000_000]),
        Family(
            "Qwen2 with windows",
            ["model_type": "qwen2", "use_sliding_window": true, "sliding_window": 8, "max_window_layers": 2]),
        Family("Mistral", ["model_type": "mistral", "sliding_window": 8]),
        Family(
            "Llama stretched by YaRN",
            [
                "model_type": "llama",
                "rope_parameters": [
                    "rope_type": "yarn", "rope_theta": 10_000, "factor": 4, "original_max_position_embeddings": 32,
                ],
            ]),
        Family(
            "Llama with dynamic positions",
            ["model_type": "llama", "rope_scaling": ["type": "dynamic", "factor": 2]]),
        Family("Qwen3", ["model_type": "qwen3", "head_dim": 16, "tie_word_embeddings": true]),
        Family(
            "Llama 3.1",
            [
                "model_type": "llama",
                "rope_scaling": [
                    "rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4,
                    "original_max_position_embeddings": 32,
                ],
            ]),
        Family("Gemma 2", ["model_type": "gemma2", "head_dim": 16, "sliding_window": 8]),
        Family(
            "Gemma 3", ["model_type": "gemma3_text", "head_dim": 16, "sliding_window": 8, "sliding_window_pattern": 2]),
        Family(
            "Gemma 4",
            [
                "model_type": "gemma4_text", "intermediate_size": 64, "head_dim": 32, "global_head_dim": 64,
                "sliding_window": 8, "num_kv_shared_layers": 2, "use_double_wide_mlp": true,
                "layer_types": ["sliding_attention", "full_attention", "sliding_attention", "full_attention"],
                "hidden_size_per_layer_input": 32, "vocab_size_per_layer_input": 3072,
            ]),
        Family(
            "Gemma 4 with keys as values",
            [
                "model_type": "gemma4_text", "head_dim": 16, "global_head_dim": 32, "sliding_window": 8,
                "num_hidden_layers": 7, "attention_k_eq_v": true, "num_global_key_value_heads": 1,
                "hidden_size_per_layer_input": 0, "final_logit_softcapping": 30,
            ]),
        Family("Phi-3", ["model_type": "phi3", "sliding_window": 8]),
        Family("Phi-4-mini", ["model_type": "phi3", "partial_rotary_factor": 0.5]),
        Family(
            "Ministral 3",
            [
                "model_type": "ministral3", "head_dim": 16, "sliding_window": 12,
                "rope_parameters": [
                    "rope_type": "yarn", "rope_theta": 10_000, "factor": 4, "original_max_position_embeddings": 8,
                    "llama_4_scaling_beta": 0.4, "max_position_embeddings": 128,
                ],
            ]),
        Family("SmolLM3", ["model_type": "smollm3"]),
        Family("OLMo 2", ["model_type": "olmo2"]),
        Family(
            "OLMo 3",
            [
                "model_type": "olmo3", "sliding_window": 8,
                "rope_scaling": ["rope_type": "yarn", "factor": 4, "original_max_position_embeddings": 32],
            ]),
        Family(
            "Granite 3",
            [
                "model_type": "granite", "embedding_multiplier": 3, "logits_scaling": 2, "residual_multiplier": 0.4,
                "attention_multiplier": 0.2,
            ]),
        Family(
            "Granite 4, dense",
            [
                "model_type": "granitemoehybrid", "num_local_experts": 0, "shared_intermediate_size": 40,
                "layer_types": ["attention", "attention", "attention", "attention"], "residual_multiplier": 0.4,
                "attention_multiplier": 0.2,
            ]),
        Family(
            "LFM2",
            [
                "model_type": "lfm2", "layer_types": ["conv", "full_attention", "conv", "full_attention"],
                "block_multiple_of": 8,
            ]),
        Family(
            "Qwen3.5",
            [
                "model_type": "qwen3_5_text", "head_dim": 16, "full_attention_interval": 2, "linear_num_key_heads": 4,
                "linear_num_value_heads": 16, "linear_key_head_dim": 8, "linear_value_head_dim": 4,
            ]),
    ]

    /// Writes a checkpoint with random weights.
    func write(to folder: URL) throws -> DecoderNetwork {
        let file = folder.appendingPathComponent("config.json")
        try JSONCoding.encoder.encode(fields).write(to: file)
        let network = try DecoderNetwork(
            DecoderConfiguration(configFile: file), weights: RandomWeights(seed: 4, deviation: 0.3))
        try Checkpoint.write(
            network, dtype: .float32, tokenizerFrom: seedlings.appendingPathComponent("tokenizer"), to: folder)
        return network
    }
}

@Suite("Model families")
struct FamilyTests {
    @Test("a written folder reads back to the same network", arguments: Family.all)
    func roundTrip(family: Family) throws {
        let folder = try ScratchFolder()
        let network = try family.write(to: folder.url)
        try Checkpoint(folder: folder.url).checkWeights()
        let read = try Checkpoint(folder: folder.url).network()
        #expect(read.parameters.map(\.name) == network.parameters.map(\.name))
        let ids = [5, 900, 17, 3000, 44]
        #expect(try read.scores(ids).last?.floats() == network.scores(ids).last?.floats())
    }

    @Test("what is generated with the cache is what is computed anew for each token", arguments: Family.all)
    func cache(family: Family) async throws {
        let folder = try ScratchFolder()
        let network = try family.write(to: folder.url)
        let checkpoint = try Checkpoint(folder: folder.url)
        let messages = [Message(.user, "The birthplace of Tomei Flijizail is")]
        var ids = try checkpoint.template.render(messages, then: .generation(), with: checkpoint.tokenizer).tokens
            .map(Int.init)
        let start = ids.count
        for _ in 0..<24 {
            guard let last = try network.scores(ids).last else { break }
            let next = Int(try last.argmax(axis: -1).item())
            if checkpoint.endTokens.contains(next) { break }
            ids.append(next)
        }
        let model = try LocalModel(folder: folder.url, options: .init(weights: .float32))
        let text = try await model.complete(GenerationRequest(messages: messages, maximumTokens: 24))[0].text
        #expect(text == checkpoint.tokenizer.decode(ids[start...].map(Int32.init)))
    }

    @Test("prompts that begin alike are answered as if each were read whole", arguments: Family.all)
    func prefixes(family: Family) async throws {
        let folder = try ScratchFolder()
        _ = try family.write(to: folder.url)
        let whole = try LocalModel(folder: folder.url)
        let model = try LocalModel(folder: folder.url, options: .init(prefixTokens: 400))
        var messages = [Message(.user, "The birthplace of Tomei Flijizail is a city, and the mayor is known.")]
        for step in 0..<3 {
            let request = GenerationRequest(messages: messages, samples: step == 1 ? 3 : 1, maximumTokens: 8)
            let expected = try await whole.complete(request).map(\.text)
            #expect(try await model.complete(request).map(\.text) == expected)
            messages += [Message(.assistant, expected[0]), Message(.user, "Observation: \(step) of the two")]
        }
    }

    @Test("heads that differ by layer are read from transformers' list as from settings of their own")
    func headsByLayer() throws {
        let folder = try ScratchFolder()
        let file = folder.url.appendingPathComponent("config.json")
        func shape(_ own: [String: JSONValue]) throws -> DecoderConfiguration {
            let common: [String: JSONValue] = [
                "model_type": "gemma4_text", "head_dim": 8, "attention_k_eq_v": true,
                "layer_types": ["sliding_attention", "full_attention", "sliding_attention", "full_attention"],
            ]
            try JSONCoding.encoder.encode(Family("", common.merging(own) { $1 }).fields).write(to: file)
            return try DecoderConfiguration(configFile: file)
        }
        let stated = try shape(["global_head_dim": 32, "num_global_key_value_heads": 1])
        let own: JSONValue = ["head_dim": 32, "num_key_value_heads": 1]
        let listed = try shape(["per_layer_config": ["1": own, "3": own]])
        #expect(stated.globalHeads == HeadShape(count: 1, dimension: 32))
        #expect(listed.globalHeads == stated.globalHeads)
        #expect(listed.headDimension == 8 && listed.keyValueHeadCount == 2)
        // Without the list, global heads have transformers' width; with an empty one, all are alike.
        #expect(try shape([:]).globalHeads == HeadShape(count: 2, dimension: 512))
        #expect(try shape(["per_layer_config": [:]]).globalHeads == HeadShape(count: 2, dimension: 8))
    }

    @Test("the last layers read the keys of the last layer of their kind before them")
    func keySources() throws {
        let folder = try ScratchFolder()
        let network = try #require(Family.all.first { $0.testDescription == "Gemma 4" }).write(to: folder.url)
        #expect(network.configuration.keySources == [2: 0, 3: 1])
        #expect(network.configuration.projectionNames == network.projections.map(\.name))
        let names = network.parameters.map(\.name)
        #expect(!names.contains("model.layers.2.self_attn.k_proj.weight"))
        #expect(network.learnedParameters.count == names.count - 4)
    }

    @Test(
        "what a family does not do is refused by name",
        arguments: [
            (["model_type": "llama", "hidden_act": "relu"], "the activation 'relu'"),
            (["model_type": "gemma2", "hidden_activation": "gelu"], "the activation 'gelu'"),
            (["model_type": "llama", "rope_scaling": ["rope_type": "proportional"]], "the rope type 'proportional'"),
            (["model_type": "llama", "rope_scaling": ["rope_type": "su", "factor": 2]], "the rope type 'su'"),
            (["model_type": "llama", "rope_scaling": ["rope_type": "linear", "factor": 2, "alpha": 3]], "'alpha'"),
            (["model_type": "llama", "rope_scaling": ["rope_type": "dynamic"]], "lacks 'factor'"),
            (["model_type": "llama", "partial_rotary_factor": 0.5], "'partial_rotary_factor'"),
            (
                ["model_type": "phi3", "rope_scaling": ["type": "longrope", "short_factor": [1, 1, 1, 1]]],
                "'long_factor'"
            ),
            (
                ["model_type": "phi3", "rope_scaling": ["type": "longrope", "short_factor": [1], "long_factor": [1]]],
                "1 short and 1 long factors for 4 frequencies"
            ),
            (["model_type": "gemma2", "use_bidirectional_attention": true], "'use_bidirectional_attention'"),
            (["model_type": "gemma3_text", "use_bidirectional_attention": true], "'use_bidirectional_attention'"),
            (["model_type": "qwen2", "is_causal": false], "'is_causal'"),
            (["model_type": "llama", "attn_temperature_tuning": true], "the setting 'attn_temperature_tuning'"),
            (["model_type": "llama", "sliding_window": 8], "the setting 'sliding_window'"),
            (
                ["model_type": "llama", "attention_bias": "yes"],
                #"'attention_bias' is "yes", where true or false is expected"#
            ),
            (["model_type": "qwen2", "layer_types": ["full_attention"]], "1 layer_types for 4 layers"),
            (
                [
                    "model_type": "qwen3",
                    "layer_types": ["full_attention", "full_attention", "full_attention", "linear_attention"],
                ], "the layer type 'linear_attention'"
            ),
            (["model_type": "granitemoehybrid", "num_local_experts": 4], "a mixture of experts"),
            (["model_type": "granitemoehybrid", "num_local_experts": 0], "a state-space layer"),
            (
                [
                    "model_type": "granitemoehybrid", "num_local_experts": 0,
                    "layer_types": ["attention", "attention", "mamba", "attention"],
                ], "a state-space layer"
            ),
            (
                [
                    "architectures": ["Mistral3ForConditionalGeneration"], "model_type": "mistral3",
                    "vision_config": ["hidden_size": 8], "text_config": ["model_type": "ministral3"],
                ], "'Mistral3ForConditionalGeneration' with 'vision_config', 'text_config'"
            ),
            (["model_type": "qwen3_5_text", "linear_num_value_heads": 7], "heads of its linear attention"),
            (["model_type": "qwen3_5_text", "attn_output_gate": false], "'attn_output_gate'"),
            (["model_type": "qwen3_5_text", "num_experts": 8], "the setting 'num_experts'"),
            (["model_type": "lfm2", "conv_L_cache": 0], "'conv_L_cache' is 0"),
            (["model_type": "lfm2", "layer_types": ["conv", "conv", "conv", "mamba"]], "the layer type 'mamba'"),
            (
                ["model_type": "olmo3", "rope_scaling": ["rope_type": "yarn", "factor": 2, "truncate": false]],
                "'truncate'"
            ),
            (["model_type": "granite", "logits_scaling": 0], "'logits_scaling' is 0"),
            (["model_type": "smollm3", "no_rope_layers": [1, 0]], "'no_rope_layers'"),
            (["model_type": "smollm3", "no_rope_layer_interval": 0], "'no_rope_layer_interval'"),
            (
                ["model_type": "ministral3", "rope_parameters": ["rope_type": "yarn", "factor": 4]],
                "lacks 'llama_4_scaling_beta'"
            ),
            (["model_type": "gemma2", "sliding_window": .null], "no 'sliding_window'"),
            (["architectures": ["Qwen2ForCausalLM"], "model_type": "llama"], "with the model_type 'llama'"),
            (["model_type": "llama", "quantization_config": ["quant_method": "gptq", "bits": 4]], "gptq, 4 bits"),
            (["model_type": "llama", "quantization_config": ["quant_method": "fp8"]], "(fp8)"),
            (["model_type": "llama", "quantization_config": ["load_in_8bit": true]], "bitsandbytes, 8 bits"),
            (["model_type": "qwen3", "num_key_value_heads": 3], "head counts"),
            (["model_type": "llama", "num_hidden_layers": 1_000_000], "out of range"),
            (["model_type": "gemma3_text", "attn_logit_softcapping": 50], "'attn_logit_softcapping'"),
            (["model_type": "gemma4_text", "enable_moe_block": true], "a mixture of experts"),
            (["model_type": "gemma4_text", "use_bidirectional_attention": "all"], "'use_bidirectional_attention'"),
            (["model_type": "gemma4_text", "rope_theta": 10_000], "'rope_theta', which this family has only in"),
            (
                [
                    "model_type": "gemma4_text",
                    "rope_parameters": [
                        "full_attention": ["rope_type": "yarn", "rope_theta": 10_000, "factor": 4],
                        "sliding_attention": ["rope_theta": 10_000],
                    ],
                ], "the rope type 'yarn'"
            ),
            (
                ["model_type": "gemma4_text", "rope_parameters": ["full_attention": ["rope_theta": 10_000]]],
                "no 'rope_theta' for 'sliding_attention'"
            ),
            (["model_type": "gemma4_text", "num_kv_shared_layers": 4], "'num_kv_shared_layers' is 4 for 4 layers"),
            (["model_type": "gemma4_text", "num_kv_shared_layers": 1], "layer 3 has no earlier one of its kind"),
            (["model_type": "gemma4_text", "vocab_size_per_layer_input": 8], "8 rows of 256 for 3072 tokens"),
            (
                ["model_type": "gemma4_text", "per_layer_config": ["1": ["skip": ["mlp"]]]],
                "'skip' in 'per_layer_config'"
            ),
            (
                ["model_type": "gemma4_text", "per_layer_config": ["1": ["head_dim": 8]]],
                "different heads in layers of one kind"
            ),
            (
                [
                    "architectures": ["Gemma4ForConditionalGeneration"], "model_type": "gemma4",
                    "vision_config": ["hidden_size": 8], "audio_config": .null,
                    "text_config": ["model_type": "gemma4_text"],
                ], "'Gemma4ForConditionalGeneration' with 'vision_config', 'text_config'"
            ),
        ] as [([String: JSONValue], String)])
    func refused(own: [String: JSONValue], message: String) throws {
        let folder = try ScratchFolder()
        let file = folder.url.appendingPathComponent("config.json")
        try JSONCoding.encoder.encode(Family("", own).fields).write(to: file)
        let error = #expect(throws: CheckpointError.self) { try DecoderConfiguration(configFile: file) }
        #expect("\(try #require(error))".contains(message))
    }
}

extension DecoderNetwork {
    /// The scores at each position, without a cache.
    fileprivate func scores(_ ids: [Int]) throws -> [Tensor] {
        try withoutGradients {
            let context = PackedAttention(segments: [ids.count])
            let tokens = try Tensor(integers: ids, shape: [1, ids.count])
            let positions = try Tensor(integers: context.positions, shape: [1, ids.count])
            let all = try logits(hidden(tokens, positions: positions, context: context))
            return try ids.indices.map { try all.narrowed(1, $0..<$0 + 1).reshaped([-1]) }
        }
    }
}
