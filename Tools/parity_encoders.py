#!/usr/bin/env python3
"""Compares Retort's encoders with sentence-transformers: ids, vectors and scores, of random checkpoints and of real weights.

    pip install sentence-transformers
    RETORT_ENCODER=FOLDER    an encoder with real weights that is compared, too

Random BERT and RoBERTa shapes in every way of pooling, with prompts and cut texts, in float32 and bfloat16, and cross-encoders.
"""
import json
import os
import pathlib

import torch
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig, BertForSequenceClassification, BertModel, PreTrainedTokenizerFast, RobertaConfig,
    RobertaForSequenceClassification, RobertaModel, XLMRobertaConfig, XLMRobertaModel,
)

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


def disturbed(model):
    """Biases and norms that say something, too."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias") or "LayerNorm" in name:
                parameter.add_(torch.randn_like(parameter) * 0.2)
    return model.float().eval()


KINDS = {
    "BERT": (word_pieces, lambda size: BertModel(BertConfig(**SMALL, vocab_size=size, max_position_embeddings=128))),
    "BERT, other shape": (word_pieces, lambda size: BertModel(BertConfig(**{
        **SMALL, "num_attention_heads": 2, "hidden_act": "relu", "intermediate_size": 96}, vocab_size=size,
        type_vocab_size=1, layer_norm_eps=1e-5, max_position_embeddings=96))),
    "RoBERTa": (byte_pairs, lambda size: RobertaModel(RobertaConfig(
        **SMALL, vocab_size=size, max_position_embeddings=130, type_vocab_size=1, pad_token_id=1))),
    "XLM-RoBERTa": (unigrams, lambda size: XLMRobertaModel(XLMRobertaConfig(
        **{**SMALL, "hidden_act": "gelu_new"}, vocab_size=size, max_position_embeddings=130, type_vocab_size=1, pad_token_id=1))),
}


def saved(folder, kind, texts):
    tokenize, build = KINDS[kind]
    tokenizer = tokenize(texts[:2000])
    torch.manual_seed(3)
    base = folder / f"{kind} base".replace(" ", "-").replace(",", "")
    disturbed(build(len(tokenizer))).save_pretrained(base)
    tokenizer.save_pretrained(base)
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
    texts = lines[:300] + ["", " ", "one", "many words " * 80, "[SEP] </s> <pad> [MASK]"]
    (file, whole) = (written(folder, "texts.jsonl", texts), written(folder, "lines.jsonl", lines))
    for kind in KINDS:
        base = saved(folder, kind, lines)
        tokenizer = PreTrainedTokenizerFast.from_pretrained(base)
        found = [json.loads(line) for line in retort("tokenize", base, "--lines", whole, "--framed")[0].splitlines()]
        expected = tokenizer(lines, truncation=False)["input_ids"]
        parity_tokenizers.report(f"{kind}: ids of {len(lines)} lines", found, expected, lines, check)
        for pooling in (*Pooling.POOLING_MODES, ["mean", "cls"]):
            target = folder / f"{kind}-{pooling}".replace(" ", "-").replace(",", "")
            network = Transformer(str(base), **({"max_seq_length": 40} if pooling == "max" else {}))
            SentenceTransformer(
                modules=[network, Pooling(64, pooling), Normalize()], device="cpu",
                prompts={"query": "search: ", "passage": "text: "} if pooling == "cls" else None,
            ).save_pretrained(str(target))
            compare_vectors(f"{kind}, {pooling}", target, texts, file, check, halves=pooling in ("mean", "cls"))
        compare_dense(folder, kind, base, texts, file, check)
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
}


def compare_rankers(folder, texts, file, check):
    for name, (tokenize, build) in RANKERS.items():
        tokenizer = tokenize(texts)
        torch.manual_seed(4)
        target = folder / name.replace(" ", "-")
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
