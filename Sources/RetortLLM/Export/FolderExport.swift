import Foundation
import RetortCore
import RetortTensor

/// A Hugging Face folder for other engines, which transformers' Auto classes read the way Retort does.
///
/// `AutoTokenizer` goes by `model_type` rather than by the folder: for `qwen2` it always uses Qwen2's own word
/// splitting, whatever `tokenizer.json` says. A Qwen2 network with another tokenizer, such as a Seedling's, is
/// therefore written as an equivalent Llama: one with biases in its attention, of which the output's are zero.
public struct FolderExport {
    private let checkpoint: Checkpoint
    private let network: DecoderNetwork

    /// - Parameter network: the checkpoint's network with adapters merged.
    public init(_ checkpoint: Checkpoint, _ network: DecoderNetwork) {
        self.checkpoint = checkpoint
        self.network = network
    }

    /// Writes the folder.
    /// - Throws: `CheckpointError.unsupported` for a network that transformers would read differently.
    public func write(dtype: DType, to folder: URL) throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try writeTokenizer(to: folder)
        try writeGeneration(to: folder)
        let isLlama = try network.configuration.isQwen2 && !splitsAsQwen2()
        let shape = isLlama ? try llama(network.configuration) : network.configuration
        try AtomicFile.write(
            shape.configJSON(dtype: dtype.configurationName), to: folder.appendingPathComponent("config.json"))
        try Checkpoint.writeWeights(network.parameters + (isLlama ? outputBiases() : []), dtype: dtype, to: folder)
    }

    // MARK: Tokenizer

    private func writeTokenizer(to folder: URL) throws {
        let folders = checkpoint.folders
        let names = CheckpointSource.tokenizerFiles.filter { $0 != "tokenizer_config.json" }
        for companion in try folders.tokenizer.companions() where names.contains(companion.name) {
            try Checkpoint.write(companion.data, as: companion.name, to: folder)
        }
        var settings = try folders.tokenizer.object("tokenizer_config.json") ?? [:]
        // A specific class would make another tokenizer from the same vocabulary.
        settings["tokenizer_class"] = "PreTrainedTokenizerFast"
        settings["auto_map"] = nil
        settings["chat_template"] = nil
        if let template = try folders.template() {
            let named = template.texts.sorted { $0.key < $1.key }
            settings["chat_template"] =
                named.count == 1
                ? .string(named[0].value)
                : .array(named.map { ["name": .string($0.key), "template": .string($0.value)] })
            for (name, text) in try folders.variables(templateOf: template.source) where settings[name] == nil {
                settings[name] = .string(text)
            }
        }
        try CheckpointJSON.write(settings, to: folder.appendingPathComponent("tokenizer_config.json"))
    }

    /// Lets other engines stop at the same tokens as Retort.
    private func writeGeneration(to folder: URL) throws {
        var settings = try checkpoint.folders.base.object("generation_config.json") ?? [:]
        let ends = checkpoint.endTokens.sorted()
        settings["eos_token_id"] = ends.count == 1 ? .integer(ends[0]) : .array(ends.map(JSONValue.integer))
        try CheckpointJSON.write(settings, to: folder.appendingPathComponent("generation_config.json"))
    }

    // MARK: Qwen2 as Llama

    /// Qwen2's word pattern, which transformers hard-codes.
    private static let qwenPattern =
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#

    /// Whether transformers' tokenizer for `qwen2` would agree with `tokenizer.json`.
    private func splitsAsQwen2() throws -> Bool {
        let definition = try checkpoint.folders.tokenizer.tokenizerDefinition()
        let normalizers = definition.steps(of: "normalizer", "normalizers")
        let splits = definition.steps(of: "pre_tokenizer", "pretokenizers")
        guard normalizers.count == 1, normalizers[0]["type"]?.string == "NFC", splits.count == 2,
            splits[0]["type"]?.string == "Split", splits[0]["pattern"]?["Regex"]?.string == Self.qwenPattern,
            splits[0]["behavior"]?.string == "Isolated", splits[0]["invert"]?.bool != true,
            splits[1]["type"]?.string == "ByteLevel", splits[1]["use_regex"]?.bool == false,
            splits[1]["add_prefix_space"]?.bool == false, definition.tree["decoder"]?["type"]?.string == "ByteLevel"
        else { return false }
        let model = definition.tree["model"]
        return model?["type"]?.string == "BPE" && model?["ignore_merges"]?.bool != true
            && model?["unk_token"]?.string == nil && model?["byte_fallback"]?.bool != true
    }

    private func llama(_ shape: DecoderConfiguration) throws -> DecoderConfiguration {
        guard shape.windows.allSatisfy({ $0 == nil }) else {
            throw CheckpointError.unsupported(
                file: checkpoint.folder.path, "export of Qwen2 with windows and a tokenizer that is not Qwen2's")
        }
        var shape = shape
        for name in ["use_sliding_window", "sliding_window", "max_window_layers", "layer_types"] {
            shape.fields[name] = nil
        }
        shape.fields["architectures"] = ["LlamaForCausalLM"]
        shape.fields["model_type"] = "llama"
        shape.fields["attention_bias"] = true
        shape.fields["mlp_bias"] = false
        shape.fields["head_dim"] = .integer(shape.headDimension)
        return shape
    }

    private func outputBiases() throws -> [(name: String, tensor: Tensor)] {
        try (0..<network.configuration.layerCount).map { layer in
            (
                name: "model.layers.\(layer).self_attn.o_proj.bias",
                tensor: try Tensor.zeros([network.configuration.hiddenSize])
            )
        }
    }
}

extension DecoderConfiguration {
    fileprivate var isQwen2: Bool { Qwen2Family.architectures.contains(architecture) }
}
