#!/usr/bin/env python3
"""Compares Retort with transformers, PEFT, tokenizers and llama.cpp on random checkpoints made here.

    make build
    python3 -m venv /tmp/parity
    /tmp/parity/bin/pip install torch==2.13.0 transformers peft tokenizers sentencepiece protobuf llama-cpp-python
    /tmp/parity/bin/python Tools/parity.py [PART ...]    # families, lora, configurations, … ; all without one

Checks, each with its tolerance: logits and greedy continuations (tied and untied heads, grouped heads, float32 and
bfloat16, every family), loss and gradients of one LoRA step, adapters of every kind that PEFT makes, configurations with each
key changed, token ids of 10,000 lines of mixed text, chat templates, exported folders in the Auto classes of transformers, and
what llama.cpp makes of exported files. Ends with code 1 when anything differs.
"""
import importlib
import json
import os
import pathlib
import sys
import tempfile

import torch
from peft import LoraConfig, get_peft_model
from transformers import Qwen2Config, Qwen2ForCausalLM

import parity_checks
from parity_checks import retort

check = parity_checks.Checks()


def checkpoint(folder, seed, tied, heads, key_heads, dtype):
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=3072, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=heads,
        num_key_value_heads=key_heads, max_position_embeddings=256, tie_word_embeddings=tied, rope_theta=1e6,
        initializer_range=0.2, attn_implementation="eager",
    )
    model = Qwen2ForCausalLM(config).to(dtype).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0, 0.2)
    model.save_pretrained(folder)
    parity_checks.save_tokenizer(folder)
    return model


def compare_models(folder):
    ids = torch.randint(0, 3000, (1, 40), generator=torch.Generator().manual_seed(1))
    text = ",".join(map(str, ids[0].tolist()))
    for tied in (True, False):
        for heads, key_heads in ((4, 4), (4, 2), (8, 1)):
            for dtype in (torch.float32, torch.bfloat16):
                name = f"{'tied' if tied else 'untied'} {heads}/{key_heads} heads {str(dtype)[6:]}"
                target = folder / name.replace(" ", "-").replace("/", "-")
                model = checkpoint(target, 7, tied, heads, key_heads, dtype)
                with torch.no_grad():
                    expected = model(ids).logits[0].float()
                    greedy = model.generate(ids, max_new_tokens=24, do_sample=False, eos_token_id=None, pad_token_id=0)
                found = json.loads(
                    retort("logits", target, "--ids", text, "--tokens", 24, "--dtype", str(dtype)[6:])[0]
                )
                logits = torch.tensor(found["logits"])
                if dtype == torch.float32:
                    check(f"logits, {name}", (logits - expected).abs().max().item() / expected.abs().max().item(), 1e-4)
                    differing = sum(a != b for a, b in zip(found["continuation"], greedy[0, 40:].tolist()))
                    check(f"greedy tokens that differ, {name}", differing, 0)
                else:
                    # Both engines round; ours must be no further from the exact result than transformers is.
                    with torch.no_grad():
                        exact = model.float()(ids).logits[0]
                    ours, theirs = ((x - exact).pow(2).mean().sqrt().item() for x in (logits, expected))
                    check(f"rounding error against transformers', {name}", ours / theirs, 1.25)


LLAMA3 = dict(
    rope_type="llama3", rope_theta=5e5, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
    original_max_position_embeddings=32,
)
LONG = dict(
    rope_type="longrope", rope_theta=1e4, short_factor=[1 + n / 8 for n in range(6)],
    long_factor=[4.0 + n for n in range(6)], original_max_position_embeddings=128, partial_rotary_factor=0.75,
)
YARN = dict(rope_type="yarn", rope_theta=1e4, factor=4.0, original_max_position_embeddings=16)
GRANITE4 = dict(
    num_local_experts=0, layer_types=["full_attention"] * 4, shared_intermediate_size=80, mamba_n_heads=4,
    position_embedding_type="rope", embedding_multiplier=12.0, logits_scaling=3.0, residual_multiplier=0.22,
    attention_multiplier=0.1, attention_bias=True,
)
QWEN35 = dict(
    head_dim=32, linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=16, linear_value_head_dim=24,
)
GEMMA4 = dict(
    head_dim=32, global_head_dim=64, sliding_window=16, layer_types=["sliding_attention", "full_attention"] * 2,
    hidden_size_per_layer_input=24, vocab_size_per_layer_input=3072,
)
FAMILIES = {
    "Qwen2 with windows": ("qwen2", dict(
        use_sliding_window=True, sliding_window=16, max_window_layers=2, tie_word_embeddings=True,
    )),
    "Mistral": ("mistral", dict(sliding_window=16)),
    "Llama by YaRN": ("llama", dict(rope_parameters=YARN)),
    "Qwen2 by YaRN": ("qwen2", dict(rope_parameters={**YARN, "beta_fast": 16, "truncate": False})),
    "Llama with dynamic positions": ("llama", dict(
        max_position_embeddings=24, rope_parameters=dict(rope_type="dynamic", rope_theta=1e4, factor=3.0),
    )),
    "Qwen3": ("qwen3", dict(head_dim=32, tie_word_embeddings=True)),
    "Llama 2": ("llama", dict(num_key_value_heads=4)),
    "Llama 3.1": ("llama", dict(rope_parameters=LLAMA3, attention_bias=True, mlp_bias=True)),
    "Gemma 2": ("gemma2", dict(head_dim=32, sliding_window=16, query_pre_attn_scalar=24)),
    "Gemma 3": ("gemma3_text", dict(
        head_dim=32, sliding_window=16, query_pre_attn_scalar=24,
        layer_types=["sliding_attention", "full_attention"] * 2,
    )),
    "Gemma 2 without caps": ("gemma2", dict(
        head_dim=32, sliding_window=16, attn_logit_softcapping=None, final_logit_softcapping=None,
    )),
    "Gemma 3 with capped logits": ("gemma3_text", dict(head_dim=32, sliding_window=16, final_logit_softcapping=2.0)),
    "Gemma 4": ("gemma4_text", GEMMA4),
    "Gemma 4 with shared layers and wide ones": ("gemma4_text", {
        **GEMMA4, "num_hidden_layers": 6, "layer_types": ["sliding_attention", "full_attention"] * 3,
        "num_kv_shared_layers": 3, "use_double_wide_mlp": True, "final_logit_softcapping": 20.0,
    }),
    "Gemma 4 with keys as values": ("gemma4_text", {
        **GEMMA4, "attention_k_eq_v": True, "num_global_key_value_heads": 1, "hidden_size_per_layer_input": 0,
        "attention_bias": True, "tie_word_embeddings": False, "rope_parameters": dict(
            full_attention=dict(rope_type="proportional", rope_theta=1e4, partial_rotary_factor=0.6, factor=2.0),
            sliding_attention=dict(rope_type="linear", rope_theta=5e3, factor=4.0)),
    }),
    "Gemma 4 with shared keys as values": ("gemma4_text", {
        **GEMMA4, "attention_k_eq_v": True, "num_global_key_value_heads": 4, "num_kv_shared_layers": 2,
        "layer_types": None, "num_hidden_layers": 9,
    }),
    "Phi-3": ("phi3", dict(sliding_window=16)),
    "Phi-4-mini": ("phi3", dict(
        rope_parameters=LONG, original_max_position_embeddings=128, sliding_window=None, tie_word_embeddings=True,
    )),
    "Phi-4-mini with its own factor": ("phi3", dict(
        rope_parameters={**LONG, "attention_factor": 1.3}, original_max_position_embeddings=128, sliding_window=None,
    )),
    "Ministral 3": ("ministral3", dict(head_dim=32, rope_parameters={**YARN, "llama_4_scaling_beta": 0.3})),
    "Ministral 3 with windows": ("ministral3", dict(
        head_dim=16, sliding_window=16, rope_parameters={
            **YARN, "llama_4_scaling_beta": 0.3, "mscale": 1.0, "mscale_all_dim": 0.7, "max_position_embeddings": 256},
    )),
    "SmolLM3": ("smollm3", dict()),
    "SmolLM3 with windows": ("smollm3", dict(
        no_rope_layers=[1, 0, 0, 1], use_sliding_window=True, sliding_window=16, tie_word_embeddings=False,
        attention_bias=True, mlp_bias=True,
    )),
    "OLMo 2": ("olmo2", dict(num_key_value_heads=4)),
    "OLMo 2 with grouped heads": ("olmo2", dict(attention_bias=True, rope_parameters=LLAMA3)),
    "OLMo 3": ("olmo3", dict(sliding_window=16)),
    "OLMo 3 by YaRN": ("olmo3", dict(sliding_window=16, rope_parameters=dict(
        full_attention={**YARN, "attention_factor": 1.2}, sliding_attention=dict(rope_type="default", rope_theta=1e4),
    ))),
    "Granite 3": ("granite", dict(
        embedding_multiplier=12.0, logits_scaling=8.0, residual_multiplier=0.22, attention_multiplier=0.1,
        tie_word_embeddings=True,
    )),
    "Granite 3 with biases": ("granite", dict(attention_bias=True, mlp_bias=True, attention_multiplier=0.25)),
    "Granite 4, dense": ("granitemoehybrid", GRANITE4),
    "LFM2": ("lfm2", dict(layer_types=["conv", "full_attention", "conv", "full_attention"], block_multiple_of=16)),
    "LFM2 with biases": ("lfm2", dict(
        full_attn_idxs=[2], conv_bias=True, conv_L_cache=4, block_auto_adjust_ff_dim=False, tie_word_embeddings=False)),
    "Qwen3.5": ("qwen3_5_text", QWEN35),
    "Qwen3.5 with biases": ("qwen3_5_text", {
        **QWEN35, "attention_bias": True, "linear_num_value_heads": 2, "tie_word_embeddings": True,
        "layer_types": ["full_attention", "linear_attention", "linear_attention", "full_attention"]}),
    "Granite 4, dense and without positions": ("granitemoehybrid", {**GRANITE4, "position_embedding_type": None}),
}


def chosen_families():
    """Those whose names hold the text in PARITY_FAMILIES; all without it."""
    return [(name, own) for name, own in FAMILIES.items() if os.environ.get("PARITY_FAMILIES", "") in name]


def compare_families(folder):
    ids = parity_checks.random_ids(40)
    text = ",".join(map(str, ids[0].tolist()))
    for name, (kind, own) in chosen_families():
        target = folder / name.replace(" ", "-")
        model = parity_checks.random_checkpoint(target, kind, own)
        with torch.no_grad():
            expected = model(ids).logits[0]
            greedy = model.generate(ids, max_new_tokens=24, do_sample=False, eos_token_id=None, pad_token_id=0)
        found = json.loads(retort("logits", target, "--ids", text, "--tokens", 24)[0])
        logits = torch.tensor(found["logits"])
        check(f"logits, {name}", (logits - expected).abs().max().item() / expected.abs().max().item(), 1e-4)
        if "dynamic" in name:
            continue  # transformers' cache keeps keys as they were turned for a shorter text
        check(
            f"greedy tokens that differ, {name}",
            sum(a != b for a, b in zip(found["continuation"], greedy[0, 40:].tolist())), 0,
        )


def compare_gradients(name, model, base, target, check):
    """Loss and gradients of one step with an adapter beside every projection of a model that lies in `base`."""
    ids = torch.randint(0, 3000, (1, 48), generator=torch.Generator().manual_seed(2))
    torch.manual_seed(5)
    adapted = get_peft_model(
        model, LoraConfig(r=8, lora_alpha=16, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")
    )
    with torch.no_grad():
        for parameter, values in adapted.named_parameters():
            if "lora_B" in parameter:
                values.normal_(0, 0.05)
    adapted.save_pretrained(target)
    loss = adapted(ids, labels=ids).loss
    loss.backward()
    found = json.loads(retort("logits", base, "--ids", ",".join(map(str, ids[0].tolist())), "--lora", target)[0])
    check(f"LoRA loss, {name}", abs(found["loss"] - loss.item()), 1e-4)
    worst, largest = 0.0, 0.0
    for parameter, values in adapted.named_parameters():
        if values.grad is None:
            continue
        key = parameter.removeprefix("base_model.model.").removesuffix(".default.weight")
        gradient = torch.tensor(found["gradients"][key]).view_as(values.grad)
        worst = max(worst, (gradient - values.grad).abs().max().item())
        largest = max(largest, values.grad.abs().max().item())
    check(f"LoRA gradients, largest difference as a share of the largest, {name}", worst / largest, 1e-3)


def compare_lora(folder):
    base = folder / "lora-base"
    compare_gradients("Qwen2", checkpoint(base, 11, True, 4, 2, torch.float32), base, folder / "lora", check)
    for name, (kind, own) in chosen_families():
        base = folder / ("lora " + name).replace(" ", "-")
        compare_gradients(name, parity_checks.random_checkpoint(base, kind, own), base, base / "adapter", check)


PARTS = {
    "models": compare_models, "families": compare_families, "lora": compare_lora,
    # Each needs packages of its own.
    **{
        name: lambda folder, name=name: importlib.import_module(f"parity_{name}").compare(folder, check)
        for name in ("adapters", "configurations", "exports", "tokenizers", "templates", "gguf", "encoders")
    },
}

parity_checks.quiet()
chosen = sys.argv[1:] or list(PARTS)
if strangers := set(chosen) - set(PARTS):
    sys.exit(f"no part is called {', '.join(sorted(strangers))}; there are {', '.join(PARTS)}")
with tempfile.TemporaryDirectory() as scratch:
    for part in chosen:
        PARTS[part](pathlib.Path(scratch))
check.end()
