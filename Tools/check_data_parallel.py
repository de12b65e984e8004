#!/usr/bin/env python3
"""Trains with one process and with several, and compares losses and weights; kills one of them, and goes on with other numbers of
processes. Where all weights are trained, it also looks at the memory of the optimizer's states, which are divided, and tells one process
to end between two checkpoints. Needs `make build` (RETORT names another binary), and tries `mpirun` where there is one.

    Tools/check_data_parallel.py [--processes 2 3] [--only full]

Adapters with dropout and full weights of the 1M Seedling, in float32, with rows that are shared out and rows that are cut. Ends with code 1
where a loss differs by more than 1e-5 or a weight by more than 1e-4, a process does not notice within ten seconds that another was killed, or
a process that was told to end loses an update that was finished.
"""
import argparse
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BINARY = pathlib.Path(os.environ.get("RETORT", ROOT / ".build/release/retort"))
RECIPE = """
name: parallel
seed: 7
domain: {{world: {{seed: 1, people: 100, passages: 1, train: {{factual: 0, math: 60}}}}}}
students: [{{name: small, base: seedlings/1m}}]
training:
  cot: {{epochs: 3, learningRate: 1e-3, precision: float32, rowTokens: 512, accumulation: {accumulation}, checkpointMinutes: {minutes},
        validation: {{share: 0.15, every: 5, patience: none}}{lora}}}
evaluation: {{systems: [cot], tasks: 1}}
"""
KINDS = {
    "adapters, rows shared out": (4, ", lora: {rank: 8, dropout: 0.05}"),
    "adapters, rows cut": (1, ", lora: {rank: 8, dropout: 0.05}"),
    "full weights": (2, ""),
}
faults = []


def variables():
    """An environment in which a process is alone."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("RANK", "WORLD_", "LOCAL_", "MASTER_", "OMPI_", "SLURM_", "PMIX_"))}


def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Team:
    """`retort train` as several processes, each with its own standard error."""

    def __init__(self, recipe, folder, size):
        meeting = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port())}
        self.logs = [folder.with_name(f"{folder.name}.{rank}.log") for rank in range(size)]
        self.processes = []
        for rank, log in enumerate(self.logs):
            own = {**variables(), **({"RANK": str(rank), **meeting} if size > 1 else {})}
            with open(log, "w") as errors:
                self.processes.append(subprocess.Popen(
                    [BINARY, "train", recipe, "--folder", folder], cwd=ROOT, env=own, stdout=subprocess.DEVNULL, stderr=errors))

    def wait(self, seconds=600):
        return [process.wait(timeout=seconds) for process in self.processes]

    def text(self, rank):
        return self.logs[rank].read_text()


def tensors(file):
    """By name, the numbers of float32 tensors."""
    with open(file, "rb") as data:
        header = json.loads(data.read(int.from_bytes(data.read(8), "little")))
        start = data.tell()
        found = {}
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            data.seek(start + entry["data_offsets"][0])
            raw = data.read(entry["data_offsets"][1] - entry["data_offsets"][0])
            assert entry["dtype"] == "F32", entry
            found[name] = struct.unpack(f"<{len(raw) // 4}f", raw)
    return found


def results(folder):
    losses = json.loads((folder / "results/loss-small-cot.json").read_text())
    record = json.loads((folder / "results/training-small-cot.json").read_text())
    looks = [point["loss"] for point in record["validation"]["points"]]
    weights = {}
    for name in ("model.safetensors", "adapter_model.safetensors"):
        file = folder / "checkpoints/small/cot" / name
        if file.exists():
            weights |= tensors(file)
    return losses, looks, weights, record


def compare(folder, other, what):
    (losses, looks, weights, record), (theirs, their_looks, their_weights, theirs_record) = results(folder), results(other)
    same = len(losses) == len(theirs) and len(looks) == len(their_looks) and weights.keys() == their_weights.keys() and weights
    loss = max((abs(a - b) for a, b in zip(losses + looks, theirs + their_looks)), default=9)
    # A bias of keys moves no score: its gradient is rounding alone, which Adam makes steps of.
    weight = max(abs(a - b) for name in weights if not name.endswith("k_proj.bias") for a, b in zip(weights[name], their_weights[name]))
    print(f"  {what}: {len(losses)} updates, losses differ by {loss:.1e} at most, weights by {weight:.1e}, {record['seconds']:.1f} s", flush=True)
    if not same or loss > 1e-5 or weight > 1e-4 or record["kept"] != theirs_record["kept"]:
        faults.append(f"{what} differs")


def updates(folder):
    """How many updates the checkpoint holds."""
    try:
        with open(folder / "checkpoints/small/cot/training.safetensors", "rb") as data:
            header = json.loads(data.read(int.from_bytes(data.read(8), "little")))
        return len(header["__metadata__"]["losses"].split())
    except (OSError, ValueError):
        return 0


def kill(recipe, folder, size, victim, after):
    """Kills one process after some updates. The others have to end by themselves, and to say who it was."""
    team = Team(recipe, folder, size)
    while updates(folder) < after and all(process.poll() is None for process in team.processes):
        time.sleep(0.01)
    team.processes[victim].send_signal(signal.SIGKILL)
    start = time.time()
    try:
        codes = team.wait(60)
    except subprocess.TimeoutExpired:
        for process in team.processes:
            process.kill()
        codes = [0] * size
    seconds = time.time() - start
    told = [team.text(rank).strip().split("\n")[-1] for rank in range(size) if rank != victim]
    named = all(f"rank {victim} on" in line for line in told)
    print(f"  rank {victim} of {size} killed after {after} updates: the others ended after {seconds:.1f} s with {codes}; {updates(folder)} updates kept", flush=True)
    print(f"    {told[0]}")
    if not named or seconds > 10 or any(code == 0 for code in codes) or updates(folder) < after:
        faults.append(f"rank {victim} of {size} killed: {codes} after {seconds:.1f} s, {told}")


def states(record, weights, size):
    """Whether each process holds an equal part of the optimizer's states."""
    count = sum(len(values) for values in weights.values())
    own = record.get("optimizerBytes")
    print(f"  {size} processes: {own} bytes of optimizer's states in each, {8 * count} in all", flush=True)
    if own != -(-count // size) * 8:
        faults.append(f"{size} processes: {own} bytes of optimizer's states in each")


def finished(folder):
    """How many updates of the training were finished, by the run's journal."""
    try:
        lines = [json.loads(line) for line in (folder / "progress.jsonl").read_text().splitlines()]
    except (OSError, ValueError):
        return 0
    return max((line.get("done", 0) for line in lines if line["stage"].startswith("train/")), default=0)


def interrupt(recipe, folder, size, victims, after):
    """Tells processes to end, long before a checkpoint is due. All have to end, and every finished update has to be in the checkpoint."""
    team = Team(recipe, folder, size)
    while finished(folder) < after and all(process.poll() is None for process in team.processes):
        time.sleep(0.01)
    for victim in victims:
        team.processes[victim].send_signal(signal.SIGTERM)
    done, start = finished(folder), time.time()
    codes = team.wait(60)
    seconds = time.time() - start
    kept = updates(folder)
    print(f"  ranks {victims} of {size} told to end: all ended after {seconds:.1f} s with {codes}; {kept} updates kept", flush=True)
    print(f"    {team.text(0).strip().splitlines()[-1]}")
    if kept < max(done, 1) or seconds > 20 or any(code == 0 for code in codes):
        faults.append(f"ranks {victims} of {size} told to end: {codes}, {kept} of {done} updates kept; {team.text(0)[-400:]}")
        return False
    return True


def by_mpirun(recipe, folder):
    command = ["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", "2", BINARY, "train", recipe, "--folder", folder]
    done = subprocess.run(command, cwd=ROOT, env=variables(), capture_output=True, text=True)
    if done.returncode:
        faults.append(f"mpirun ended with {done.returncode}: {done.stderr[-800:]}")
    return done.returncode == 0


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--processes", type=int, nargs="+", default=[2, 3])
    options.add_argument("--only", default="", help="kinds whose name has this in it")
    options = options.parse_args()
    processes = options.processes
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        taught = scratch / "taught"
        for number, (kind, (accumulation, lora)) in enumerate(KINDS.items()):
            if options.only not in kind:
                continue
            print(kind, flush=True)
            recipe = scratch / f"recipe{number}.yaml"
            recipe.write_text(RECIPE.format(accumulation=accumulation, lora=lora, minutes=0))
            if not taught.exists():
                subprocess.run([BINARY, "rollout", recipe, "--folder", taught], cwd=ROOT, check=True, capture_output=True, env=variables())

            def new(name):
                return pathlib.Path(shutil.copytree(taught, scratch / f"{number}-{name}"))

            one = new("one")
            Team(recipe, one, 1).wait()
            print(f"  one process: {len(results(one)[0])} updates, {results(one)[3]['seconds']:.1f} s", flush=True)
            for size in processes:
                folder = new(f"by{size}")
                team = Team(recipe, folder, size)
                codes = team.wait()
                if any(codes):
                    faults.append(f"{size} processes ended with {codes}: {team.text(0)[-600:]}")
                    continue
                compare(folder, one, f"{size} processes")
                if not lora:
                    states(results(folder)[3], results(folder)[2], size)
            if shutil.which("mpirun"):
                folder = new("mpirun")
                if by_mpirun(recipe, folder):
                    compare(folder, one, "mpirun -n 2")
            for size, victim in ((2, 1), (3, 2), (2, 0)):
                folder = new(f"killed{victim}of{size}")
                kill(recipe, folder, size, victim, 4)
                for again in (1, 2):
                    resumed = pathlib.Path(shutil.copytree(folder, scratch / f"{folder.name}-by{again}"))
                    codes = Team(recipe, resumed, again).wait()
                    if any(codes):
                        faults.append(f"resumed by {again}: {codes}")
                        continue
                    compare(resumed, one, f"resumed by {again}")
            for size, victims in ((2, [0]), (3, [2]), (2, [0, 1])) if not lora else ():
                seldom = scratch / f"recipe{number}-seldom.yaml"
                seldom.write_text(RECIPE.format(accumulation=accumulation, lora=lora, minutes=60))
                folder = new(f"told{'and'.join(map(str, victims))}of{size}")
                if interrupt(seldom, folder, size, victims, 3):
                    for again in (1, 3):
                        resumed = pathlib.Path(shutil.copytree(folder, scratch / f"{folder.name}-by{again}"))
                        if any(Team(seldom, resumed, again).wait()):
                            faults.append(f"resumed by {again} after ranks {victims} were told to end")
                            continue
                        compare(resumed, one, f"resumed by {again}")
    for fault in faults:
        print(f"FAULT: {fault}")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
