import RetortCore

/// The settings that every family's `config.json` may have: each is read, known to change nothing, or refused by
/// name.
extension ConfigurationFields {
    /// Settings that are read for all families.
    private static let read: Set<String> = [
        "architectures", "model_type", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
        "num_attention_heads", "num_key_value_heads", "head_dim", "max_position_embeddings", "rms_norm_eps",
        "tie_word_embeddings", "rope_parameters", "rope_scaling", "rope_theta", "partial_rotary_factor",
        "original_max_position_embeddings", "layer_types", "eos_token_id", "quantization_config",
    ]

    /// Settings that describe the file's origin, the training, or optional outputs.
    static let harmless: Set<String> = [
        "_name_or_path", "_model_name_or_path", "name_or_path", "_commit_hash", "transformers_version", "model_name",
        "auto_map", "dtype",
        "torch_dtype", "use_bfloat16", "torchscript", "initializer_range", "attention_dropout",
        "gradient_checkpointing",
        "use_cache", "cache_implementation", "return_dict", "output_hidden_states", "output_attentions",
        "tie_last_hidden_states", "chunk_size_feed_forward", "pretraining_tp", "is_decoder", "tie_encoder_decoder",
        "attn_implementation", "_attn_implementation", "_attn_implementation_autoset", "_attn_implementation_internal",
        "experts_implementation", "_experts_implementation_internal", "id2label", "label2id", "num_labels",
        "problem_type", "finetuning_task", "task_specific_params", "tokenizer_class", "prefix", "tf_legacy_loss",
        "bos_token_id", "pad_token_id", "sep_token_id", "cls_token_id", "unk_token_id", "mask_token_id",
        "decoder_start_token_id", "model_max_length", "max_sequence_length", "max_seq_len", "seq_length",
        "tokenizer_model_max_length", "tokenizer_padding_side", "use_flash_attention", "use_flash_attn",
        "flash_attention",
        "use_flash_attention_2", "_flash_attn_2_enabled", "_pre_quantization_dtype", "neftune_noise_alpha",
        "trust_remote_code", "custom_pipelines", "license", "model_revision", "unsloth_tiled_mlp", "is_composition",
        "static_kv_cache", "transformers.js_config", "unsloth_version", "unsloth_fixed", "is_llama_config",
    ]

    /// Sampling settings, which belong to a request; transformers ignores them here, too.
    static let generation: Set<String> = [
        "max_length", "max_new_tokens", "min_length", "min_new_tokens", "do_sample", "early_stopping", "num_beams",
        "temperature", "top_k", "top_p", "typical_p", "repetition_penalty", "length_penalty", "no_repeat_ngram_size",
        "encoder_no_repeat_ngram_size", "bad_words_ids", "num_return_sequences", "output_scores",
        "return_dict_in_generate", "forced_bos_token_id", "forced_eos_token_id", "remove_invalid_values",
        "exponential_decay_length_penalty", "suppress_tokens", "begin_suppress_tokens", "epsilon_cutoff", "eta_cutoff",
        "encoder_repetition_penalty", "num_assistant_tokens", "num_assistant_tokens_schedule",
        "assistant_confidence_threshold", "assistant_lookbehind", "target_lookbehind", "num_beam_groups",
        "diversity_penalty",
    ]

    /// Settings that change nothing when they have one of these values.
    private static let fixed: [String: [JSONValue]] = [
        "is_encoder_decoder": [false], "is_causal": [true], "use_bidirectional_attention": [false],
        "add_cross_attention": [false], "pruned_heads": [[:]], "per_layer_config": [[:]], "rope_interleaved": [false],
        "use_mrope": [false], "lm_head_bias": [false], "attention_bias": [false], "mlp_bias": [false],
        "use_sliding_window": [false],
    ]

    /// - Throws: `CheckpointError` that names the first setting that would change something or is unknown.
    func refuse(allBut family: any ModelFamily.Type) throws {
        try refuseQuantised()
        let known = Self.read.union(Self.harmless).union(Self.generation).union(family.keys)
        try refuse(allBut: known, and: Self.fixed.merging(family.fixed) { _, own in own })
    }

    /// Refuses a model that reads more than text, by the additional parts that it has.
    func refuseParts() throws {
        let parts = ["vision_config", "audio_config", "text_config"].filter { self[$0] != nil }
        guard !parts.isEmpty else { return }
        throw unsupported(
            "the architecture '\(architecture)' with \(parts.map { "'\($0)'" }.joined(separator: ", ")) (only models of text "
                + "alone are read, whose settings and weights stand by themselves)")
    }

    func refuseQuantised() throws {
        let quantisation = try members("quantization_config")
        guard !quantisation.isEmpty else { return }
        func isSet(_ name: String) -> Bool { quantisation[name] == .bool(true) }
        var kind =
            quantisation["quant_method"]?.string
            ?? (isSet("load_in_4bit") || isSet("load_in_8bit") ? "bitsandbytes" : "unnamed")
        if let bits = quantisation["bits"]?.double {
            kind += ", \(Int(bits)) bits"
        } else if isSet("load_in_4bit") {
            kind += ", 4 bits"
        } else if isSet("load_in_8bit") {
            kind += ", 8 bits"
        }
        throw CheckpointError.quantised(file: path, kind: kind)
    }

    /// - Throws: when the activation is a different one.
    func requireActivation(_ names: [String], key: String = "hidden_act") throws {
        guard let value = self[key] else { return }
        guard let name = value.string, names.contains(name) else {
            throw unsupported("the activation '\(value.string ?? ExactJSON.text(value))'")
        }
    }

    // MARK: Windows

    /// How many tokens back layers with a window see; nil when `null` turns windows off.
    func window(default fallback: Int?) throws -> Int? {
        if case .null = all["sliding_window"] { return nil }
        guard let window = try optionalInteger("sliding_window") ?? fallback else { return nil }
        guard window > 0 else { throw malformed("'sliding_window' is \(window)") }
        return window
    }

    /// The window of each layer: by `layer_types`, or by a rule if the file has none.
    func windows(_ count: Int, size: Int?, by rule: (Int) -> Bool) throws -> [Int?] {
        let isLocal = try locality(count) ?? (0..<count).map(rule)
        guard size != nil || !isLocal.contains(true) else {
            throw unsupported("a layer with sliding attention and no 'sliding_window'")
        }
        return isLocal.map { $0 ? size : nil }
    }

    /// Refuses a `layer_types` that differs from the family's fixed pattern.
    func requireLayers(_ windows: [Int?]) throws {
        guard let isLocal = try locality(windows.count), isLocal != windows.map({ $0 != nil }) else { return }
        throw unsupported("this 'layer_types', which its family pays no heed to,")
    }

    /// The layers that carry a state according to `layer_types`; nil when the file has none. All others must have
    /// full attention.
    /// - Parameter name: the family's name of such layers.
    func carryingLayers(_ count: Int, named name: String) throws -> Set<Int>? {
        guard self["layer_types"] != nil else { return nil }
        let types = try texts("layer_types")
        guard types.count == count else { throw malformed("it has \(types.count) layer_types for \(count) layers") }
        if let stranger = types.first(where: { $0 != name && $0 != "full_attention" }) {
            throw unsupported("the layer type '\(stranger)'")
        }
        return Set(types.indices.filter { types[$0] == name })
    }

    private func locality(_ count: Int) throws -> [Bool]? {
        guard self["layer_types"] != nil else { return nil }
        let types = try texts("layer_types")
        guard types.count == count else { throw malformed("it has \(types.count) layer_types for \(count) layers") }
        return try types.map { type in
            switch type {
            case "full_attention": return false
            case "sliding_attention": return true
            default: throw unsupported("the layer type '\(type)'")
            }
        }
    }
}
