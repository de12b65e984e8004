#!/usr/bin/env python3
"""Recomputes α-UMi's static metrics with the PyPI package `rouge` and plain Python, on mutated predictions.

    pip install rouge
    python Tools/check_static_metrics.py TEST.json [--retort .build/debug/retort] [--seeds 5]

For each seed more than 300 of the references are spoilt in one of many ways (another decision, another or an unknown name, no
name, changed, added, missing and broken arguments, empty and rewritten answers, odd spaces and characters). Every metric
that `retort evaluate toolbench-static` prints must agree to 1e-9, and so must the metrics of the references themselves.
"""
import argparse
import json
import random
import subprocess
import sys
import tempfile

from rouge import Rouge


def turns(path):
    found = []
    for record in json.load(open(path, encoding="utf-8")):
        said = record["conversations"]
        for index, utterance in enumerate(said):
            value = utterance["value"]
            if utterance["from"] != "assistant":
                continue
            if not any(end in value for end in ("Next: caller.", "Next: conclusion.", "Next: give up.")):
                continue
            reference = value
            if "Next: caller" in value or "Next: conclusion." in value:
                after = said[index + 1]
                reference = f"assistant: {value}</s>{after['from']}: {after['value']}</s>"
            found.append(([tool["Name"] for tool in record["tools"]], reference))
    return found


def read(text):
    """Decision, name, input, answer; where the original would stop with an error, what docs/toolbench.md says."""
    if "Next: give up" in text:
        return "give up", None, None, None
    if "Next: conclusion" in text:
        for mark in ("conclusion: ", "conclusion:"):
            if mark in text:
                text = text[text.rindex(mark) + len(mark):]
                break
        return "finish", None, None, text.replace("</s>", "")
    parts = text.split("</s>")
    request = parts[1] if len(parts) > 1 else text
    given = request[request.rindex("Action Input:") + 13:].strip() if "Action Input:" in request else "{}"
    name = "none"
    if "Action:" in request:
        name = request[request.rindex("Action:") + 7:].strip()
        if "Action Input:" in name:
            name = name[: name.index("Action Input:")].strip()
    return "call", name, given, None


def argument_f1(name, wanted_name, given, wanted):
    """The scores that go to easy, hard and all."""
    if name != wanted_name:
        return 0.0, 0.0, 0.0
    try:
        wanted = json.loads(wanted)
    except ValueError:
        return None, None, None
    try:
        given = json.loads(given)
        if wanted == {}:
            score = 1.0 if given == {} else 0.0
            return score, None, score
        total = 0.0
        for key, value in wanted.items():
            if key in given.keys():
                total += 1 if given[key] == value else 0.5
        recall, precision = total / len(wanted), total / len(given)
        score = 2 * recall * precision / (recall + precision)
    except (ValueError, AttributeError, ZeroDivisionError):
        score = 0.0
        if wanted == {}:
            return score, None, score
    return None, score, score


def rouge_l(hypotheses, references):
    scorer, total = Rouge(metrics=["rouge-l"]), 0.0
    for hypothesis, reference in zip(hypotheses, references):
        if hypothesis.replace(".", ""):  # the package refuses a text without a sentence
            total += scorer.get_scores([hypothesis], [reference])[0]["rouge-l"]["f"]
    return total / len(references)


def metrics(test, predictions):
    plan, action, easy, hard, every, invented, said, wanted = [], [], [], [], [], 0, [], []
    for (tools, reference), prediction in zip(test, predictions):
        right, got = read(reference), read(prediction)
        plan.append(right[0] == got[0])
        if got[1] is not None and got[1] != "none" and got[1] not in tools:
            invented += 1
        if right[0] == "finish":
            wanted.append(right[3])
            said.append("none" if got[3] is None else got[3])
        elif right[0] == "call":
            name, given = got[1] or "none", got[2] if got[2] is not None else "{}"
            action.append(name == right[1])
            for scores, score in zip((easy, hard, every), argument_f1(name, right[1], given, right[2])):
                if score is not None:
                    scores.append(score)
    mean = lambda values: sum(values) / len(values) if values else None
    return {
        "planACC": mean(plan), "actEM": mean(action), "hallucination": invented / len(test), "argF1": mean(every),
        "easyF1": mean(easy), "hardF1": mean(hard), "rougeL": rouge_l(said, wanted),
    }


def changed(value, dice):
    other = [None, True, 1, 1.0, 2.5, "", "x", [1, 2], {"a": 1}, str(value), [value], 10**20]
    return dice.choice(other)


def mutate_arguments(text, dice):
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if not isinstance(value, dict):
        return text
    kind = dice.randrange(9)
    keys = list(value)
    if kind == 0 and keys:
        value[dice.choice(keys)] = changed(value[keys[0]], dice)
    elif kind == 1 and keys:
        del value[dice.choice(keys)]
    elif kind == 2:
        value[dice.choice(["extra", "é", "e\u0301"])] = changed(None, dice)
    elif kind == 3:
        return json.dumps(value)[:-1]
    elif kind == 4:
        return dice.choice(["[]", "3", '"text"', "null", "", "NaN", "{'a': 1}", '{"a":\n1}', '{"a": "\n"}'])
    elif kind == 5:
        return "{}"
    elif kind == 6 and keys:
        return json.dumps(value)[:-1] + f', {json.dumps(keys[0])}: 1}}'
    elif kind == 7:
        return "\u00a0" + json.dumps(value, indent=3) + "\u2003\n"
    return json.dumps(value, ensure_ascii=dice.random() < 0.5)


def mutate(tools, reference, dice):
    plan, name, given, answer = read(reference)
    thought = reference.split(" Next: ")[0]
    kind = dice.randrange(10)
    call = lambda name, given: f"{thought} Next: caller.</s>caller: Action: {name}\nAction Input: {given}</s>"
    finish = lambda answer: f"{thought} Next: conclusion.</s>conclusion: {answer}</s>"
    if kind == 0:
        return f"{thought}\n Next: give up."
    if kind == 1:
        return call(dice.choice(tools + ["made_up", "none", "", "Finish"]), given or "{}")
    if kind == 2:
        return finish(answer or "It is done. Really.")
    if kind == 3:
        return dice.choice(["", "none", thought, f"{thought}</s>", f"{thought} Next: caller.", "Next: caller.\u0301</s>Action:\u0301 x"])
    if plan == "call":
        if kind < 8:
            return call(name, mutate_arguments(given, dice))
        if kind == 8:
            return f"{thought} Next: caller.</s>caller: Action: {name}</s>"
        return f"{thought} Next: caller.</s>caller: Action Input: {given}\nAction: {name}\n</s>"
    if plan == "finish":
        words = answer.split(" ")
        if kind < 6:
            dice.shuffle(words)
        elif kind == 6:
            words = words[: len(words) // 2]
        elif kind == 7:
            words = [word.replace("a", ".").replace("e", "\u0301") for word in words]
        elif kind == 8:
            words = dice.choice([["."], ["..", "\u001c", "."], [" . "], ["conclusion: twice", "conclusion: again."], ["</s>"]])
        return finish(dice.choice([" ", "  ", "\u00a0", "\t", "\u001d", ". "]).join(words))
    return call(dice.choice(tools or ["x"]), "{}")


def main():
    options = argparse.ArgumentParser()
    options.add_argument("test")
    options.add_argument("--retort", default=".build/debug/retort")
    options.add_argument("--seeds", type=int, default=5)
    options = options.parse_args()
    test = turns(options.test)
    worst = 0.0
    for seed in range(-1, options.seeds):
        dice = random.Random(seed)
        predictions = [mutate(*turn, dice) if seed >= 0 and dice.random() < 0.8 else turn[1] for turn in test]
        spoilt = sum(prediction != turn[1] for prediction, turn in zip(predictions, test))
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
            for prediction in predictions:
                file.write(json.dumps({"prediction": prediction}) + "\n")
            file.flush()
            output = subprocess.run(
                [options.retort, "evaluate", "toolbench-static", options.test, "--predictions", file.name, "--json"],
                check=True, capture_output=True, text=True).stdout
        ours, theirs = json.loads(output), metrics(test, predictions)
        for name, value in theirs.items():
            gap = abs(ours[name]["value"] - value)
            worst = max(worst, gap)
            if gap > 1e-9:
                sys.exit(f"seed {seed}: {name} is {ours[name]['value']!r}, by Python {value!r}")
            assert ours[name]["low"] <= value <= ours[name]["high"], name
        print(f"seed {seed}: {spoilt} of {len(test)} predictions spoilt, " + ", ".join(f"{k} {v:.4f}" for k, v in theirs.items()))
    print(f"all metrics agree; the largest difference is {worst:.1e}")


main()
