#!/usr/bin/env python3
"""What a fleet costs: claims and records a second beside SQLite's, and how busy 16 workers keep an endpoint beside one process.

    Benchmarks/fleet.py [--tasks 4000] [--rollouts 1600]
    Benchmarks/fleet.py --server        what the server takes, whoever asks: the very statements, from pgbench

Starts a PostgreSQL of its own with its usual settings (fsync on). Needs `make build`, and `swift build -c release --product fleet-bench
--product scripted-endpoint`; RETORT_BUILD=debug takes debug builds, whose figures only compare with each other.
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "Tools"))
import fleet_trial  # noqa: E402

BUILD = fleet_trial.BUILD
RECIPE = fleet_trial.RECIPE.replace("concurrency: 4", "concurrency: 16")


SERVER_SETUP = """
INSERT INTO retort.run VALUES ('b', 'f', 'p', now() + interval '1 hour', 'v', '{}', '[]', 60);
INSERT INTO retort.stage VALUES ('b', 's', 'k', '{}', '[]', 0);
INSERT INTO retort.task (run, stage, id, phase, job)
    SELECT 'b', 's', 'task-' || n, 0, repeat(md5(n::text), 12) FROM generate_series(1, %d) n;
ANALYZE retort.task;
"""
# The claim and the record of Sources/RetortStore/Fleet/FleetTasks.swift.
SERVER_WORK = """
WITH open AS MATERIALIZED (
    SELECT id FROM retort.task
    WHERE run = 'b' AND stage = 's' AND phase = 0 AND NOT is_done AND lease_until < now() AND lost < 10
    ORDER BY lease_until, sequence LIMIT 1 FOR UPDATE SKIP LOCKED)
UPDATE retort.task t SET attempt = t.attempt + 1, lost = t.lost + (t.lease_until > '-infinity')::int, worker = 'w:client_id',
    lease_until = now() + interval '60 seconds'
FROM open WHERE t.run = 'b' AND t.stage = 's' AND t.id = open.id RETURNING t.id AS id, t.attempt AS attempt \\gset
UPDATE retort.task SET is_done = true, finished = now(), job = NULL, result = '%s', correct = true, failure = NULL
WHERE run = 'b' AND stage = 's' AND id = ':id' AND attempt = :attempt AND NOT is_done;
"""


def server(work, postgres, tasks, seconds):
    """Tasks claimed and recorded a second, by the number of sessions, and the bytes that a task takes."""
    subprocess.run([BUILD / "retort", "fleet", "--store", postgres.address], capture_output=True)
    programs, result = postgres.programs, json.dumps([{"trajectory": "".join(f"{n:x} and what it says " for n in range(150))}])

    def ask(text):
        return subprocess.run([f"{programs}/psql", "-XAtqc", text, postgres.address], check=True, capture_output=True, text=True).stdout.strip()

    ask(SERVER_SETUP % tasks)
    (work / "work.sql").write_text(SERVER_WORK % result)
    print(f"results of {len(result)} bytes\n\n| sessions | tasks claimed and recorded a second | ms each |\n| ---: | ---: | ---: |")
    for sessions in [1, 4, 16, 64]:
        done = subprocess.run(
            [f"{programs}/pgbench", "-n", "-f", work / "work.sql", "-c", str(sessions), "-j", "2", "-T", str(seconds), postgres.address],
            capture_output=True, text=True)
        rate = re.search(r"tps = ([\d.]+)", done.stdout)
        if not rate:
            sys.exit(done.stdout + done.stderr)
        print(f"| {sessions} | {float(rate.group(1)):.0f} | {1000 * sessions / float(rate.group(1)):.1f} |", flush=True)
    size = ask("SELECT pg_total_relation_size('retort.task') / count(*), count(*) FILTER (WHERE is_done) FROM retort.task")
    print(f"bytes a task with its indices, and tasks done: {size}")


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
    parser.add_argument("--server", action="store_true")
    parser.add_argument("--seconds", type=int, default=15, help="with --server: for each number of sessions")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        postgres = fleet_trial.Postgres(work, "127.0.0.1")
        try:
            if options.server:
                server(work, postgres, 15 * options.tasks, options.seconds)
                sys.exit()
            subprocess.run([BUILD / "fleet-bench", postgres.address, str(options.tasks)], check=True)
            if not options.claims_only:
                rates = busy(work, postgres, options.rollouts, options.workers)
                one = rates["one process"]
                for name, rate in rates.items():
                    print(f"| requests of {name} to a 20 ms endpoint | {rate:.0f} ({100 * rate / one:.0f} %) |")
        finally:
            postgres.kill()
