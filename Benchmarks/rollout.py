#!/usr/bin/env python3
"""What orchestration costs: Retort beside smolagents, against the same endpoint in the same run.

    make bench-rollout

An endpoint with 8 slots answers each request after 20 ms, so it can do 400 requests a second (SLOTS sets another number). Agents of three turns are
driven against it: Retort with 256 at once, smolagents' CodeAgent with 256 threads and its OpenAI model class. Reported are
how busy the slots were kept, and the processor time of the driving process for each step. `pretend` leaves the interpreter
out; `sandbox` runs the programs in Retort's sandbox; smolagents interprets them in its own process.
Writes Benchmarks/results/rollout.json.
"""
import json
import os
import pathlib
import resource
import subprocess
import sys
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / ".build/release"))
SLOTS, LATENCY, STEPS, AGENTS = int(os.environ.get("SLOTS", 8)), 20, 3, 256


class Endpoint:
    def __enter__(self):
        arguments = ["--fixed", "--steps", str(STEPS), "--slots", str(SLOTS), "--latency", str(LATENCY)]
        self.process = subprocess.Popen([BUILD / "scripted-endpoint", *arguments], stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip()
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def stats(self):
        with urllib.request.urlopen(self.address + "/stats", timeout=10) as reply:
            return json.load(reply)


def figures(endpoint, seconds, cpu, answered, tasks):
    stats = endpoint.stats()
    return {
        "tasks": tasks, "answered": answered, "steps": stats["requests"], "seconds": seconds,
        "steps_per_second": stats["requests"] / seconds, "busy": stats["busySeconds"] / (SLOTS * seconds),
        "cpu_milliseconds_per_step": 1000 * cpu / stats["requests"],
    }


def retort(environment, form, tasks):
    with Endpoint() as endpoint:
        done = subprocess.run(
            [BUILD / "rollout-bench", endpoint.address, str(tasks), str(AGENTS), str(AGENTS), environment, form],
            capture_output=True, text=True, check=True)
        result = json.loads(done.stdout)
        return figures(endpoint, result["seconds"], result["cpuSeconds"], result["answered"], tasks)


def smolagents_worker(address, tasks):
    """In a process of its own, so that its processor time is its alone."""
    from concurrent.futures import ThreadPoolExecutor

    from smolagents import CodeAgent, OpenAIServerModel

    model = OpenAIServerModel(model_id="canned", api_base=address + "/v1", api_key="none")

    def work(number):
        agent = CodeAgent(tools=[], model=model, max_steps=8, verbosity_level=0, code_block_tags="markdown")
        return agent.run(f"What is {number} doubled?")

    def cpu():
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime

    before, start = cpu(), time.time()
    with ThreadPoolExecutor(AGENTS) as pool:
        answered = sum(answer == 42 for answer in pool.map(work, range(tasks)))
    print(json.dumps({"seconds": time.time() - start, "cpu": cpu() - before, "answered": answered}))


def smolagents(tasks):
    with Endpoint() as endpoint:
        done = subprocess.run(
            [sys.executable, __file__, "--smolagents", endpoint.address, str(tasks)], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(done.stderr)
        result = json.loads(done.stdout.splitlines()[-1])
        return figures(endpoint, result["seconds"], result["cpu"], result["answered"], tasks)


def main():
    tasks = int(os.environ.get("TASKS", 8000))
    results = {
        "slots": SLOTS, "latency_milliseconds": LATENCY, "agents": AGENTS, "cores": os.cpu_count(),
        "build": BUILD.name, "load_before": os.getloadavg()[0],
        "runs": {
            "Retort, whole replies": retort("pretend", "whole", tasks),
            "Retort, streamed": retort("pretend", "stream", tasks),
            "Retort, streamed, programs in the sandbox": retort("sandbox", "stream", tasks // 2),
            "smolagents": smolagents(tasks // 8),
        },
    }
    print(f"| what | slots busy | steps/s | CPU ms a step |\n| --- | ---: | ---: | ---: |")
    for name, run in results["runs"].items():
        print(f"| {name} | {100 * run['busy']:.1f} % | {run['steps_per_second']:.0f} | "
              f"{run['cpu_milliseconds_per_step']:.2f} |")
        if run["answered"] != run["tasks"]:
            print(f"  only {run['answered']} of {run['tasks']} tasks were answered")
    (ROOT / "Benchmarks/results/rollout.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    smolagents_worker(sys.argv[2], int(sys.argv[3])) if "--smolagents" in sys.argv else main()
