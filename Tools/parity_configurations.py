#!/usr/bin/env python3
"""Changes every key of every family's `config.json`, one at a time, and compares Retort with transformers.

A changed file must give transformers' scores, or be refused by name. What transformers itself cannot load may be refused in
any words. None may load as something else.
"""
import json
import sys

import torch
from transformers import AutoModelForCausalLM

import parity_checks
from parity_checks import difference

IDS = parity_checks.random_ids(40)
FAMILIES = {
    "qwen2": dict(), "qwen3": dict(head_dim=16), "llama": dict(), "mistral": dict(sliding_window=16),
    "gemma2": dict(head_dim=16, sliding_window=16), "gemma3_text": dict(head_dim=16, sliding_window=16), "phi3": dict(),
    "ministral3": dict(head_dim=16, rope_parameters=dict(
        rope_type="yarn", rope_theta=1e4, factor=4.0, original_max_position_embeddings=16, llama_4_scaling_beta=0.3)),
    "smollm3": dict(), "olmo2": dict(), "olmo3": dict(sliding_window=16),
    "granite": dict(residual_multiplier=0.22, attention_multiplier=0.1, embedding_multiplier=12.0, logits_scaling=8.0),
    "granitemoehybrid": dict(
        num_local_experts=0, layer_types=["full_attention"] * 4, shared_intermediate_size=80, mamba_n_heads=4,
        position_embedding_type="rope", residual_multiplier=0.22, attention_multiplier=0.1),
    "gemma4_text": dict(
        head_dim=16, global_head_dim=32, sliding_window=16, layer_types=["sliding_attention", "full_attention"] * 2,
        hidden_size_per_layer_input=16, vocab_size_per_layer_input=3072, num_kv_shared_layers=1),
    "lfm2": dict(layer_types=["conv", "full_attention", "conv", "full_attention"], block_multiple_of=16),
    "qwen3_5_text": dict(
        head_dim=16, linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=16,
        linear_value_head_dim=24),
}
YARN = dict(rope_type="yarn", rope_theta=1e4, factor=4.0, original_max_position_embeddings=64)
LONG = dict(
    rope_type="longrope", rope_theta=1e4, short_factor=[1 + n / 8 for n in range(8)],
    long_factor=[4.0 + n for n in range(8)], original_max_position_embeddings=128,
)
# Values that mean something, by key; None takes a key away, and every key is taken away once.
VALUES = {
    "rms_norm_eps": [0.1], "tie_word_embeddings": [True, False], "max_position_embeddings": [64, 4096],
    "hidden_act": ["gelu", "swish", "relu"], "hidden_activation": ["gelu", "gelu_new", "silu"],
    "sliding_window": [8, 4096, "null"], "use_sliding_window": [True], "max_window_layers": [2], "head_dim": [16, 32],
    "attention_bias": [True], "mlp_bias": [True], "query_pre_attn_scalar": [24], "attn_logit_softcapping": [20.0, "null"],
    "final_logit_softcapping": [2.0, "null"], "use_bidirectional_attention": [True, "vision", "all"], "is_causal": [False],
    "partial_rotary_factor": [0.5], "rope_theta": [1e6], "rope_local_base_freq": [5e3],
    "original_max_position_embeddings": [32, 1024], "num_key_value_heads": [1, 4], "num_attention_heads": [2],
    "num_hidden_layers": [3, 5], "hidden_size": [32], "intermediate_size": [48], "vocab_size": [3000],
    "layer_types": [["sliding_attention"] * 4, ["full_attention"] * 4, ["full_attention", "sliding_attention"] * 2],
    "sliding_window_pattern": [2], "attention_dropout": [0.5], "attention_chunk_size": [8], "pretraining_tp": [2],
    "quantization_config": [{"quant_method": "gptq", "bits": 4}], "eos_token_id": [7, [7, 8]], "something_new": [1],
    "no_rope_layers": [[1, 0, 0, 1], [0, 0], "null"], "no_rope_layer_interval": [2, 3],
    "embedding_multiplier": [2.0], "logits_scaling": [2.0], "residual_multiplier": [2.0], "attention_multiplier": [0.2],
    "conv_L_cache": [2], "conv_bias": [True], "full_attn_idxs": [[1]], "block_ff_dim": [48], "norm_eps": [0.1],
    "block_multiple_of": [8, 32], "block_ffn_dim_multiplier": [1.5, "null"], "block_auto_adjust_ff_dim": [False],
    "tie_embedding": [False], "linear_num_value_heads": [2], "linear_conv_kernel_dim": [3], "full_attention_interval": [2],
    "attn_output_gate": [True, False],
    "global_head_dim": [16], "num_global_key_value_heads": [1], "attention_k_eq_v": [True],
    "num_kv_shared_layers": [0, 2, 3, 4, 5], "use_double_wide_mlp": [True], "hidden_size_per_layer_input": [0, 8],
    "vocab_size_per_layer_input": [3000, 4000], "enable_moe_block": [True], "num_experts": [4], "top_k_experts": [2],
    "moe_intermediate_size": [8],
    "per_layer_config": [
        {}, {"1": {"head_dim": 32}}, {"1": {"head_dim": 32}, "3": {"head_dim": 32}, "2": {"num_key_value_heads": 1}},
        {"1": {"head_dim": 32, "intermediate_size": 8}}, {"9": {"head_dim": 32}}, "null"],
    "num_local_experts": [0, 2], "shared_intermediate_size": [48], "position_embedding_type": ["rope", "null"],
    "rope_scaling": [
        {"type": "linear", "factor": 2.0}, {"rope_type": "dynamic", "factor": 2.0}, YARN, LONG, {"rope_type": "default"},
        {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32},
        {"rope_type": "yarn", "factor": 2.0, "beta_fast": 16, "beta_slow": 2, "truncate": False},
        {"rope_type": "yarn", "factor": 4.0, "mscale": 0.7, "mscale_all_dim": 0.5, "attention_factor": None},
        {"rope_type": "longrope", "factor": 8.0, **{k: LONG[k] for k in ("short_factor", "long_factor")}},
        {"rope_type": "su", **{k: LONG[k] for k in ("short_factor", "long_factor")}}, {"rope_type": "mrope"},
        {"rope_type": "proportional", "factor": 2.0},
    ],
    "rope_parameters": [
        YARN, {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e4}, {"rope_type": "dynamic", "factor": 2.0}, LONG,
        {"full_attention": {"rope_type": "linear", "factor": 8.0}, "sliding_attention": {"rope_theta": 5e3}},
        {"full_attention": {"rope_type": "proportional", "factor": 8.0, "rope_theta": 1e4, "partial_rotary_factor": 0.3},
         "sliding_attention": {"rope_type": "default", "rope_theta": 5e3}},
        {"full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e4},
         "sliding_attention": {"rope_type": "proportional", "rope_theta": 5e3}},
        {"full_attention": {**YARN}, "sliding_attention": {"rope_type": "default", "rope_theta": 5e3}},
    ],
}
# Families that are asked for on the command line; all without any.
ONLY = sys.argv[1:] if __name__ == "__main__" else []
GUESSES = [True, False, 3, 0.5, "other", [1], {"a": 1}]


def transformers(folder):
    try:
        model, info = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
        if info["missing_keys"] or info["mismatched_keys"]:
            return None  # it goes on with random weights
        with torch.no_grad():
            return model.eval()(IDS).logits[0]
    except Exception:
        return None


def changes(fields):
    for key in [*fields, *VALUES]:
        values = VALUES.get(key, []) or (GUESSES if key in fields else [])
        for value in values:
            yield key, None if value == "null" else value
        if key in fields:
            yield key, "taken away"


def compare(folder, check):
    parity_checks.quiet()
    folder = folder / "configurations"
    for kind, own in FAMILIES.items():
        if ONLY and kind not in ONLY:
            continue
        target = folder / kind
        parity_checks.random_checkpoint(target, kind, own)
        file = target / "config.json"
        fields = json.loads(file.read_text())
        plain = transformers(target)
        wrong, loaded, refused, done = [], 0, 0, set()
        for key, value in changes(fields):
            if (mark := (key, json.dumps(value))) in done:
                continue
            done.add(mark)
            changed = {**fields, key: value}
            if value == "taken away":
                del changed[key]
            file.write_text(json.dumps(changed))
            found, refusal = parity_checks.scores(target, IDS)
            if refusal is not None:
                refused += 1
                if "config.json" not in refusal and "model.safetensors" not in refusal:
                    wrong.append(f"{key}={value}: {refusal[:80]}")
                continue
            loaded += 1
            # To go on as if a setting were not there is right where it changes nothing, whatever transformers says to it.
            right = transformers(target)
            if '"su"' in json.dumps(value):
                # Phi-3's first files say so; transformers renames it, and in 5.24 too late for its own check.
                file.write_text(json.dumps(changed).replace('"su"', '"longrope"'))
                right = transformers(target)
            if difference(found, plain if right is None else right) > 1e-4:
                wrong.append(f"{key}={value}: " + ("loads, and not in transformers" if right is None else "other scores"))
        file.write_text(json.dumps(fields))
        for line in wrong:
            print("     ", line)
        check(f"{kind}: {len(done)} changed configurations ({loaded} loaded, {refused} refused) that differ", len(wrong), 0)


if __name__ == "__main__":
    parity_checks.main(compare)
