#!/usr/bin/env python3
"""Runs queries of StableToolBench against our own server of virtual APIs, kills the run with SIGKILL at random moments, lets it
go on, and looks whether every query is there exactly once, with an ending.

    Tools/kill_resume_apis.py ../shared/data/stabletoolbench/G3_instruction.json --limit 20
    RETORT=.build/debug/retort Tools/kill_resume_apis.py queries.json --model checkpoints/qwen --kills 10 --kill-server

One model plays the APIs and all roles, held to the grammars so that calls are made; what it says does not matter here. Ends
with code 1 when a query is lost, double or without an ending, or when the run hangs. Needs `make build`.
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
import urllib.parse
from collections import Counter

from server_process import RETORT, ROOT, Server
from stored_runs import stored


def start(options, address, folder, log):
    return subprocess.Popen(
        [RETORT, "evaluate", "virtual-apis", options.queries, "--apis", address, "--model", options.model,
         "--out", folder, "--instructions", "brief", "--maximum-steps", "3", "--maximum-tokens", "96",
         "--concurrency", "4", "--limit", str(options.limit), "--constrained", "--json"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True)


def serve(options, work, port=0):
    return Server("--model", options.model, "--queries", options.queries, "--cache", work / "replies.sqlite",
                  "--maximum-tokens", "64", command="serve-apis", port=port)


def trial(options, work):
    folder, chance = work / "run", random.Random(options.seed)
    server = serve(options, work)
    kills, early = 0, 0
    with open(work / "log", "w+") as log:
        try:
            for _ in range(options.kills):
                process = start(options, server.address, folder, log)
                try:
                    process.wait(chance.uniform(options.shortest, options.longest))
                    early += 1
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                    kills += 1
                print(f"{'killed' if process.returncode < 0 else 'done'} with {stored(folder)[1]} of {options.limit} queries")
                if options.kill_server:
                    server.process.kill()
                    server.stop()
                    # At the same address, which is part of what the runs were made with.
                    server = serve(options, work, urllib.parse.urlsplit(server.address).port)
            process = start(options, server.address, folder, log)
            try:
                said = process.communicate(timeout=options.patience)[0]
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise SystemExit(f"the run hangs: {stored(folder)[1]} queries after {options.patience} s")
            if process.returncode:
                log.seek(0)
                raise SystemExit(log.read()[-4000:])
            summary = json.loads(said)
        finally:
            server.stop()
    return kills, early, summary, folder


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("queries")
    parser.add_argument("--model", default="seedlings/1m")
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--kill-server", action="store_true", help="kill the server of the APIs as well, and start another")
    parser.add_argument("--shortest", type=float, default=0.5, help="seconds until a kill, at least")
    parser.add_argument("--longest", type=float, default=8, help="seconds until a kill, at most")
    parser.add_argument("--patience", type=float, default=900, help="seconds for the last run")
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args()
    options.queries = str(pathlib.Path(options.queries).resolve())
    queries = len(json.load(open(options.queries)))
    options.limit = min(options.limit, queries)
    begun = time.time()
    with tempfile.TemporaryDirectory() as work:
        kills, early, summary, folder = trial(options, pathlib.Path(work))
        runs, rows = stored(folder)
    tasks = Counter(run[0] for run in runs.values())
    endings = Counter(run[2] for run in runs.values())
    print(f"{kills} kills, {early} runs that were done before; {rows} rows, {len(tasks)} queries of {options.limit}, "
          f"endings {dict(endings)}, {summary['calls']} calls, {time.time() - begun:.0f} s")
    whole = rows == len(tasks) == options.limit == summary["queries"] and "unfinished" not in endings and kills > 0
    print("none is lost, none is double, each has an ending" if whole else "NOT every query is there once with an ending")
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
