#!/usr/bin/env python3
"""Compares Retort's tokenizers with the `tokenizers` library: ids of 10,000 lines of mixed text, and their text again.

The definitions are trained here in the way of each family: GPT-2, Qwen2, Llama 3 (SmolLM3, OLMo 2, LFM2), GPT-4o (Phi-4-mini),
Mistral's Tekken, Qwen3.5 and Granite (StarCoder's) by bytes,
Llama 2 (both ways of writing it), Gemma and Phi-3 in SentencePiece's manner, XLM-RoBERTa by the unigram model, BERT in pieces of words.
"""
import json
import random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

import parity_checks
from parity_checks import TOKENIZER

WORDS = (
    "the river café naïve Zürich 北京市 東京都 你好世界 مرحبا ١٢٣ हिन्दी १२३ Привет 안녕하세요 👩‍👩‍👧 😀🎉 I'm you're WE'LL "
    "def f(x): return x**2 for i in range(10): \"quoted\" 'single' a_b-c.d/e\\f 3.14159 1,234,567 0x1F e\u0301 \u00a0 \u2003 "
    "ſ's ǆ ﬁ ½ Ⅷ ²³ <|im_end|> <s> <tool> {}[]()<>!?;:%&*#@~`^| ▁ ▁▁a camelCaseWord HTTPServer \u0000 \u200b"
).split(" ")
SPACES = [" ", "  ", "\t", "\n", "\r\n", "\n\n  ", " \n", "\u00a0", "\r", "", "   "]


def lines(count):
    draw = random.Random(3)
    for _ in range(count):
        yield "".join(draw.choice(WORDS) + draw.choice(SPACES) for _ in range(draw.randint(0, 30)))


def byte_level(pattern, behavior="isolated", invert=False):
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pattern is None)
    if pattern:
        tokenizer.normalizer = normalizers.NFC()
        split = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), behavior, invert), split])
    tokenizer.pre_tokenizer = split
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer, trainers.BpeTrainer(
        vocab_size=2000, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
        special_tokens=["<|im_end|>"],
    )


BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def around_pieces(model, normalizer=None, pre_tokenizer=None, strips=True):
    """A tokenizer of SentencePiece's kind around its model."""
    tokenizer = Tokenizer(model)
    if normalizer:
        tokenizer.normalizer = normalizer
    if pre_tokenizer:
        tokenizer.pre_tokenizer = pre_tokenizer
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence(parts + ([decoders.Strip(" ", 1, 0)] if strips else []))
    return tokenizer


def pieces(**parts):
    model = models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    return around_pieces(model, **parts), trainers.BpeTrainer(
        vocab_size=1500, show_progress=False, limit_alphabet=90, max_token_length=12,
        special_tokens=["<unk>", "<s>", "</s>", *BYTES],
    )


def unigrams(normalizer):
    tokenizer = around_pieces(models.Unigram(), normalizer, pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]))
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer, trainers.UnigramTrainer(
        vocab_size=1200, show_progress=False, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], unk_token="<unk>")


def compiled():
    """SentencePiece's own table of characters, as XLM-RoBERTa has it."""
    import io

    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2

    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a b c d e f g"] * 20), model_writer=written, vocab_size=14, model_type="unigram",
        normalization_rule_name="nmt_nfkc", hard_vocab_limit=False, minloglevel=2)
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(written.getvalue())
    return normalizers.Precompiled(model.normalizer_spec.precompiled_charsmap)


def kinds():
    contraction = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    yield "qwen2", *byte_level(contraction % r"\p{N}")
    yield "llama3", *byte_level(contraction % r"\p{N}{1,3}")
    yield "gpt2", *byte_level(None)
    upper, lower = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
    ends = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    gpt4o = (
        rf"[^\r\n\p{{L}}\p{{N}}]?[{upper}]*[{lower}]+{ends}|[^\r\n\p{{L}}\p{{N}}]?[{upper}]+[{lower}]*{ends}"
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    yield "gpt4o", *byte_level(gpt4o, "removed", True)
    tekken = (
        rf"[^\r\n\p{{L}}\p{{N}}]?[{upper}]*[{lower}]+|[^\r\n\p{{L}}\p{{N}}]?[{upper}]+[{lower}]*"
        r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    yield "tekken", *byte_level(tekken)
    qwen35 = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    yield "qwen3.5", *byte_level(qwen35)
    granite, trainer = byte_level(None)
    granite.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    yield "granite", granite, trainer
    legacy = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    yield "llama2", *pieces(normalizer=legacy)
    metaspace = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
    yield "llama2-metaspace", *pieces(pre_tokenizer=metaspace)
    yield "metaspace-words", *pieces(pre_tokenizer=pre_tokenizers.Metaspace())
    gemma = pre_tokenizers.Split(" ", "merged_with_previous")
    yield "gemma", *pieces(normalizer=normalizers.Replace(" ", "▁"), pre_tokenizer=gemma, strips=False)
    digits = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.Split(Regex(r"\s+"), "merged_with_next")]
    )
    yield "digits", *pieces(pre_tokenizer=digits, strips=False)
    yield "unigram", *unigrams(normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]))
    yield "xlm-roberta", *unigrams(normalizers.Sequence([compiled(), normalizers.Replace(Regex(" {2,}"), " ")]))
    for name, lowercase in (("bert-uncased", True), ("bert-cased", False)):
        bert = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        bert.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
        bert.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        bert.decoder = decoders.WordPiece(cleanup=False)
        yield name, bert, trainers.WordPieceTrainer(
            vocab_size=1500, show_progress=False, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
        )


def frame(name, tokenizer):
    """Adds tokens as the family does: special and ordinary ones, some that take blanks along."""
    if name.startswith("bert"):
        ids = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
        tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=ids)
    elif name in ("llama2", "gemma"):
        tokenizer.post_processor = processors.TemplateProcessing(
            "<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
        )
    tokenizer.add_special_tokens([AddedToken("<|im_end|>", rstrip=name == "llama2-metaspace")])
    tokenizer.add_tokens([AddedToken("<tool>", normalized=False), AddedToken("range", single_word=True)])


def retort(*arguments):
    return [json.loads(line) for line in parity_checks.retort(*arguments)[0].splitlines()]


def compare(folder, check):
    texts = list(lines(10_000))
    file = folder / "lines.jsonl"
    file.write_text("".join(json.dumps(text) + "\n" for text in texts), encoding="utf-8")
    for name, tokenizer, trainer in kinds():
        tokenizer.train_from_iterator(texts[:2000], trainer)
        frame(name, tokenizer)
        target = folder / f"{name}.json"
        tokenizer.save(str(target))
        compare_one(f"tokenizer {name}", tokenizer, target, file, texts, check)
    seedling = Tokenizer.from_file(str(TOKENIZER / "tokenizer.json"))
    compare_one("tokenizer seedling", seedling, TOKENIZER, file, texts, check)


def compare_one(name, tokenizer, target, file, texts, check):
    found = retort("tokenize", target, "--lines", file, "--framed")
    expected = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    report(f"{name}: ids of {len(texts)} lines", found, expected, texts, check)
    expected_texts = [tokenizer.decode(ids, skip_special_tokens=False) for ids in expected]
    report(f"{name}: text again", retort("tokenize", target, "--lines", file, "--decode"), expected_texts, texts, check)


def report(name, found, expected, texts, check):
    differing = [i for i, (a, b) in enumerate(zip(found, expected)) if a != b]
    check(f"{name}, that differ", len(differing) + abs(len(found) - len(expected)), 0)
    for i in differing[:3]:
        print("     ", json.dumps(texts[i], ensure_ascii=False)[:160])
        print("        here ", json.dumps(found[i], ensure_ascii=False)[:200])
        print("        there", json.dumps(expected[i], ensure_ascii=False)[:200])


if __name__ == "__main__":
    parity_checks.main(compare)
