#!/usr/bin/env python3
"""How a fleet fares beyond the machines at hand: a simulation of workers and one PostgreSQL from figures that were measured.

    Tools/fleet_simulation.py --rate 1500 --from runs/quickstart --mean 20

Each lane of a worker claims a task, works on it, records it, and begins again; each worker sends its heartbeat. PostgreSQL is a queue that takes
`--rate` statements a second (`fleet-bench` measures claims with records: twice that figure). How long tasks take relative to one another is
drawn from a run's stored trajectories (`--from`), and `--mean` says how long they take on average with the model that is meant.
"""
import argparse
import heapq
import json
import pathlib
import random
import sqlite3
import statistics


def shape(folder):
    """The times of a run's trajectories in the model, divided by their mean; without a run a log-normal one of σ = 0.6."""
    if folder is None:
        draw = random.Random(1)
        times = [draw.lognormvariate(0, 0.6) for _ in range(2000)]
    else:
        with sqlite3.connect(f"file:{pathlib.Path(folder) / 'trajectories.sqlite'}?mode=ro", uri=True) as database:
            rows = database.execute("SELECT trajectory FROM trajectory WHERE ending <> 'failed'").fetchall()
        times = [sum(step["usage"]["seconds"] for step in json.loads(row[0])["steps"]) for row in rows]
    mean = statistics.fmean(times)
    return [time / mean for time in times if time > 0]


def simulate(workers, width, times, mean, rate, lease, seconds, seed=1):
    """Share of the lanes' time at work, of PostgreSQL's at work, the 99th percentile of a statement's wait, and tasks a second."""
    draw, events, free, busy, waits = random.Random(seed), [], 0.0, 0.0, []
    working, done, order = 0.0, 0, 0
    warm = seconds / 4
    for worker in range(workers):
        heapq.heappush(events, (draw.uniform(0, lease / 4), order, "beat"))
        order += 1
        for _ in range(width):
            # Lanes begin spread over the time of a task, as they are after a while.
            heapq.heappush(events, (draw.uniform(0, mean), order, "claim"))
            order += 1
    while events:
        now, _, kind = heapq.heappop(events)
        if now > seconds:
            break
        # A heartbeat prolongs the claims, is noted, and tells what was spent.
        cost = (3 if kind == "beat" else 1) / rate
        begin = max(now, free)
        free = begin + cost
        if now > warm:
            busy += cost
            waits.append(free - now)
        order += 1
        if kind == "beat":
            heapq.heappush(events, (max(free, now + lease / 4), order, "beat"))
        elif kind == "record":
            done += now > warm
            heapq.heappush(events, (free, order, "claim"))
        else:
            length = draw.choice(times) * mean
            working += max(0, min(free + length, seconds) - max(free, warm))
            heapq.heappush(events, (free + length, order, "record"))
    span = seconds - warm
    waits.sort()
    return working / (span * workers * width), busy / span, waits[int(0.99 * len(waits))] if waits else 0, done / span


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, required=True, help="statements a second that PostgreSQL takes")
    parser.add_argument("--from", dest="run", help="a run's folder")
    parser.add_argument("--mean", type=float, default=20, help="seconds of a task")
    parser.add_argument("--width", type=int, default=16, help="tasks at once of a worker")
    parser.add_argument("--lease", type=float, default=60)
    parser.add_argument("--workers", type=int, nargs="*", default=[16, 100, 300, 1000, 2000])
    options = parser.parse_args()
    times = shape(options.run)
    print("| workers | tasks/s | lanes at work | PostgreSQL busy | a statement's wait, 99 % |\n| ---: | ---: | ---: | ---: | ---: |")
    for workers in options.workers:
        lanes, busy, wait, done = simulate(
            workers, options.width, times, options.mean, options.rate, options.lease, max(6 * options.mean, 90))
        print(f"| {workers} | {done:.0f} | {100 * lanes:.1f} % | {100 * min(busy, 1):.0f} % | {1000 * wait:.0f} ms |")
