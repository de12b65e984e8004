import Foundation
import RetortCore
import RetortTensor

/// Writes a checkpoint as one GGUF file that llama.cpp and what is built on it load.
public enum GGUFExport {
    /// How matrices are stored; norms and biases are float32 in any case.
    public enum Precision: String, CaseIterable, Sendable {
        case f32, f16, bf16, q8_0

        fileprivate var storage: GGUFWriter.Storage {
            switch self {
            case .f32: .float32
            case .f16: .float16
            case .bf16: .bfloat16
            case .q8_0: .q8_0
            }
        }

        /// The element type, where it is one.
        public var dtype: DType? {
            switch self {
            case .f32: .float32
            case .f16: .float16
            case .bf16: .bfloat16
            case .q8_0: nil
            }
        }

        /// llama.cpp's number for a file whose matrices are mostly so.
        fileprivate var fileType: UInt32 {
            switch self {
            case .f32: 0
            case .f16: 1
            case .q8_0: 7
            case .bf16: 32
            }
        }
    }

    /// - Parameters:
    ///   - network: the checkpoint's network, adapters merged.
    ///   - name: what the model is called in the file.
    /// - Throws: `CheckpointError.unsupported` for a family or tokenizer that GGUF export does not know.
    public static func write(
        _ network: DecoderNetwork, of checkpoint: Checkpoint, name: String, precision: Precision, to file: URL
    ) throws {
        let shape = network.configuration
        let path = checkpoint.folder.path
        let architecture = try architecture(shape, path: path)
        let metadata =
            self.metadata(shape, architecture, name: name, precision)
            + (try GGUFVocabulary(checkpoint, size: shape.vocabularySize).metadata)
        var entries = try network.parameters.map { parameter in
            try entry(parameter.name, parameter.tensor, shape, architecture, precision, path: path)
        }
        if shape.rotary.scaling != .none {
            // What llama.cpp divides each frequency by.
            let dimension = shape.headDimension
            let plain = RotaryPlan(theta: shape.rotary.theta).frequencies(dimension: dimension)
            let factors = zip(plain, shape.rotary.frequencies(dimension: dimension)).map { Float($0 / $1) }
            entries.append(
                GGUFWriter.Entry(
                    name: "rope_freqs.weight", tensor: try Tensor(factors, shape: [factors.count]), storage: .float32))
        }
        try GGUFWriter.write(metadata, entries, to: file)
    }

    private static func architecture(_ shape: DecoderConfiguration, path: String) throws -> String {
        switch (shape.architecture, shape.rotary.scaling) {
        case ("Qwen2ForCausalLM", .none): return "qwen2"
        case ("Qwen3ForCausalLM", .none): return "qwen3"
        case ("LlamaForCausalLM", .none), ("LlamaForCausalLM", .llama3): return "llama"
        case (let other, .none): throw CheckpointError.unsupported(file: path, "GGUF export of \(other)")
        case (let other, _):
            throw CheckpointError.unsupported(file: path, "GGUF export of \(other) with stretched positions")
        }
    }

    private static func metadata(
        _ shape: DecoderConfiguration, _ architecture: String, name: String, _ precision: Precision
    ) -> [(key: String, value: GGUFWriter.Value)] {
        [
            ("general.architecture", .string(architecture)), ("general.name", .string(name)),
            ("general.file_type", .unsigned(precision.fileType)),
            ("\(architecture).block_count", .unsigned(UInt32(shape.layerCount))),
            ("\(architecture).context_length", .unsigned(UInt32(shape.maximumPositions))),
            ("\(architecture).embedding_length", .unsigned(UInt32(shape.hiddenSize))),
            ("\(architecture).feed_forward_length", .unsigned(UInt32(shape.intermediateSize))),
            ("\(architecture).attention.head_count", .unsigned(UInt32(shape.headCount))),
            ("\(architecture).attention.head_count_kv", .unsigned(UInt32(shape.keyValueHeadCount))),
            ("\(architecture).attention.key_length", .unsigned(UInt32(shape.headDimension))),
            ("\(architecture).attention.value_length", .unsigned(UInt32(shape.headDimension))),
            ("\(architecture).attention.layer_norm_rms_epsilon", .float(Float(shape.normEpsilon))),
            ("\(architecture).rope.freq_base", .float(Float(shape.rotary.theta))),
            ("\(architecture).rope.dimension_count", .unsigned(UInt32(shape.headDimension))),
            ("\(architecture).vocab_size", .unsigned(UInt32(shape.vocabularySize))),
        ]
    }

    /// Hugging Face's names of a layer's parts, and ggml's.
    private static let parts = [
        "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
        "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    ]

    private static func entry(
        _ name: String, _ tensor: Tensor, _ shape: DecoderConfiguration, _ architecture: String,
        _ precision: Precision, path: String
    ) throws -> GGUFWriter.Entry {
        var storage = tensor.rank == 1 ? GGUFWriter.Storage.float32 : precision.storage
        // Blocks of 32 lie within a row; a row of another length is kept in half precision.
        if storage == .q8_0, (tensor.shape.last ?? 0) % 32 != 0 { storage = .float16 }
        let target: String
        switch name {
        case "model.embed_tokens.weight": target = "token_embd.weight"
        case "model.norm.weight": target = "output_norm.weight"
        case "lm_head.weight": target = "output.weight"
        default:
            // model.layers.N.PART.weight
            let pieces = name.split(separator: ".")
            let part = pieces.dropFirst(3).dropLast().joined(separator: ".")
            guard pieces.count > 4, let known = parts[part], let kind = pieces.last else {
                throw CheckpointError.unsupported(file: path, "GGUF export of the tensor '\(name)'")
            }
            target = "blk.\(pieces[2]).\(known).\(kind)"
        }
        var tensor = tensor
        if architecture == "llama", let heads = heads(of: target, shape) {
            // llama.cpp rotates neighbouring numbers of a head where Hugging Face rotates its halves.
            tensor = try tensor.reshaped([heads, 2, shape.headDimension / 2, -1]).transposed(1, 2)
                .reshaped(tensor.shape)
        }
        return GGUFWriter.Entry(name: target, tensor: tensor, storage: storage)
    }

    private static func heads(of target: String, _ shape: DecoderConfiguration) -> Int? {
        target.contains(".attn_q.") ? shape.headCount : target.contains(".attn_k.") ? shape.keyValueHeadCount : nil
    }
}
