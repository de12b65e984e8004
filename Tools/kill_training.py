#!/usr/bin/env python3
"""Stops a training at random moments, ten times with SIGTERM and ten times with SIGKILL, lets it go on each time, and compares what
comes out with an undisturbed run. Needs `make build`; takes three minutes.

    Tools/kill_training.py [BINARY] [TIMES]

After SIGTERM the checkpoint has to hold every update that was done; after SIGKILL at most what was done since the last checkpoint
is lost, and those come every 1.2 seconds here. The
training looks for its rate and holds tasks out. Ends with code 1 when a checkpoint holds less, or weights, losses or a choice differ.
"""
import json
import os
import pathlib
import pty
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BINARY = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / ".build/release/retort").resolve()
TIMES = int(sys.argv[2]) if len(sys.argv) > 2 else 10
RECIPE = """
name: stops
seed: 7
domain: {world: {seed: 1, people: 100, passages: 1, train: {factual: 0, math: 60}}}
students: [{name: small, base: seedlings/1m}]
training:
  cot: {epochs: 12, learningRate: auto, rowTokens: 256, checkpointMinutes: 0.02, validation: {share: 0.15, every: 5, patience: none}}
evaluation: {systems: [cot], tasks: 1}
"""


class Run:
    """`retort train`, whose progress is read from a terminal of its own."""

    def __init__(self, recipe, folder):
        self.folder = folder
        ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [BINARY, "train", recipe, "--folder", folder], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=theirs)
        os.close(theirs)
        os.set_blocking(ours, False)
        self.terminal, self.text = ours, ""

    def updates(self):
        """Updates that were shown as done, and of how many."""
        try:
            while block := os.read(self.terminal, 1 << 16):
                self.text += block.decode(errors="replace")
        except OSError:
            pass
        found = re.findall(r"train/small/cot  (\d+)/(\d+) ", self.text)
        return (int(found[-1][0]), int(found[-1][1])) if found else (0, 0)

    def wait_for(self, update):
        while self.process.poll() is None and self.updates()[0] < update:
            time.sleep(0.02)

    def end(self, number=None):
        """The exit status, and the updates that were shown before it."""
        if number:
            self.process.send_signal(number)
        code = self.process.wait(timeout=120)
        shown = self.updates()[0]
        os.close(self.terminal)
        return code, shown


def checkpoint(folder):
    """How many updates the checkpoint holds, and when it was written."""
    file = folder / "checkpoints/small/cot/training.safetensors"
    if not file.exists():
        return 0, 0.0
    with open(file, "rb") as data:
        header = json.loads(data.read(int.from_bytes(data.read(8), "little")))
    return len(header["__metadata__"]["losses"].split()), file.stat().st_mtime


def difference(folder, other):
    """What two finished runs differ in; empty when in nothing."""
    losses = [json.loads((place / "results/loss-small-cot.json").read_text()) for place in (folder, other)]
    records = [json.loads((place / "results/training-small-cot.json").read_text()) for place in (folder, other)]
    for key in ("plan", "rangeTest", "planned", "updates", "kept", "validation"):
        if records[0].get(key) != records[1].get(key) or key != "rangeTest" and key not in records[0]:
            return f"'{key}' is {records[0].get(key)} and {records[1].get(key)}"
    weights = [(place / "checkpoints/small/cot/model.safetensors").read_bytes() for place in (folder, other)]
    first = next((number for number, (a, b) in enumerate(zip(*losses), 1) if a != b), None)
    if first or len(losses[0]) != len(losses[1]):
        return f"{len(losses[0])} and {len(losses[1])} losses, which differ from update {first} on"
    return "" if weights[0] == weights[1] else "the losses are the same and the weights are not"


def main():
    random.seed(int(os.environ.get("KILL_SEED", time.time())))
    faults = []
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        recipe = scratch / "recipe.yaml"
        recipe.write_text(RECIPE)
        # What is learned from is made once, so that the runs differ in their stops alone.
        subprocess.run([BINARY, "rollout", recipe, "--folder", scratch / "taught"], cwd=ROOT, check=True, capture_output=True)
        for name in ("undisturbed", "SIGTERM", "SIGKILL"):
            shutil.copytree(scratch / "taught", scratch / name)
        whole = Run(recipe, scratch / "undisturbed")
        whole.wait_for(10**9)
        code, _ = whole.end()
        total = whole.updates()[1] if code == 0 else 0
        losses = json.loads((scratch / "undisturbed/results/loss-small-cot.json").read_text()) if code == 0 else sys.exit(whole.text)
        total = len(losses)
        print(f"undisturbed: {total} updates")
        for name, number in (("SIGTERM", signal.SIGTERM), ("SIGKILL", signal.SIGKILL)):
            folder, lost, stops = scratch / name, [], []
            for time_of in range(TIMES):
                held, _ = checkpoint(folder)
                run = Run(recipe, folder)
                # Somewhere in the next share of what is left, so that all stops fit in.
                run.wait_for(held + random.randint(1, max(1, (total - held) // (TIMES - time_of + 1))))
                time.sleep(random.random() * 0.05)
                stopped = time.time()
                code, shown = run.end(number)
                if code == 0:
                    break
                now, written = checkpoint(folder)
                lost.append(max(shown - now, 0))
                stops.append(now)
                if number == signal.SIGTERM and (code != 130 or now < shown):
                    faults.append(f"{name}: code {code}, {shown} updates were done and {now} are kept")
                if number == signal.SIGKILL and written and shown > now and stopped - written > 3:
                    faults.append(f"{name}: the last checkpoint was {stopped - written:.1f} s old")
            run = Run(recipe, folder)
            run.wait_for(10**9)
            code, _ = run.end()
            differs = f"it ended with {code}" if code else difference(folder, scratch / "undisturbed")
            print(f"{name}: {len(lost)} stops after {stops} updates, {lost} lost; {differs or 'the result is the same'}", flush=True)
            if differs:
                faults.append(f"{name}: {differs}")
    for fault in faults:
        print(fault)
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
