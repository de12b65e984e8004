#!/usr/bin/env python3
"""Rollouts against an endpoint that misbehaves, and rollouts that are killed, each compared with an undisturbed run.

    Tools/rollout_trials.py faults     2,000 rollouts over an endpoint a quarter of whose answers are faults of seven kinds
    Tools/rollout_trials.py kills      500 rollouts, killed 50 times with SIGKILL at random moments
    Tools/rollout_trials.py thoughts   1,000 rollouts without first-thought prefix and 1,000 with it, and what is kept

Needs `make build` and `swift build -c release --product scripted-endpoint`; RETORT_BUILD=debug takes debug builds. Ends with code 1 unless every task is in the store exactly
once and every trajectory, but for its times, is that of the undisturbed run.
"""
import argparse
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

from stored_runs import stored

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / ".build" / os.environ.get("RETORT_BUILD", "release")
# How often the scripted teacher makes a wrong plan when it acts and when it reasons, and how often it writes no program.
NOISE = {"agent-slip": 0.3, "unreadable": 0.05}
RECIPE = """
name: trial
seed: 7
domain: {{world: {{seed: 1, people: 600, passages: 2, train: {{factual: {factual}, math: {math}}}}}}}
teacher:
  endpoint: {address}
  model: scripted-teacher
  concurrency: {concurrency}
  attempts: 40
  seconds: {{connect: 5, firstByte: 3, idle: 3, total: 30}}
students: [{{name: none, base: seedlings/1m}}]
training: {{agent: {{}}}}
evaluation: {{systems: [agent]}}
"""


class Endpoint:
    """The scripted teacher behind an endpoint, with noise of its own."""

    def __init__(self, factual, math, **options):
        arguments = ["--people", "600", "--factual", str(factual), "--math", str(math)]
        for name, value in {**NOISE, **options}.items():
            arguments += [f"--{name}", str(value)]
        self.process = subprocess.Popen([BUILD / "scripted-endpoint", *arguments], stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip()

    def stats(self):
        with urllib.request.urlopen(self.address + "/stats", timeout=10) as reply:
            return json.load(reply)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def start(work, name, endpoint, factual, math, concurrency, flags=(), output=subprocess.DEVNULL):
    recipe = work / f"{name}.yaml"
    recipe.write_text(RECIPE.format(address=endpoint.address, factual=factual, math=math, concurrency=concurrency))
    return subprocess.Popen(
        [BUILD / "retort", "rollout", recipe, "--folder", work / name, *flags], cwd=ROOT,
        stdout=output, stderr=open(work / f"{name}.log", "a"), start_new_session=True)


def finish(process, work, name):
    if process.wait(timeout=1800) != 0:
        sys.exit((work / f"{name}.log").read_text())


def report(work, names, tasks):
    (first, _), (second, rows) = stored(work / names[0]), stored(work / names[1])
    tasks_seen = {row[0] for row in second.values()}
    correct = sum(bool(row[1]) for row in second.values())
    failed = sum(row[2] == "failed" for row in second.values())
    print(f"{rows} trajectories of {len(tasks_seen)} tasks, {correct} correct, {failed} failed")
    differ = [key for key in first if first[key] != second.get(key)]
    print("every trajectory is that of the undisturbed run" if not differ else f"{len(differ)} differ")
    for key in differ[:3]:
        print(key, *difference(first[key], second.get(key)), sep="\n  ")
    return rows == len(tasks_seen) == tasks and not differ and first.keys() == second.keys()


def difference(one, other, place=""):
    """Where two values first differ, and how."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        pairs = [(one[key], other[key], f"{place}.{key}") for key in one]
    elif isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)) and len(one) == len(other):
        pairs = [(a, b, f"{place}[{i}]") for i, (a, b) in enumerate(zip(one, other))]
    else:
        return place, *(json.dumps(value)[:2000] for value in (one, other))
    return next((difference(*pair) for pair in pairs if pair[0] != pair[1]), (place,))


def faults(work):
    factual, math = 1000, 1000
    with Endpoint(factual, math) as endpoint:
        finish(start(work, "undisturbed", endpoint, factual, math, 64), work, "undisturbed")
    with Endpoint(factual, math, faults=0.25, latency=5) as endpoint:
        begun = time.time()
        finish(start(work, "faulty", endpoint, factual, math, 64), work, "faulty")
        stats = endpoint.stats()
    print(f"{stats['requests']} requests, faults {stats['faults']}, {time.time() - begun:.0f} s")
    return report(work, ("undisturbed", "faulty"), factual + math)


def kills(work):
    factual, math = 250, 250
    chance = random.Random(5)
    with Endpoint(factual, math, latency=40) as endpoint:
        finish(start(work, "undisturbed", endpoint, factual, math, 8), work, "undisturbed")
    counts = []
    with Endpoint(factual, math, latency=40) as endpoint:
        for _ in range(50):
            before = stored(work / "killed")[1]
            process = start(work, "killed", endpoint, factual, math, 2)
            time.sleep(chance.uniform(0.2, 3.5))
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            counts.append(stored(work / "killed")[1] - before)
        done = sum(counts)
        print(f"killed 50 times, {sum(count > 0 for count in counts)} of them with trajectories made since the last, "
              f"{done} of {factual + math} tasks done by then")
        finish(start(work, "killed", endpoint, factual, math, 16), work, "killed")
    return report(work, ("undisturbed", "killed"), factual + math)


def thoughts(work):
    """A teacher whose plans are wrong in 42 of 100 tasks when it acts and in 15 when it reasons; chosen, not measured."""
    kept = []
    for name, flags in [("without", []), ("with", ["--first-thought"])]:
        with Endpoint(500, 500, **{"agent-slip": 0.42, "reasoning-slip": 0.15}) as endpoint:
            process = start(work, name, endpoint, 500, 500, 64, flags, subprocess.PIPE)
            table = process.communicate(timeout=1800)[0].decode()
            finish(process, work, name)
        notes = [line for line in (work / f"{name}.log").read_text().splitlines() if "first thoughts" in line]
        print(f"{name} first-thought prefix\n{table}", *notes, sep="\n")
        kept.append(int(next(line for line in table.splitlines() if line.startswith("| agent")).split("|")[4]))
    return kept[1] > kept[0]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trial", choices=["faults", "kills", "thoughts"])
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(0 if {"faults": faults, "kills": kills, "thoughts": thoughts}[parser.parse_args().trial](pathlib.Path(folder)) else 1)
