import Foundation
import RetortCore
import RetortLLM
import RetortTensor
import Testing

/// What stands in the files; that llama.cpp answers from them as Retort does is shown by `Tools/parity_gguf.py`.
@Suite("Files for llama.cpp")
struct GGUFTests {
    /// A checkpoint of a family in a folder, random.
    private func checkpoint(_ family: Family, _ folder: URL) throws -> (Checkpoint, DecoderNetwork) {
        let network = try family.write(to: folder)
        return (try Checkpoint(folder: folder), network)
    }

    private func export(
        _ family: Family, name: String = "m", _ precision: GGUFExport.Precision = .f32
    ) throws -> (file: GGUFFile, network: DecoderNetwork, remarks: [String]) {
        let folder = try ScratchFolder()
        let (checkpoint, network) = try checkpoint(family, folder.url)
        let file = folder.url.appendingPathComponent("m.gguf")
        let remarks = try GGUFExport.write(network, of: checkpoint, name: name, precision: precision, to: file)
        return (try GGUFFile(file), network, remarks)
    }

    private static let plain = [
        "attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down",
    ]
    private static let layers: [String: [String]] = [
        "qwen2": plain, "llama": plain, "qwen3": plain + ["attn_q_norm", "attn_k_norm"],
        "gemma2": plain + ["post_attention_norm", "post_ffw_norm"],
        "gemma3": plain + ["post_attention_norm", "post_ffw_norm", "attn_q_norm", "attn_k_norm"],
        "smollm3": plain, "granite": plain,
        "olmo2": plain.filter { !["attn_norm", "ffn_norm"].contains($0) }
            + ["post_attention_norm", "post_ffw_norm", "attn_q_norm", "attn_k_norm"],
        "phi3": ["attn_norm", "attn_qkv", "attn_output", "ffn_norm", "ffn_up", "ffn_down"],
    ]

    @Test("every family has llama.cpp's names, with every tensor in its shape", arguments: Family.exportable)
    func names(family: Family) throws {
        let (file, network, _) = try export(family)
        let architecture = try #require(file.keys["general.architecture"]?.string)
        let parts = try #require(Self.layers[architecture])
        let weights = file.tensors.filter { $0.key.hasSuffix(".weight") && $0.key.hasPrefix("blk.1.") }.keys
        #expect(Set(weights) == Set(parts.map { "blk.1.\($0).weight" }))
        #expect(file.tensors["token_embd.weight"]?.shape == [3072, 32])
        #expect(file.tensors.filter { !$0.key.hasPrefix("rope") }.count == network.parameters.count)
        // Nothing is reshaped: as many tensors of each shape as the checkpoint has.
        let shapes = file.tensors.filter { !$0.key.hasPrefix("rope") }.values.map { "\($0.shape)" }
        #expect(shapes.sorted() == network.parameters.map { "\($0.tensor.shape)" }.sorted())
        #expect(file.keys["\(architecture).block_count"] == 4)
        #expect(file.keys["tokenizer.ggml.model"] == "gpt2")
    }

    @Test(
        "matrices are stored in the precision that is asked for, norms in float32",
        arguments: [(GGUFExport.Precision.f32, 0), (.f16, 1), (.bf16, 30), (.q8_0, 8)]
            as [(GGUFExport.Precision, UInt32)])
    func precision(precision: GGUFExport.Precision, storage: UInt32) throws {
        let (file, _, _) = try export(Family.all[0], precision)
        #expect(file.tensors["blk.0.attn_q.weight"]?.storage == storage)
        #expect(file.tensors["blk.0.attn_norm.weight"]?.storage == 0)
        // Rows of 48 are no whole number of blocks.
        #expect(file.tensors["blk.0.ffn_down.weight"]?.storage == (precision == .q8_0 ? 1 : storage))
    }

    @Test(
        "a family whose files are not written is refused by name, and nothing is written",
        arguments: Family.all.filter { !$0.isKnownToGGUF })
    func unknown(family: Family) throws {
        let error = #expect(throws: CheckpointError.self) { try export(family) }
        let name = try #require(family.fields["model_type"]?.string)
        #expect("\(try #require(error))".contains("GGUF export of \(name)"))
    }

    @Test("Gemma's norms, kept as their difference from one, are stored whole", arguments: Family.exportable)
    func norms(family: Family) throws {
        let (file, _, _) = try export(family)
        let isGemma = family.testDescription.hasPrefix("Gemma")
        for name in ["blk.0.attn_norm.weight", "output_norm.weight"] where file.tensors[name] != nil {
            #expect(file.floats(name)?.allSatisfy { $0 == (isGemma ? 2 : 1) } == true)
        }
    }

    @Test("Llama's queries and keys have the two halves of a head in turns, other families' as they were")
    func rotation() throws {
        for (family, isTurned) in [(Family.all[2], true), (Family.all[0], false)] {
            let (file, network, _) = try export(family)
            for (part, kind) in [("q_proj", "attn_q"), ("k_proj", "attn_k"), ("v_proj", "attn_v")] {
                let key = "model.layers.2.self_attn.\(part).weight"
                let rows = try #require(network.parameters.first { $0.name == key }).tensor.floats().chunks(of: 32)
                let found = try #require(file.floats("blk.2.\(kind).weight")).chunks(of: 32)
                guard isTurned, part != "v_proj" else {
                    #expect(found == rows)
                    continue
                }
                // Heads are 8 wide.
                for (index, row) in found.enumerated() {
                    #expect(row == rows[index / 8 * 8 + index % 2 * 4 + index % 8 / 2])
                }
            }
        }
    }

    @Test("what scales and caps scores, and which layers have windows, is in the keys")
    func gemma() throws {
        let (second, network, _) = try export(
            Family(
                "Gemma 2",
                [
                    "model_type": "gemma2", "head_dim": 16, "sliding_window": 8, "query_pre_attn_scalar": 64,
                    "final_logit_softcapping": 20,
                ]))
        #expect(second.keys["gemma2.attn_logit_softcapping"] == 50.0)
        #expect(second.keys["gemma2.final_logit_softcapping"] == 20.0)
        #expect(second.keys["gemma2.attention.sliding_window"] == 8)
        #expect(second.keys["gemma2.attention.sliding_window_pattern"] == [true, false, true, false])
        // llama.cpp divides by 4, the root of the width; the checkpoint by 8.
        let key = "model.layers.0.self_attn.q_proj.weight"
        let queries = try #require(network.parameters.first { $0.name == key }).tensor.floats()
        #expect(second.floats("blk.0.attn_q.weight") == queries.map { $0 / 2 })
        let (third, _, _) = try export(
            Family(
                "Gemma 3",
                [
                    "model_type": "gemma3_text", "head_dim": 16, "sliding_window": 8, "query_pre_attn_scalar": 64,
                    "layer_types": ["full_attention", "sliding_attention", "full_attention", "full_attention"],
                    "rope_scaling": ["rope_type": "linear", "factor": 8],
                ]))
        #expect(third.keys["gemma3.attention.sliding_window_pattern"] == [false, true, false, false])
        #expect(third.keys["gemma3.rope.freq_base"] == 1_000_000.0)
        #expect(third.keys["gemma3.rope.freq_base_swa"] == 10_000.0)
        #expect(third.keys["gemma3.rope.scaling.factor"] == 8.0)
        #expect(third.keys["gemma3.attn_logit_softcapping"] == nil)
        // A norm behind the projection would undo a factor there.
        #expect(third.floats("blk.0.attn_q_norm.weight")?.allSatisfy { $0 == 1 } == true)
        #expect(third.floats("blk.0.attn_k_norm.weight")?.allSatisfy { $0 == 2 } == true)
    }

    @Test("positions are stretched by what the family stretches them with")
    func positions() throws {
        let (llama, _, _) = try export(try #require(Family.all.first { $0.testDescription == "Llama 3.1" }))
        #expect(llama.tensors["rope_freqs.weight"]?.shape == [4])
        #expect(llama.floats("rope_freqs.weight")?.last == 8)
        let (phi, _, remarks) = try export(
            Family(
                "Phi-4-mini",
                [
                    "model_type": "phi3", "partial_rotary_factor": 0.5, "max_position_embeddings": 4096,
                    "original_max_position_embeddings": 64, "sliding_window": 1024,
                    "rope_scaling": ["type": "longrope", "short_factor": [1, 1.5], "long_factor": [4, 5]],
                ]))
        #expect(phi.floats("rope_factors_short.weight") == [1, 1.5])
        #expect(phi.floats("rope_factors_long.weight") == [4, 5])
        #expect(phi.keys["phi3.rope.dimension_count"] == 4)
        #expect(phi.keys["phi3.rope.scaling.original_context_length"] == 64)
        let factor = try #require(phi.keys["phi3.rope.scaling.attn_factor"]?.number)
        #expect(abs(factor - 2.0.squareRoot()) < 1e-6)
        // llama.cpp has no window here, so the file goes no further than one.
        #expect(phi.keys["phi3.context_length"] == 1024)
        #expect(phi.keys["phi3.attention.sliding_window"] == nil)
        #expect(remarks.count == 2)
    }

    @Test(
        "what llama.cpp does not compute is refused by name, and nothing is written",
        arguments: [
            (["model_type": "qwen3", "attention_bias": true], "qwen3 with a bias on the attention's output"),
            (["model_type": "qwen2", "head_dim": 16], "widths do not add up"),
            (
                ["model_type": "qwen2", "use_sliding_window": true, "sliding_window": 8, "max_window_layers": 1],
                "a sliding window"
            ),
            (["model_type": "llama", "rope_scaling": ["type": "yarn", "factor": 4]], "stretched by YaRN"),
            (["model_type": "gemma2", "tie_word_embeddings": false], "a head that is not the embedding"),
            (["model_type": "gemma2", "attn_logit_softcapping": .null], "that are not capped"),
            (["model_type": "gemma3_text", "final_logit_softcapping": 30], "that are capped"),
            (
                [
                    "model_type": "qwen3",
                    "rope_scaling": [
                        "rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4,
                        "original_max_position_embeddings": 32,
                    ],
                ], "as Llama 3.1's"
            ),
            (
                [
                    "model_type": "gemma3_text",
                    "rope_parameters": [
                        "full_attention": ["rope_theta": 1_000_000],
                        "sliding_attention": ["rope_theta": 10_000, "rope_type": "linear", "factor": 2],
                    ],
                ], "otherwise in layers with a window"
            ),
        ] as [([String: JSONValue], String)])
    func refused(own: [String: JSONValue], message: String) throws {
        let folder = try ScratchFolder()
        let (checkpoint, network) = try checkpoint(Family("", own), folder.url)
        let file = folder.url.appendingPathComponent("m.gguf")
        let error = #expect(throws: CheckpointError.self) {
            try GGUFExport.write(network, of: checkpoint, name: "m", precision: .f16, to: file)
        }
        #expect("\(try #require(error))".contains(message))
        #expect(!FileManager.default.fileExists(atPath: file.path))
    }

    @Test(
        "a byte-level tokenizer that llama.cpp cannot be told is refused by name",
        arguments: [
            ("\"ignore_merges\": false", "\"ignore_merges\": true", nil),
            ("\\\\p{N}{1,3}", "\\\\p{N}", nil), ("\\\\p{N}{1,3}", "\\\\p{N}{1,4}", "split pattern"),
            ("\"add_prefix_space\": false", "\"add_prefix_space\": true", "unless it has one"),
            ("\"use_regex\": false", "\"use_regex\": true", "split twice"),
            ("\"normalizer\": null", "\"normalizer\": {\"type\": \"NFKC\"}", "the normalizer 'NFKC'"),
            ("\"normalizer\": null", "\"normalizer\": {\"type\": \"NFC\"}", nil),
        ] as [(String, String, String?)])
    func byteLevel(text: String, replacement: String, message: String?) throws {
        let folder = try ScratchFolder()
        let (_, network) = try checkpoint(Family.all[0], folder.url)
        let definition = folder.url.appendingPathComponent("tokenizer.json")
        let original = try String(contentsOf: definition, encoding: .utf8)
        #expect(original.contains(text))
        try Data(original.replacingOccurrences(of: text, with: replacement).utf8).write(to: definition)
        let checkpoint = try Checkpoint(folder: folder.url)
        let file = folder.url.appendingPathComponent("m.gguf")
        let export = { try GGUFExport.write(network, of: checkpoint, name: "m", precision: .f16, to: file) }
        guard let message else {
            #expect(try export().count == (replacement.contains("NFC") ? 1 : 0))
            return
        }
        let error = #expect(throws: CheckpointError.self) { try export() }
        #expect("\(try #require(error))".contains(message))
    }

    @Test("a name by which llama.cpp would take the model for a Phi-3 is altered where it is none")
    func name() throws {
        #expect(try export(Family.all[0], name: "my-phi-3-killer").file.keys["general.name"] == "my-Phi 3-killer")
        #expect(try export(Family.all[0], name: "agent").file.keys["general.name"] == "agent")
    }
}

extension Array {
    fileprivate func chunks(of size: Int) -> [[Element]] {
        stride(from: 0, to: count, by: size).map { Array(self[$0..<$0 + size]) }
    }
}

extension Family {
    /// Those that llama.cpp computes.
    static let exportable = all.filter {
        $0.isKnownToGGUF && !["Qwen2 with windows", "Llama stretched by YaRN"].contains($0.testDescription)
    }
}
