#!/usr/bin/env python3
"""Compares Retort's encoders with sentence-transformers: ids, vectors and scores, of random checkpoints and of real weights.

    pip install sentence-transformers
    RETORT_ENCODER=FOLDER    an encoder with real weights that is compared, too

Random shapes of BERT, RoBERTa, XLM-RoBERTa, ModernBERT and Qwen3-Embedding in every way of pooling, with prompts and cut texts, in
float32 and bfloat16, and cross-encoders.
"""
import json
import os
import pathlib

import torch
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoTokenizer, BertConfig, BertForSequenceClassification, BertModel, ModernBertConfig, ModernBertForMaskedLM,
    ModernBertForSequenceClassification, ModernBertModel, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM, RobertaConfig,
    RobertaForSequenceClassification, RobertaModel, XLMRobertaConfig, XLMRobertaModel,
)
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

import parity_checks
import parity_tokenizers
from parity_checks import retort

SMALL = dict(
    hidden_size=64, intermediate_size=128, num_hidden_layers=3, num_attention_heads=4, initializer_range=0.2,
    hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
)


def word_pieces(texts):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=1500, show_progress=False, special_tokens=special))
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", [(t, tokenizer.token_to_id(t)) for t in ("[CLS]", "[SEP]")])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token="[MASK]", model_max_length=96,
        # As BERT's own class has them; a tokenizer of no class leaves the types out.
        model_input_names=["input_ids", "token_type_ids", "attention_mask"])


def byte_pairs(texts):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=1500, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False, special_tokens=special))
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return framed(tokenizer)


def framed(tokenizer):
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", cls_token="<s>", sep_token="</s>",
        bos_token="<s>", eos_token="</s>", mask_token="<mask>", model_max_length=96)


def unigrams(texts):
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace("  ", " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer.train_from_iterator(texts, trainers.UnigramTrainer(
        vocab_size=1200, show_progress=False, special_tokens=special, unk_token="<unk>"))
    tokenizer.post_processor = processors.TemplateProcessing(
        "<s> $A </s>", "<s> $A </s> </s> $B </s>", [("<s>", 0), ("</s>", 2)])
    return framed(tokenizer)


def modern_bytes(texts):
    """As ModernBERT has them: GPT-2's words, runs of blanks and marks as added tokens, a mask that takes the blank before it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=1500, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False, special_tokens=special))
    tokenizer.add_tokens([AddedToken(" " * n, normalized=True) for n in range(24, 1, -1)])
    tokenizer.add_tokens([AddedToken("|||IP_ADDRESS|||", normalized=True)])
    tokenizer.add_special_tokens([AddedToken("[MASK]", lstrip=True)])
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", [(t, tokenizer.token_to_id(t)) for t in ("[CLS]", "[SEP]")])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token=AddedToken("[MASK]", lstrip=True), model_max_length=700, model_input_names=["input_ids", "attention_mask"])


def qwen_bytes(texts):
    """As Qwen3-Embedding has them: an end of text goes behind each text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=1500, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False, special_tokens=special))
    end = processors.TemplateProcessing("$A <|endoftext|>", "$A $B:1 <|endoftext|>:1", [("<|endoftext|>", 0)])
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), end])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<|endoftext|>", eos_token="<|im_end|>", model_max_length=300,
        model_input_names=["input_ids", "attention_mask"])


def disturbed(model):
    """Biases and norms that say something, too."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias") or "norm" in name.lower():
                parameter.add_(torch.randn_like(parameter) * 0.2)
    return model.float().eval()


def modern(size, **settings):
    return ModernBertConfig(**{
        **dict(
            vocab_size=size, hidden_size=64, intermediate_size=96, num_hidden_layers=4, num_attention_heads=4, initializer_range=0.2,
            local_attention=16, max_position_embeddings=1024, pad_token_id=0, bos_token_id=2, eos_token_id=3, cls_token_id=2,
            sep_token_id=3), **settings})


KINDS = {
    "BERT": (word_pieces, lambda size: BertModel(BertConfig(**SMALL, vocab_size=size, max_position_embeddings=128))),
    "BERT, other shape": (word_pieces, lambda size: BertModel(BertConfig(**{
        **SMALL, "num_attention_heads": 2, "hidden_act": "relu", "intermediate_size": 96}, vocab_size=size,
        type_vocab_size=1, layer_norm_eps=1e-5, max_position_embeddings=96))),
    "RoBERTa": (byte_pairs, lambda size: RobertaModel(RobertaConfig(
        **SMALL, vocab_size=size, max_position_embeddings=130, type_vocab_size=1, pad_token_id=1))),
    "XLM-RoBERTa": (unigrams, lambda size: XLMRobertaModel(XLMRobertaConfig(
        **{**SMALL, "hidden_act": "gelu_new"}, vocab_size=size, max_position_embeddings=130, type_vocab_size=1, pad_token_id=1))),
    "ModernBERT": (modern_bytes, lambda size: ModernBertForMaskedLM(modern(size))),
    "ModernBERT, other shape": (modern_bytes, lambda size: ModernBertModel(modern(
        size, num_attention_heads=2, num_hidden_layers=7, hidden_activation="silu", norm_bias=True, attention_bias=True, mlp_bias=True,
        local_attention=11, norm_eps=1e-6))),
    "Qwen3-Embedding": (qwen_bytes, lambda size: Qwen3ForCausalLM(Qwen3Config(
        vocab_size=size, hidden_size=64, intermediate_size=128, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
        head_dim=32, max_position_embeddings=512, initializer_range=0.2, rope_parameters={"rope_type": "default", "rope_theta": 1e6}))),
}
# Kinds that are no encoders without the files of sentence-transformers.
DECODERS = ("Qwen3-Embedding",)
# What older versions of transformers write instead of `layer_types` and `rope_parameters`.
OLDER = {
    "global_attn_every_n_layers": 3, "global_rope_theta": 160000.0, "local_rope_theta": 10000.0, "layer_norm_eps": 1e-5,
    "position_embedding_type": "absolute", "reference_compile": None, "repad_logits_with_grad": False, "gradient_checkpointing": False,
}


def saved(folder, kind, texts):
    tokenize, build = KINDS[kind]
    tokenizer = tokenize(texts[:2000])
    torch.manual_seed(3)
    base = folder / f"{kind} base".replace(" ", "-").replace(",", "")
    disturbed(build(len(tokenizer))).save_pretrained(base)
    tokenizer.save_pretrained(base)
    if kind == "ModernBERT, other shape":
        config = json.loads((base / "config.json").read_text())
        config = {key: value for key, value in config.items() if key not in ("layer_types", "rope_parameters")}
        (base / "config.json").write_text(json.dumps({**config, **OLDER}))
    return base


def vectors(folder, file, *arguments):
    return torch.tensor([json.loads(line) for line in retort("embed", folder, file, *arguments)[0].splitlines()])


def compare_vectors(name, folder, texts, file, check, halves=True):
    """In float32 against sentence-transformers; in bfloat16, where both round, ours must be no further from the exact result."""
    model = SentenceTransformer(str(folder), device="cpu")
    exact = torch.tensor(model.encode_document(texts, batch_size=16))
    queries = torch.tensor(model.encode_query(texts, batch_size=16))
    for kind, expected in (("passage", exact), ("query", queries)):
        found = vectors(folder, file, "--as", kind, "--weights", "float32")
        check(f"{name}, {kind} in float32", (found - expected).abs().max().item(), 1e-5)
    if halves:
        theirs = model.to(torch.bfloat16).encode_document(texts, batch_size=16, convert_to_tensor=True).float()
        found = vectors(folder, file, "--weights", "bfloat16")
        ours, theirs = ((x - exact).pow(2).mean().sqrt().item() for x in (found, theirs))
        check(f"{name}, rounding error in bfloat16 against sentence-transformers'", ours / theirs, 1.0)
        print(f"      largest in bfloat16: {(found - exact).abs().max().item():.2g}")


def written(folder, name, texts):
    file = folder / name
    file.write_text("".join(json.dumps(text) + "\n" for text in texts), encoding="utf-8")
    return file


def compare(folder, check):
    lines = list(parity_tokenizers.lines(10_000))
    texts = lines[:300] + ["", " ", "one", "many words " * 80, "[SEP] </s> <pad> [MASK] <|endoftext|>", "a river of words " * 250]
    (file, whole) = (written(folder, "texts.jsonl", texts), written(folder, "lines.jsonl", lines))
    for kind in KINDS:
        base = saved(folder, kind, lines)
        tokenizer = PreTrainedTokenizerFast.from_pretrained(base)
        found = [json.loads(line) for line in retort("tokenize", base, "--lines", whole, "--framed")[0].splitlines()]
        expected = tokenizer(lines, truncation=False)["input_ids"]
        parity_tokenizers.report(f"{kind}: ids of {len(lines)} lines", found, expected, lines, check)
        if kind not in DECODERS:
            compare_vectors(f"{kind}, as it is", base, texts, file, check, halves=False)
        for pooling in (*Pooling.POOLING_MODES, ["mean", "cls"]):
            target = folder / f"{kind}-{pooling}".replace(" ", "-").replace(",", "")
            network = Transformer(str(base), **({"max_seq_length": 40} if pooling == "max" else {}))
            SentenceTransformer(
                modules=[network, Pooling(64, pooling), Normalize()], device="cpu",
                prompts={"query": "search: ", "passage": "text: "} if pooling == "cls" else None,
            ).save_pretrained(str(target))
            compare_vectors(f"{kind}, {pooling}", target, texts, file, check, halves=pooling in ("mean", "cls", "lasttoken"))
        compare_dense(folder, kind, base, texts, file, check)
    compare_published(folder, texts, file, check)
    compare_rankers(folder, texts, file, check)
    real = os.environ.get("RETORT_ENCODER")
    if real:
        compare_real(folder, pathlib.Path(real), lines, check)


def compare_dense(folder, kind, base, texts, file, check):
    """Layers behind the pooling, with and without bias, activation and what came in added."""
    torch.manual_seed(5)
    for name, layers in {
            "dense": [Dense(64, 24)], "two denses": [Dense(64, 96, bias=False, activation_function=torch.nn.Identity()),
                                                    Dense(96, 96, activation_function=torch.nn.GELU(), use_residual=True),
                                                    Dense(96, 32, activation_function=torch.nn.ReLU(), use_residual=True)]}.items():
        target = folder / f"{kind}-{name}".replace(" ", "-").replace(",", "")
        SentenceTransformer(
            modules=[Transformer(str(base)), Pooling(64, "mean"), *layers, Normalize()], device="cpu").save_pretrained(str(target))
        compare_vectors(f"{kind}, {name}", target, texts, file, check, halves=False)


def compare_published(folder, texts, file, check):
    """The files of Qwen3-Embedding as they are published: a chat template, but texts go in as they are, and an instruction for queries."""
    target = saved(folder, "Qwen3-Embedding", texts)
    settings = {
        "add_bos_token": False, "add_prefix_space": False, "bos_token": None, "eos_token": "<|im_end|>", "errors": "replace",
        "model_max_length": 131072, "pad_token": "<|endoftext|>", "split_special_tokens": False, "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None, "chat_template": "{% for message in messages %}<|im_start|>{{ message.content }}<|im_end|>{% endfor %}"}
    pooling = {f"pooling_mode_{mode}": mode == "lasttoken" for mode in (
        "cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")}
    modules = [("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")]
    instruction = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"
    (target / "1_Pooling").mkdir(exist_ok=True)
    for name, value in {
            "tokenizer_config.json": settings,
            "1_Pooling/config.json": {"word_embedding_dimension": 64, **pooling, "include_prompt": True},
            "modules.json": [
                {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
                for i, (kind, path) in enumerate(modules)],
            "config_sentence_transformers.json": {
                "prompts": {"query": instruction, "document": ""}, "default_prompt_name": None, "similarity_fn_name": "cosine"}}.items():
        (target / name).write_text(json.dumps(value))
    written_ids = [json.loads(line) for line in retort("tokenize", target, "--lines", file, "--framed")[0].splitlines()]
    expected = AutoTokenizer.from_pretrained(target)(texts, truncation=False)["input_ids"]
    parity_tokenizers.report("Qwen3-Embedding as published: ids", written_ids, expected, texts, check)
    compare_vectors("Qwen3-Embedding as published", target, texts, file, check)


def compare_real(folder, encoder, lines, check):
    sentences = lines[:200] + [
        f"The {adjective} {noun} of {place} was {verb} in {year}." for adjective in ("old", "famous")
        for noun in ("tower", "painter", "river") for place in ("Paris", "Zürich", "東京") for verb in ("built", "seen")
        for year in (1889, 2020)] + ["word " * 400]
    file = written(folder, "real.jsonl", sentences)
    compare_vectors(encoder.name, encoder, sentences, file, check)


RANKERS = {
    "BERT ranker": (word_pieces, lambda size: BertForSequenceClassification(BertConfig(
        **SMALL, vocab_size=size, max_position_embeddings=128, num_labels=1))),
    "RoBERTa ranker": (byte_pairs, lambda size: RobertaForSequenceClassification(RobertaConfig(
        **SMALL, vocab_size=size, max_position_embeddings=130, type_vocab_size=1, pad_token_id=1, num_labels=1))),
    "ModernBERT ranker": (modern_bytes, lambda size: ModernBertForSequenceClassification(modern(size, num_labels=1))),
    "ModernBERT ranker, mean": (modern_bytes, lambda size: ModernBertForSequenceClassification(modern(
        size, num_labels=1, classifier_pooling="mean", classifier_bias=True, norm_bias=True, classifier_activation="relu"))),
}


def compare_rankers(folder, texts, file, check):
    for name, (tokenize, build) in RANKERS.items():
        tokenizer = tokenize(texts)
        torch.manual_seed(4)
        target = folder / name.replace(" ", "-").replace(",", "")
        disturbed(build(len(tokenizer))).save_pretrained(target)
        tokenizer.save_pretrained(target)
        model = CrossEncoder(str(target), device="cpu", activation_fn=torch.nn.Identity())
        queries = ("the river in the café", "many words " * 60)
        pairs = {query: [(query, text) for text in texts] for query in queries}
        expected = {query: torch.tensor(model.predict(pairs[query])) for query in queries}
        model.to(torch.bfloat16)
        for query, exact in expected.items():
            title = f"{name}, {len(query)} letters"
            found = scores(target, file, query, "float32")
            check(f"{title}, in float32", ((found - exact).abs().max() / exact.abs().max()).item(), 1e-5)
            theirs = model.predict(pairs[query], convert_to_tensor=True).float()
            ours, theirs = ((x - exact).pow(2).mean().sqrt().item() for x in (scores(target, file, query, "bfloat16"), theirs))
            # One number a text: by chance the one or the other is the better by some tenths.
            check(f"{title}, rounding error in bfloat16 against sentence-transformers'", ours / theirs, 1.5)


def scores(folder, file, query, weights):
    return torch.tensor([float(x) for x in retort("embed", folder, file, "--query", query, "--weights", weights)[0].split()])


if __name__ == "__main__":
    parity_checks.main(compare)
