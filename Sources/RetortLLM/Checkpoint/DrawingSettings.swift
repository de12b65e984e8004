import Foundation
import RetortCore

/// The sampling settings of a model's makers: `generation_config.json`, read as vLLM does by default. As there,
/// `do_sample` is ignored: a request without a temperature uses the file's.
struct DrawingSettings: Sendable {
    private(set) var sampling = SamplingDefaults()
    /// Settings that would change the sampling but are not supported, with their values.
    private(set) var unheeded: [String] = []
    private var file = ""

    /// Settings that name tokens, describe the file's origin, concern transformers itself, or are replaced by a
    /// request's own limits.
    private static let harmless: Set<String> = [
        "eos_token_id", "bos_token_id", "pad_token_id", "decoder_start_token_id", "do_sample", "transformers_version",
        "_from_model_config", "use_cache", "cache_implementation", "cache_config", "return_legacy_cache",
        "max_length", "max_new_tokens", "max_time", "num_return_sequences", "output_attentions", "output_hidden_states",
        "output_scores", "output_logits", "return_dict_in_generate", "trust_remote_code", "assistant_early_exit",
        "num_assistant_tokens", "num_assistant_tokens_schedule", "assistant_confidence_threshold",
        "assistant_lookbehind", "target_lookbehind", "prompt_lookup_num_tokens", "max_matching_ngram_size",
        "prefill_chunk_size", "disable_compile", "compile_config", "low_memory", "chat_format", "max_window_size",
        "_commit_hash", "continuous_batching_config", "is_assistant",
    ]

    /// Settings that change nothing when they have one of these values.
    private static let neutral: [String: [JSONValue]] = [
        "repetition_penalty": [1], "encoder_repetition_penalty": [1], "length_penalty": [1], "min_p": [0],
        "top_h": [0], "typical_p": [1], "epsilon_cutoff": [0], "eta_cutoff": [0], "no_repeat_ngram_size": [0],
        "encoder_no_repeat_ngram_size": [0], "diversity_penalty": [0], "num_beams": [1], "num_beam_groups": [1],
        "early_stopping": [false], "min_length": [0], "min_new_tokens": [0], "renormalize_logits": [false, true],
        "remove_invalid_values": [false], "bad_words_ids": [[]], "suppress_tokens": [[]], "begin_suppress_tokens": [[]],
        "stop_strings": [[]], "guidance_scale": [1], "token_healing": [false], "dola_layers": [],
    ]

    /// Reads the file of the adapter, or else of its base.
    /// - Throws: `CheckpointError.malformed` for an invalid value.
    init(_ folders: CheckpointFolders) throws {
        for source in folders.all {
            guard let fields = try source.fields("generation_config.json") else { continue }
            try read(fields)
            return
        }
    }

    private mutating func read(_ fields: ConfigurationFields) throws {
        file = fields.path
        func number(_ name: String, in range: ClosedRange<Double>) throws -> Double? {
            guard fields[name] != nil else { return nil }
            let value = try fields.number(name, default: 0)
            guard range.contains(value) else { throw fields.malformed("'\(name)' is \(value)") }
            return value
        }
        sampling.temperature = try number("temperature", in: 0...100)
        sampling.topP = try number("top_p", in: 0...1)
        sampling.topK = try number("top_k", in: -1...1e9).map { max(Int($0), 0) }
        let read: Set = ["temperature", "top_p", "top_k"]
        unheeded = fields.all.sorted { $0.key < $1.key }.compactMap { name, value in
            if read.contains(name) || Self.harmless.contains(name) || value == .null { return nil }
            let isNeutral = Self.neutral[name]?.contains { $0 == value || $0.double.map { $0 == value.double } == true }
            return isNeutral == true ? nil : "\(name) \(ExactJSON.text(value))"
        }
    }

    /// The settings that are not supported, in words; nil when there are none.
    var note: String? {
        unheeded.isEmpty
            ? nil
            : "\(file): \(unheeded.joined(separator: ", ")) \(unheeded.count == 1 ? "is" : "are") not followed; "
                + "tokens are drawn by temperature, top_p and top_k alone"
    }
}
