#!/usr/bin/env python3
"""Comparisons a second of Retort's grader, of Math-Verify, and of the agent-distillation scorer's way of working: a process
for each symbolic comparison.

    .retort/python/bin/python Benchmarks/grading.py --retort .build/release/retort

All three get the same pairs, one after the other, in one run; start-up is part of Retort's time. Writes
Benchmarks/results/grading.json.
"""
import argparse
import json
import multiprocessing
import pathlib
import platform
import random
import subprocess
import tempfile
import time

EASY = [("42", "42"), ("1,204", "1204"), ("\\boxed{\\frac{1}{2}}", "0.5"), ("3/4", "\\frac{3}{4}"), ("17", "18")]
SYMBOLIC = [
    ("\\boxed{\\frac{x}{%d}+\\frac{2}{%d}}", "\\frac{x+2}{%d}"), ("\\boxed{(x+%d)^2}", "x^2+2 \\cdot %d x+%d^2"),
    ("\\boxed{\\sin^2 x + \\cos^2 x + %d}", "1+%d"), ("\\boxed{\\sqrt{5+2\\sqrt{6}}+%d}", "\\sqrt{2}+\\sqrt{3}+%d"),
    ("\\boxed{\\tan 15^\\circ + %d}", "2-\\sqrt{3}+%d"), ("\\boxed{\\ln(x^%d)}", "%d\\ln x"),
    ("\\boxed{\\frac{1}{\\sqrt{2}+1}+%d}", "\\sqrt{2}-1+%d"), ("\\boxed{\\cos 2x + %d}", "2\\cos^2 x - 1 + %d"),
]


def fill(form, n):
    return form.replace("%d", str(n))


def pairs(kind, count):
    random.seed(1)
    if kind == "easy":
        return [(str(n), str(n)) if i % 2 else EASY[i % len(EASY)] for i, n in enumerate(random.choices(range(10**6), k=count))]
    return [tuple(fill(form, i // len(SYMBOLIC) + 2) for form in SYMBOLIC[i % len(SYMBOLIC)]) for i in range(count)]


def retort(program, list_of_pairs):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.writelines(json.dumps({"prediction": p, "reference": r}) + "\n" for p, r in list_of_pairs)
        file.flush()
        start = time.perf_counter()
        output = subprocess.run(
            [program, "grade", "--pairs", file.name, "--json"], check=True, capture_output=True, text=True
        ).stdout
        seconds = time.perf_counter() - start
    return seconds, sum(json.loads(line)["correct"] for line in output.splitlines())


def math_verify(list_of_pairs):
    from math_verify import parse, verify

    def one(p, r):
        return verify(parse(f"${r}$"), parse(p if "boxed" in p else f"${p}$"))

    one("1", "1")
    start = time.perf_counter()
    correct = sum(one(p, r) for p, r in list_of_pairs)
    return time.perf_counter() - start, correct


def _compare(p, r, queue):
    from latex2sympy2_extended import latex2sympy
    from sympy import simplify

    try:
        queue.put(bool(simplify(latex2sympy(p) - latex2sympy(r)) == 0))
    except Exception:
        queue.put(False)


def process_each(list_of_pairs):
    """A forked process and a queue for each comparison, as the original has for its symbolic ones; plain numbers by float."""
    start = time.perf_counter()
    correct = 0
    for p, r in list_of_pairs:
        p = p.removeprefix("\\boxed{").removesuffix("}") if p.startswith("\\boxed{") else p
        try:
            correct += abs(float(p.replace(",", "")) - float(r.replace(",", ""))) < 1e-4
            continue
        except ValueError:
            pass
        queue = multiprocessing.Queue()
        process = multiprocessing.Process(target=_compare, args=(p, r, queue))
        process.start()
        process.join(10)
        if process.is_alive():
            process.terminate()
        correct += queue.get() if not queue.empty() else False
    return time.perf_counter() - start, correct


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--retort", default=".build/release/retort")
    arguments.add_argument("--easy", type=int, default=20000)
    arguments.add_argument("--symbolic", type=int, default=800)
    options = arguments.parse_args()
    import latex2sympy2_extended  # noqa: F401  loaded before the processes fork, as in the original
    results = {"machine": f"{platform.processor() or platform.machine()}, {multiprocessing.cpu_count()} cores",
               "program": options.retort, "runs": []}
    for kind, count, slow in (("easy", options.easy, 10), ("symbolic", options.symbolic, 4)):
        everything = pairs(kind, count)
        for name, run, part in (
            ("retort", lambda part: retort(options.retort, part), everything),
            ("math-verify", math_verify, everything[: count // slow]),
            ("a process each", process_each, everything[: count // slow]),
        ):
            seconds, correct = run(part)
            line = {"system": name, "kind": kind, "pairs": len(part), "accepted": int(correct),
                    "seconds": round(seconds, 3), "per_second": round(len(part) / seconds, 1)}
            results["runs"].append(line)
            print(line)
    pathlib.Path("Benchmarks/results/grading.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
