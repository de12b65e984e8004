#!/usr/bin/env python3
"""Compares Retort's verdicts on mathematical answers with Math-Verify's, pair by pair.

    .retort/python/bin/python Tools/compare_graders.py --data ../shared/data --retort .build/release/retort

Pairs are made of the references of MATH-500, OlymMATH, AIME, GSM-Hard and both MATH training sets: each as it stands, boxed,
altered, and against the reference of another question. Prints the agreement, and the disagreements by class; the pairs of
each class go to --out.

    .retort/python/bin/python Tools/compare_graders.py --solutions [--model-solutions example_model_solutions.jsonl]

Grades whole solutions instead: GSM8K's own, as prose and with its calculator marks, with and without a closing line, GPT-3.5's
and ToRA's. Each has a label that does not come from either grader: the reference is the text's closing answer, or it is
another number that the text mentions, which must not be accepted. Prints a table of what Retort, Math-Verify and both accept.
"""
import argparse
import collections
import json
import math
import multiprocessing
import pathlib
import re
import subprocess
import tempfile

import sympy
from math_verify import parse, verify

FILES = [
    "test/math_500_20250414", "test/olymath_200_20250511", "test/aime_90_20250504", "test/gsm_hard_500_20250507",
    "train/math_1000_20250414", "train/math_medium_1000_20250430",
]


def references(data):
    for name in FILES:
        file = data / "agent-distillation" / f"{name}.json"
        for record in json.loads(file.read_text())["examples"]:
            answer = record["answer"]
            if answer is None or answer == "":
                continue
            yield str(int(answer)) if isinstance(answer, float) and answer.is_integer() else str(answer).strip()


def pairs(golds):
    """(prediction, reference, how it was made)"""
    for index, gold in enumerate(golds):
        yield f"\\boxed{{{gold}}}", gold, "boxed"
        other = golds[(index * 7 + 13) % len(golds)]
        if other != gold:
            yield f"\\boxed{{{other}}}", gold, "stranger"
        digit = re.search(r"\d", gold)
        if digit and not gold.startswith("\\text"):
            changed = gold[: digit.start()] + str(int(digit.group()) % 9 + 1) + gold[digit.end():]
            yield f"\\boxed{{{changed}}}", gold, "digit"
        if re.fullmatch(r"-?\d+", gold):
            yield f"\\boxed{{{int(gold) * 100}}}", gold, "×100"
        if re.fullmatch(r"\(.*\)|\[.*\]|\\left.*", gold):
            yield f"\\boxed{{{gold[:-1] + (']' if gold[-1] == ')' else ')')}}}", gold, "open/closed"
        if re.fullmatch(r"\\frac\{-?\d+\}\{\d+\}", gold):
            top, bottom = map(int, re.findall(r"-?\d+", gold))
            yield f"\\boxed{{{top}/{bottom}}}", gold, "slash"
            yield f"\\boxed{{{3 * top}/{3 * bottom}}}", gold, "unreduced"
            yield f"\\boxed{{{top / bottom:.3f}}}", gold, "rounded"
        if "\\%" in gold or "circ" in gold or "text{ " in gold:
            plain = re.sub(r"\\%|\^\\circ|\\text\{.*?\}|\^\{\\circ\}", "", gold)
            yield f"\\boxed{{{plain}}}", gold, "without sign or unit"
        if "_" in gold:
            yield f"\\boxed{{{gold.split('_')[0]}}}", gold, "without base"


def math_verify(prediction, reference):
    gold = parse(f"${reference}$", parsing_timeout=10)
    given = parse(prediction, parsing_timeout=10)
    return bool(verify(gold, given, timeout_seconds=10)) if gold and given else False


NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?")


def value(text):
    """A number's value, or None."""
    try:
        return float(str(text).replace(",", "").replace("$", "").strip())
    except ValueError:
        return None


def trap(text, answer):
    """The last number in a text that is not its answer; None without one."""
    others = [n.rstrip(",") for n in NUMBER.findall(text) if value(n.rstrip(",")) not in (None, value(answer))]
    return others[-1] if others else None


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def unmarked(text):
    """A solution without its calculator marks."""
    return re.sub(r"<<[^<>\n]*>>", "", text)


def solutions(data, model_solutions):
    """(kind, text, reference, label): the label says whether the reference is what the text closes with."""
    for record in lines(data / "gsm8k" / "test.jsonl"):
        body, answer = (part.strip() for part in record["answer"].rsplit("####", 1))
        answer = answer.replace(",", "")
        for name, text in [("prose", unmarked(body)), ("calculator marks", body)]:
            other = trap(unmarked(body), answer)
            yield f"GSM8K, {name}", text, answer, True
            yield f"GSM8K, {name}, closing `A:`", f"{text}\nA: {answer}", answer, True
            yield f"GSM8K, {name}, closing `####`", f"{text}\n#### {answer}", answer, True
            if other:
                yield f"GSM8K, {name}", text, other, False
                # The solution is right until it closes with another of its numbers.
                yield f"GSM8K, {name}, closing `A:`", f"{text}\nA: {other}", answer, False
                yield f"GSM8K, {name}, closing `####`", f"{text}\n#### {other}", answer, False
    for record in lines(data / "mwp" / "train_pairs.jsonl"):
        said = re.search(r"answer is <([^<>]+)>\.?\s*$", record.get("cot") or "")
        answer = value(record["answer"])
        if said and answer is not None and value(said.group(1)) is not None:
            label = math.isclose(value(said.group(1)), answer, rel_tol=1e-9)
            yield "GPT-3.5's chains of thought", record["cot"], record["answer"].removesuffix(".0"), label
    for record in lines(data / "tora" / "tora-70b-gsm8k-test.jsonl"):
        said, answer = value(record["pred"][0]), value(record["gt"])
        if said is not None and answer is not None:
            yield "ToRA's answers", record["code"][0].rsplit("```", 1)[-1], record["gt"], said == answer
    for record in lines(model_solutions) if model_solutions else []:
        answer = record["ground_truth"].rsplit("A:", 1)[-1].strip().replace(",", "")
        for name in ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification"):
            text, label = record[name]["solution"], record[name]["is_correct"]
            yield "model solutions, calculator marks", text, answer, label
            yield "model solutions, marks removed", unmarked(text), answer, label


def text_verdict(pair):
    """Math-Verify's verdict on a whole text."""
    text, reference = pair
    gold, given = parse(f"${reference}$", parsing_timeout=10), parse(text, parsing_timeout=10)
    return bool(verify(gold, given, timeout_seconds=10)) if gold and given else False


def compare_solutions(options):
    rows = [dict(zip(("kind", "prediction", "reference", "label"), row))
            for row in solutions(options.data, options.model_solutions)]
    for row, (correct, reason) in zip(rows, retort_verdicts(options.retort, rows), strict=True):
        row |= {"ours": correct, "reason": reason}
    with multiprocessing.Pool(2) as pool:
        pairs = [(row["prediction"], row["reference"]) for row in rows]
        for row, theirs in zip(rows, pool.imap(text_verdict, pairs, chunksize=100), strict=True):
            row["theirs"] = theirs
    print("| texts | right | Retort | Math-Verify | both | wrong | Retort | Math-Verify | both |")
    print("| --- |" + " ---: |" * 8)
    for kind in dict.fromkeys(row["kind"] for row in rows):
        cells = []
        for label in (True, False):
            some = [row for row in rows if row["kind"] == kind and row["label"] == label]
            counts = [len(some), *(sum(row[name] for row in some) for name in ("ours", "theirs"))]
            cells += [*counts, sum(row["ours"] and row["theirs"] for row in some)]
        print(f"| {kind} | " + " | ".join(f"{cell:,}" for cell in cells) + " |")
    if options.out:
        apart = [row for row in rows if row["ours"] != row["label"] or row["ours"] != row["theirs"]]
        options.out.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in apart))


def retort_verdicts(retort, rows):
    """(correct, reason) of each row."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.writelines(json.dumps({k: row[k] for k in ("prediction", "reference")}) + "\n" for row in rows)
        file.flush()
        output = subprocess.run(
            [retort, "grade", "--pairs", file.name, "--json"], check=True, capture_output=True, text=True
        ).stdout
    for line in output.splitlines():
        verdict = json.loads(line)
        yield verdict["correct"], verdict["reason"]


def describe(row):
    """The class of a disagreement."""
    made, gold, ours = row["made"], row["reference"], row["ours"]
    side = "only Retort accepts" if ours else "only Math-Verify accepts"
    if re.search(r"\\text|\\mbox|[A-Za-z]{3}", re.sub(r"\\(?!text|mbox)[a-z]+", "", gold)):
        kind = "words and units"
    elif "_" in gold:
        kind = "another base"
    elif "\\%" in gold or "circ" in gold:
        kind = "percent and degrees"
    elif "\\pm" in gold or re.search(r"^[^()\[]*,", gold):
        kind = "lists"
    elif re.match(r"\\left|[(\[]", gold):
        kind = "intervals and tuples"
    elif "matrix" in gold:
        kind = "matrices"
    elif "=" in gold:
        kind = "equations"
    else:
        kind = "numbers and expressions"
    return f"{side}: {kind}, {made}"


def by_arithmetic(row):
    """Whether two plain numbers are the same one, exactly; None for anything else."""
    def number(text):
        values = [value for value in parse(text, parsing_timeout=10) if isinstance(value, sympy.Expr) and value.is_number]
        return values[0] if values else None

    sides = number(f"${row['reference']}$"), number(row["prediction"])
    return None if None in sides else sympy.simplify(sides[0] - sides[1]) == 0


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=pathlib.Path, default=pathlib.Path("../shared/data"))
    arguments.add_argument("--retort", default=".build/release/retort")
    arguments.add_argument("--limit", type=int, default=4000, help="pairs at most, evenly chosen")
    arguments.add_argument("--out", type=pathlib.Path, help="where the disagreements go, one JSON a line")
    arguments.add_argument("--solutions", action="store_true", help="compare on whole solutions")
    arguments.add_argument("--model-solutions", type=pathlib.Path, help="grade-school-math's labelled solutions, if at hand")
    options = arguments.parse_args()
    if options.solutions:
        return compare_solutions(options)
    rows = [{"prediction": p, "reference": r, "made": m} for p, r, m in pairs(list(references(options.data)))]
    rows = rows[:: max(len(rows) // options.limit, 1)][: options.limit]
    for row, (correct, reason) in zip(rows, retort_verdicts(options.retort, rows), strict=True):
        row |= {"ours": correct, "reason": reason}
        row["theirs"] = math_verify(row["prediction"], row["reference"])
    apart = [row | {"class": describe(row)} for row in rows if row["ours"] != row["theirs"]]
    print(f"{len(rows)} pairs, {len(rows) - len(apart)} agree ({100 * (1 - len(apart) / len(rows)):.2f} %)")
    settled = [(row, truth) for row in apart if (truth := by_arithmetic(row)) is not None]
    if settled:
        ours = sum(row["ours"] == truth for row, truth in settled)
        print(f"exact arithmetic settles {len(settled)} of the {len(apart)} others: {ours} for Retort, "
              f"{len(settled) - ours} for Math-Verify")
    for kind, count in collections.Counter(row["class"] for row in apart).most_common():
        example = next(row for row in apart if row["class"] == kind)
        print(f"{count:5}  {kind}: {example['prediction']} for {example['reference']} ({example['reason']})")
    if options.out:
        options.out.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in apart))


if __name__ == "__main__":
    main()
