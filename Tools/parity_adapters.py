#!/usr/bin/env python3
"""Compares Retort's adapters with PEFT's: every initialisation and variant that PEFT 0.21 has, on random checkpoints.

Each adapter is trained a little, saved by PEFT and opened again by PEFT over the base it was made for. Retort must give the
same scores, or refuse the folder by name: none may load as something else.
"""
import json

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

import parity_checks
from parity_checks import difference, scores

IDS = parity_checks.random_ids(32)
ATTENTION = ["q_proj", "v_proj"]
# What Retort must load; anything else may be refused, by name.
LOADED = {
    "plain": dict(target_modules=ATTENTION),
    "all linear": dict(target_modules="all-linear"),
    "pattern": dict(target_modules=r".*layers\.[02]\.mlp\.(up|down)_proj"),
    "some layers": dict(target_modules=ATTENTION, layers_to_transform=[0, 2]),
    "excluded": dict(target_modules=["q_proj", "k_proj"], exclude_modules=r".*layers\.1\..*"),
    "rank stabilised": dict(target_modules=ATTENTION, use_rslora=True),
    "gaussian": dict(target_modules=ATTENTION, init_lora_weights="gaussian"),
    "no initialisation": dict(target_modules=ATTENTION, init_lora_weights=False),
    "orthogonal": dict(target_modules=ATTENTION, init_lora_weights="orthogonal"),
    "mica": dict(target_modules=ATTENTION, init_lora_weights="mica"),
    "eva, without data": dict(target_modules=ATTENTION, init_lora_weights="eva"),
    "pissa": dict(target_modules=ATTENTION, init_lora_weights="pissa"),
    "pissa on all": dict(target_modules="all-linear", init_lora_weights="pissa", use_rslora=True),
    "olora": dict(target_modules=ATTENTION, init_lora_weights="olora"),
    "dora": dict(target_modules=ATTENTION, use_dora=True),
    "dora on all": dict(target_modules="all-linear", use_dora=True),
    "rank pattern": dict(target_modules=ATTENTION, rank_pattern={"q_proj": 2, r"layers\.1\.self_attn\.v_proj": 5}),
    "alpha pattern": dict(target_modules=ATTENTION, alpha_pattern={r"^model\.layers\.0\.self_attn\.q_proj": 30}),
    "modules to save: head": dict(target_modules=ATTENTION, modules_to_save=["lm_head"]),
    "modules to save: embedding": dict(target_modules=ATTENTION, modules_to_save=["embed_tokens"]),
    "modules to save: both": dict(target_modules=ATTENTION, modules_to_save=["embed_tokens", "lm_head"]),
    "modules to save: norms": dict(target_modules=ATTENTION, modules_to_save=["input_layernorm", "model.norm"]),
    "modules to save: a projection": dict(target_modules=ATTENTION, modules_to_save=["down_proj"]),
    "on the embedding": dict(target_modules=["q_proj", "embed_tokens"]),
    "on the head": dict(target_modules=["q_proj", "lm_head"]),
    "on both": dict(target_modules=["q_proj", "embed_tokens", "lm_head"]),
    "dora on the embedding": dict(target_modules=["q_proj", "embed_tokens"], use_dora=True),
    "trainable tokens": dict(target_modules=ATTENTION, trainable_token_indices=[3, 7, 2999]),
    "trainable tokens by name": dict(target_modules=ATTENTION, trainable_token_indices={"embed_tokens": [5, 6]}),
    "biases of adapted modules": dict(target_modules=ATTENTION, bias="lora_only"),
    "all biases": dict(target_modules=ATTENTION, bias="all"),
}
OTHERS = {
    "pissa by iterations": dict(target_modules=ATTENTION, init_lora_weights="pissa_niter_4"),
    "loftq": dict(target_modules=ATTENTION, init_lora_weights="loftq", loftq_config={"loftq_bits": 4, "loftq_iter": 1}),
    "lora-ga, without data": dict(target_modules=ATTENTION, init_lora_weights="lora_ga"),
    "activated": dict(target_modules=ATTENTION, alora_invocation_tokens=[17, 18]),
    "bias of its own": dict(target_modules=["q_proj"], lora_bias=True),
    "replicated layers": dict(target_modules=ATTENTION, layer_replication=[[0, 2], [1, 3]]),
    "ties kept": dict(target_modules=["q_proj", "embed_tokens"], ensure_weight_tying=True),
}


def opened(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def trained(base, target, settings):
    """An adapter that has learned something: everything that would be trained is moved."""
    torch.manual_seed(5)
    config = LoraConfig(**{"r": 4, "lora_alpha": 12, "task_type": "CAUSAL_LM", **settings})
    model = get_peft_model(opened(base), config)
    with torch.no_grad():
        for _, parameter in model.named_parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(target)


def expected(base, adapter):
    with torch.no_grad():
        return PeftModel.from_pretrained(opened(base), adapter).eval()(IDS).logits[0]


def compare_one(name, base, target, settings, must_load, check):
    try:
        trained(base, target, settings)
        right = expected(base, target)
    except Exception as error:  # PEFT itself cannot do it
        print(f"      {name}: not in PEFT ({str(error)[:90]})")
        return
    found, refusal = scores(target, IDS)
    if refusal is not None:
        named = "not supported" in refusal or "not known" in refusal
        check(f"adapter {name}: refused ({refusal.split(': ', 1)[-1][:90]})", 0 if named and not must_load else 1, 0)
        return
    check(f"adapter {name}: scores", difference(found, right), 1e-4)


def narrowed(base, target, check):
    """An adapter of which target_modules names only a part: PEFT passes over the rest."""
    trained(base, target, dict(target_modules=["q_proj", "v_proj"]))
    file = target / "adapter_config.json"
    fields = json.loads(file.read_text())
    fields["target_modules"] = ["q_proj"]
    file.write_text(json.dumps(fields))
    _, refusal = scores(target, IDS)
    check("adapter with target_modules narrower than what is stored: refused", 0 if refusal and "v_proj" in refusal else 1, 0)


def keys(base, target, check):
    """Every setting of LoraConfig, changed to something that is not its default."""
    trained(base, target, dict(target_modules=ATTENTION))
    file = target / "adapter_config.json"
    fields = json.loads(file.read_text())
    plain = expected(base, target)
    silent = []
    for key in [*sorted(fields), "something_new"]:
        for value in (True, 3, "other", [1], {"q_proj": 2}):
            if fields.get(key) == value:
                continue
            file.write_text(json.dumps({**fields, key: value}))
            found, refusal = scores(target, IDS)
            if refusal is not None:
                continue
            try:
                right = expected(base, target)
            except Exception:
                # PEFT refuses it; to go on as if it were not there is right only where it changes nothing.
                right = plain
            if difference(found, right) > 1e-4:
                silent.append(f"{key}={value}")
    file.write_text(json.dumps(fields))
    print("     ", *silent)
    check("settings of adapter_config.json that change something in silence", len(silent), 0)


def compare(folder, check):
    parity_checks.quiet()
    folder = folder / "adapters"
    for kind, own in (
        ("qwen2", dict(tie_word_embeddings=True)), ("llama", dict(tie_word_embeddings=False, attention_bias=True)),
        ("gemma3_text", dict(head_dim=16, sliding_window=16)),
    ):
        base = folder / kind
        parity_checks.random_checkpoint(base, kind, {"num_hidden_layers": 3, **own}, seed=11)
        for must_load, group in ((True, LOADED), (False, OTHERS)):
            for name, settings in group.items():
                target = folder / f"{kind} {name}".replace(" ", "-").replace(":", "")
                compare_one(f"{kind}, {name}", base, target, settings, must_load, check)
    narrowed(folder / "qwen2", folder / "narrowed", check)
    keys(folder / "qwen2", folder / "keys", check)


if __name__ == "__main__":
    parity_checks.main(compare)
