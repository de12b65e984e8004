#!/usr/bin/env python3
"""A recipe's evaluation of 64 agents at once on a pretrained model: in bfloat16, as it is where nobody says otherwise, beside float32.

    make bench-evaluate

`retort run` measures the base of SmolLM2-135M as a code agent told what to do by its prompt, on 64 tasks of the built-in world, with real
programs in the sandbox; the only difference is `evaluation.weights`. Completion tokens a second are those of all agents over the time of
the whole command; verdicts that differ are counted. Writes Benchmarks/results/evaluation.json.
"""
import json
import os
import pathlib
import sqlite3
import subprocess
import tempfile
import time

import serving
import students

MODEL = os.environ.get("BENCH_MODELS", "smollm2-135m").split()[0]
PRECISIONS = os.environ.get("BENCH_WEIGHTS", "bfloat16 float32").split()


def evaluate(weights, scratch):
    recipe = scratch / "recipe.yaml"
    recipe.write_text(f"""name: bench
seed: 7
domain: {{world: {{seed: 1, people: 400, passages: 2, train: {{factual: 1, math: 1}}}}}}
students: [{{name: student, base: {students.checkpoint(MODEL)}}}]
evaluation: {{systems: [agent-prompt], tasks: 16, maxSteps: 3, maxTokens: 128, concurrency: 64, weights: {weights}}}
""")
    start = time.monotonic()
    subprocess.run([serving.RETORT, "run", recipe, "--folder", scratch / weights], check=True, stdout=subprocess.DEVNULL, cwd=serving.ROOT)
    seconds = time.monotonic() - start
    rows = sqlite3.connect(scratch / weights / "trajectories.sqlite").execute(
        "select task, correct, trajectory from trajectory where \"set\" like 'evaluate/%'").fetchall()
    steps = [step["usage"] for row in rows for step in json.loads(row[2])["steps"]]
    written = sum(usage["completionTokens"] for usage in steps)
    return {"seconds": seconds, "tasks": len(rows), "completionTokens": written,
            "promptTokens": sum(usage["promptTokens"] for usage in steps), "tokensPerSecond": written / seconds,
            "correct": {row[0]: row[1] for row in rows}}


def main():
    with tempfile.TemporaryDirectory() as scratch:
        found = {weights: evaluate(weights, pathlib.Path(scratch)) for weights in PRECISIONS}
    verdicts = [run.pop("correct") for run in found.values()]
    for weights, run in found.items():
        print(f"{weights:10} {run['tokensPerSecond']:6.0f} tokens/s written, {run['seconds']:6.1f} s, {run['tasks']} tasks")
    if len(verdicts) == 2:
        first, second = found.values()
        differ = sum(verdicts[0][task] != verdicts[1].get(task) for task in verdicts[0])
        print(f"{first['tokensPerSecond'] / second['tokensPerSecond']:.2f} x; {differ} of {len(verdicts[0])} verdicts differ")
        found["differingVerdicts"] = differ
    (serving.ROOT / "Benchmarks/results/evaluation.json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
