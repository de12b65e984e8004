#!/usr/bin/env python3
"""Compares Retort's verdicts on mathematical answers with Math-Verify's, pair by pair.

    .retort/python/bin/python Tools/compare_graders.py --data ../shared/data --retort .build/release/retort

Pairs are made of the references of MATH-500, OlymMATH, AIME, GSM-Hard and both MATH training sets: each as it stands, boxed,
altered, and against the reference of another question. Prints the agreement, and the disagreements by class; the pairs of
each class go to --out.
"""
import argparse
import collections
import json
import pathlib
import re
import subprocess
import tempfile

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


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=pathlib.Path, default=pathlib.Path("../shared/data"))
    arguments.add_argument("--retort", default=".build/release/retort")
    arguments.add_argument("--limit", type=int, default=4000, help="pairs at most, evenly chosen")
    arguments.add_argument("--out", type=pathlib.Path, help="where the disagreements go, one JSON a line")
    options = arguments.parse_args()
    rows = [{"prediction": p, "reference": r, "made": m} for p, r, m in pairs(list(references(options.data)))]
    rows = rows[:: max(len(rows) // options.limit, 1)][: options.limit]
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.writelines(json.dumps({k: row[k] for k in ("prediction", "reference")}) + "\n" for row in rows)
        file.flush()
        output = subprocess.run(
            [options.retort, "grade", "--pairs", file.name, "--json"], check=True, capture_output=True, text=True
        ).stdout
    for row, line in zip(rows, output.splitlines(), strict=True):
        verdict = json.loads(line)
        row |= {"ours": verdict["correct"], "reason": verdict["reason"]}
        row["theirs"] = math_verify(row["prediction"], row["reference"])
    apart = [row | {"class": describe(row)} for row in rows if row["ours"] != row["theirs"]]
    print(f"{len(rows)} pairs, {len(rows) - len(apart)} agree ({100 * (1 - len(apart) / len(rows)):.2f} %)")
    for kind, count in collections.Counter(row["class"] for row in apart).most_common():
        example = next(row for row in apart if row["class"] == kind)
        print(f"{count:5}  {kind}: {example['prediction']} for {example['reference']} ({example['reason']})")
    if options.out:
        options.out.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in apart))


if __name__ == "__main__":
    main()
