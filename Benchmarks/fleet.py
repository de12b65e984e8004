#!/usr/bin/env python3
"""What a fleet costs: claims and records a second beside SQLite's, and how busy 16 workers keep an endpoint beside one process.

    Benchmarks/fleet.py [--tasks 4000] [--rollouts 1600]

Starts a PostgreSQL of its own with its usual settings (fsync on). Needs `make build`, and `swift build -c release --product fleet-bench
--product scripted-endpoint`; RETORT_BUILD=debug takes debug builds, whose figures only compare with each other.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "Tools"))
os.environ.setdefault("RETORT_BUILD", "release")
import fleet_trial  # noqa: E402

BUILD = fleet_trial.BUILD
RECIPE = fleet_trial.RECIPE.replace("concurrency: 4", "concurrency: 16")


def stats(endpoint):
    with urllib.request.urlopen(endpoint.address + "/stats", timeout=10) as reply:
        return json.load(reply)["requests"]


def steady(endpoint, process, rollouts):
    """Requests a second between a fifth and four fifths of them."""
    marks, total = [], 3 * rollouts
    while process.poll() is None:
        marks.append((time.time(), stats(endpoint)))
        time.sleep(0.2)
    inner = [mark for mark in marks if total / 5 <= mark[1] <= 4 * total / 5]
    return (inner[-1][1] - inner[0][1]) / (inner[-1][0] - inner[0][0])


def busy(work, postgres, rollouts, workers):
    rates = {}
    for name in ["one process", f"{workers} workers"]:
        endpoint = fleet_trial.Endpoint(rollouts // 2, latency=20, slots=16)
        with endpoint:
            folder = work / name.replace(" ", "-")
            recipe = work / "recipe.yaml"
            recipe.write_text(RECIPE.format(address=endpoint.address, half=rollouts // 2))
            shared = [] if name == "one process" else ["--store", postgres.address, "--plan-only"]
            log = open(work / "log", "a")
            process = subprocess.Popen([BUILD / "retort", "rollout", recipe, "--folder", folder, *shared], cwd=ROOT, stdout=log, stderr=log)
            others = [subprocess.Popen([BUILD / "retort", "worker", "--store", postgres.address, "--concurrency", "1",
                                        "--folder", work / f"w{number}"], cwd=ROOT, stdout=log, stderr=log)
                      for number in range(workers if shared else 0)]
            rates[name] = steady(endpoint, process, rollouts)
            for other in others:
                other.wait(timeout=60)
    return rates


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=4000)
    parser.add_argument("--rollouts", type=int, default=1600)
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--claims-only", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        postgres = fleet_trial.Postgres(work, "127.0.0.1")
        try:
            subprocess.run([BUILD / "fleet-bench", postgres.address, str(options.tasks)], check=True)
            if not options.claims_only:
                rates = busy(work, postgres, options.rollouts, options.workers)
                one = rates["one process"]
                for name, rate in rates.items():
                    print(f"| requests of {name} to a 20 ms endpoint | {rate:.0f} ({100 * rate / one:.0f} %) |")
        finally:
            postgres.kill()
