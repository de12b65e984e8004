#!/usr/bin/env python3
"""A fleet that is killed again and again, compared with one process that nobody disturbs.

    Tools/fleet_trial.py            1,000 rollouts, 10 disturbances
    Tools/fleet_trial.py --full     5,000 rollouts, 50 disturbances

PostgreSQL, a planner and four workers on three hosts share out rollouts of a teacher whose endpoint commits faults. The hosts are
network namespaces where these can be made (as root), and processes of this machine elsewhere. Workers, the planner and PostgreSQL are
killed with SIGKILL at random moments and started again, and hosts are cut off from the network for longer than a lease lasts.
Where there is a C compiler, one worker's clock is an hour fast.

Needs `make build`, `swift build -c release --product scripted-endpoint` (RETORT_BUILD=debug takes debug builds), PostgreSQL's
programs and python3. Ends with code 1 unless every task is
in the planner's store exactly once and every trajectory, but for its times, is that of the undisturbed run.
"""
import argparse
import glob
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from stored_runs import stored

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / ".build" / os.environ.get("RETORT_BUILD", "release")
LEASE = 4
NETWORK = "10.77.41"
RECIPE = """
name: trial
seed: 7
domain: {{world: {{seed: 1, people: 600, passages: 2, train: {{factual: {half}, math: {half}}}}}}}
teacher:
  endpoint: {address}
  model: scripted-teacher
  concurrency: 4
  attempts: 40
  seconds: {{connect: 5, firstByte: 3, idle: 3, total: 30, patience: 3600, backoff: 0.1}}
students: [{{name: none, base: seedlings/1m}}]
training: {{agent: {{}}}}
evaluation: {{systems: [agent], programSeconds: 60}}
"""


def sh(*words, check=True):
    return subprocess.run(words, check=check, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


class Hosts:
    """Network namespaces on one bridge, or this machine alone."""

    def __init__(self, count):
        self.names = []
        self.address = "127.0.0.1"
        if os.geteuid() != 0 or not shutil.which("ip"):
            return
        try:
            sh("ip", "link", "add", "rtf0", "type", "bridge")
            sh("ip", "address", "add", f"{NETWORK}.1/24", "dev", "rtf0")
            sh("ip", "link", "set", "rtf0", "up")
            for number in range(count):
                name = f"rtf-host{number}"
                sh("ip", "netns", "add", name)
                self.names.append(name)
                sh("ip", "link", "add", f"rtf{number}a", "type", "veth", "peer", "name", f"rtf{number}b")
                sh("ip", "link", "set", f"rtf{number}b", "netns", name)
                sh("ip", "link", "set", f"rtf{number}a", "master", "rtf0", "up")
                sh("ip", "-n", name, "address", "add", f"{NETWORK}.{number + 10}/24", "dev", f"rtf{number}b")
                sh("ip", "-n", name, "link", "set", f"rtf{number}b", "up")
                sh("ip", "-n", name, "link", "set", "lo", "up")
            self.address = f"{NETWORK}.1"
        except subprocess.CalledProcessError as error:
            print(f"no network namespaces here ({error.stdout.strip()}): the hosts are this machine")
            self.close()

    def on(self, host):
        return ["ip", "netns", "exec", self.names[host]] if self.names else []

    def cut(self, host, is_cut):
        sh("ip", "link", "set", f"rtf{host}a", "down" if is_cut else "up")

    def close(self):
        for number, name in enumerate(self.names):
            sh("ip", "netns", "delete", name, check=False)
            sh("ip", "link", "delete", f"rtf{number}a", check=False)
        sh("ip", "link", "delete", "rtf0", check=False)
        self.names = []


class Postgres:
    """A server of the trial's own, with its writes synced as they are in earnest."""

    def __init__(self, work, address):
        versions = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[4]))
        self.programs = versions[-1] if versions else os.path.dirname(shutil.which("initdb") or sys.exit("PostgreSQL is not installed"))
        self.folder = work / "pg"
        self.folder.mkdir()
        self.user = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"] if os.geteuid() == 0 else []
        if self.user:
            sh("chown", "nobody", str(self.folder))
            os.chmod(work, 0o755)
        sh(*self.user, f"{self.programs}/initdb", "-D", f"{self.folder}/data", "-U", "retort", "-A", "trust", "-E", "UTF8", "--no-locale")
        with open(self.folder / "data" / "pg_hba.conf", "a") as rules:
            rules.write(f"host all all {NETWORK}.0/24 trust\n")
        self.port = random.Random().randint(20000, 40000)
        self.listen = f"127.0.0.1,{address}" if address != "127.0.0.1" else address
        self.address = f"postgresql://retort@{address}:{self.port}/postgres"
        self.start()

    def start(self):
        for _ in range(120):
            self.process = subprocess.Popen(
                [*self.user, f"{self.programs}/postgres", "-D", f"{self.folder}/data", "-k", str(self.folder), "-p", str(self.port),
                 "-c", f"listen_addresses={self.listen}"],
                stdout=open(self.folder / "log", "a"), stderr=subprocess.STDOUT, start_new_session=True)
            for _ in range(50):
                time.sleep(0.1)
                if self.process.poll() is not None:
                    break
                if sh(f"{self.programs}/psql", "-Xqc", "SELECT 1", self.address, check=False).returncode == 0:
                    return
            # Backends of the one that was killed may still hold its memory.
            self.kill()
            time.sleep(0.5)
        sys.exit((self.folder / "log").read_text()[-3000:])

    def kill(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


class Endpoint:
    """The scripted teacher, with noise of its own."""

    def __init__(self, half, host="127.0.0.1", **options):
        words = ["--people", "600", "--factual", str(half), "--math", str(half), "--agent-slip", "0.3", "--unreadable", "0.05",
                 "--host", "0.0.0.0" if host != "127.0.0.1" else host]
        for name, value in options.items():
            words += [f"--{name}", str(value)]
        self.process = subprocess.Popen([BUILD / "scripted-endpoint", *words], stdout=subprocess.PIPE, text=True)
        port = re.search(r":(\d+)\s*$", self.process.stdout.readline()).group(1)
        self.address = f"http://{host}:{port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


# libfaketime does not start beside jemalloc: each waits for the other.
FAST_CLOCK = """
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *time) {
    long failed = syscall(SYS_clock_gettime, clock, time);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += 3600;
    return (int)failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec time;
    int failed = clock_gettime(CLOCK_REALTIME, &time);
    if (!failed) now->tv_sec = time.tv_sec, now->tv_usec = time.tv_nsec / 1000;
    return failed;
}

time_t time(time_t *now) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    if (now) *now = time.tv_sec;
    return time.tv_sec;
}
"""


def fast_clock(work):
    """A library that makes a program's clock an hour fast; None without a compiler."""
    compiler = shutil.which("cc") or shutil.which("clang")
    if not compiler:
        return None
    (work / "clock.c").write_text(FAST_CLOCK)
    sh(compiler, "-shared", "-fPIC", "-O1", "-o", str(work / "clock.so"), str(work / "clock.c"))
    return work / "clock.so"


class Fleet:
    """A planner and four workers, each in a session of its own."""

    def __init__(self, work, recipe, hosts, store):
        self.work, self.recipe, self.hosts, self.store = work, recipe, hosts, store
        self.clock = fast_clock(work)
        self.planner = self.start_planner()
        self.workers = [self.start_worker(number) for number in range(4)]

    def run(self, name, words, prefix=(), **variables):
        return subprocess.Popen(
            [*prefix, BUILD / "retort", *words], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=open(self.work / f"{name}.log", "a"),
            start_new_session=True, env={**os.environ, **variables})

    def start_planner(self):
        return self.run("planner", ["rollout", self.recipe, "--folder", self.work / "fleet", "--store", self.store, "--plan-only",
                                    "--lease", str(LEASE)])

    def start_worker(self, number):
        clock = {"LD_PRELOAD": str(self.clock)} if number == 3 and self.clock else {}
        return self.run(f"worker{number}", ["worker", "--store", self.store, "--run", "trial", "--folder", self.work / f"worker{number}"],
                        self.hosts.on(min(number, 2)), **clock)

    @staticmethod
    def kill(process):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()

    def tend(self):
        """Starts what has ended, as whatever runs a fleet would; a worker that started while PostgreSQL was away gives up."""
        for number, worker in enumerate(self.workers):
            if worker.poll() not in (None, 0):
                self.workers[number] = self.start_worker(number)
        if self.planner.poll() not in (None, 0):
            self.planner = self.start_planner()

    def close(self):
        for process in [self.planner, *self.workers]:
            self.kill(process)


def disturb(fleet, postgres, hosts, chance, kinds):
    """One disturbance; says which it was."""
    kind = chance.choices(list(kinds), weights=kinds.values())[0]
    if kind == "worker":
        number = chance.randrange(4)
        fleet.kill(fleet.workers[number])
        fleet.workers[number] = fleet.start_worker(number)
    elif kind == "planner":
        fleet.kill(fleet.planner)
        fleet.planner = fleet.start_planner()
    elif kind == "PostgreSQL":
        postgres.kill()
        time.sleep(chance.uniform(0, 2))
        postgres.start()
    else:
        host = chance.randrange(3)
        hosts.cut(host, True)
        time.sleep(chance.uniform(1, 2.5) * LEASE)
        hosts.cut(host, False)
    return kind


def trial(work, rollouts, disturbances, pause, latency):
    half = rollouts // 2
    recipe = work / "recipe.yaml"
    with Endpoint(half) as endpoint:
        recipe.write_text(RECIPE.format(address=endpoint.address, half=half).replace("concurrency: 4", "concurrency: 16"))
        begun = time.time()
        with open(work / "alone.log", "w") as log:
            code = subprocess.run([BUILD / "retort", "rollout", recipe, "--folder", work / "alone"], cwd=ROOT, stdout=log, stderr=log).returncode
        if code:
            sys.exit((work / "alone.log").read_text())
        print(f"undisturbed: {rollouts} rollouts in one process in {time.time() - begun:.0f} s", flush=True)
    hosts = Hosts(3)
    fleet = postgres = None
    chance, counts = random.Random(3), {}
    kinds = {"worker": 6, "PostgreSQL": 2, "planner": 1, **({"network": 1} if hosts.names else {})}
    try:
        postgres = Postgres(work, hosts.address)
        with Endpoint(half, hosts.address, faults=0.1, latency=latency) as endpoint:
            recipe.write_text(RECIPE.format(address=endpoint.address, half=half))
            begun = time.time()
            fleet = Fleet(work, recipe, hosts, postgres.address)
            while sum(counts.values()) < disturbances and fleet.planner.poll() is None:
                time.sleep(chance.uniform(0.5, 1.5) * pause)
                fleet.tend()
                before = stored(work / "fleet")[1]
                kind = disturb(fleet, postgres, hosts, chance, kinds)
                counts[kind] = counts.get(kind, 0) + 1
                print(f"{time.time() - begun:5.0f} s  {kind} at {before} of {rollouts}", flush=True)
            while fleet.planner.poll() != 0:
                fleet.tend()
                time.sleep(1)
                if time.time() - begun > 3 * 3600:
                    sys.exit("the fleet did not end\n" + (work / "planner.log").read_text()[-3000:])
            seconds = time.time() - begun
            found = json.loads(subprocess.run(
                [BUILD / "retort", "fleet", "--store", postgres.address, "--run", "trial", "--json"], stdout=subprocess.PIPE, check=True).stdout)
            for number, worker in enumerate(fleet.workers):
                try:
                    worker.wait(timeout=60)
                except subprocess.TimeoutExpired:
                    sys.exit(f"worker {number} did not end with the run\n" + (work / f"worker{number}.log").read_text()[-3000:])
    finally:
        if fleet:
            fleet.close()
        if postgres:
            postgres.kill()
        hosts.close()
    workers = found["status"]["workers"]
    told = ", ".join(f"{count} × {kind}" for kind, count in counts.items())
    print(f"fleet on {'three network namespaces' if fleet.hosts.names or hosts.address != '127.0.0.1' else 'this machine'}: "
          f"{seconds:.0f} s, disturbed {sum(counts.values())} times ({told}); "
          f"{len(workers)} processes took part, {sum(w['dropped'] for w in workers)} results came too late to count"
          + ("; one clock was an hour fast" if fleet.clock else ""))
    is_same = same(work, rollouts)
    if sum(counts.values()) < disturbances:
        print(f"the rollouts were done after {sum(counts.values())} of {disturbances} disturbances: take a shorter --pause or more --rollouts")
    return is_same and sum(counts.values()) >= disturbances


def same(work, rollouts):
    (first, _), (second, rows) = stored(work / "alone"), stored(work / "fleet")
    tasks = {row[0] for row in second.values()}
    differ = [key for key in first if first[key] != second.get(key)]
    print(f"{rows} trajectories of {len(tasks)} tasks, {sum(bool(row[1]) for row in second.values())} correct; "
          + (f"{len(differ)} differ: {differ[:3]}" if differ else "every one is that of the undisturbed run"))
    for key in differ[:2]:
        print(json.dumps(first[key])[:1500], json.dumps(second.get(key))[:1500], sep="\n")
    return rows == len(tasks) == rollouts and not differ and first.keys() == second.keys()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--rollouts", type=int)
    parser.add_argument("--disturbances", type=int)
    parser.add_argument("--pause", type=float, default=1.5, help="seconds between two disturbances, on average")
    parser.add_argument("--latency", type=float, default=60, help="milliseconds of an endpoint's answer")
    parser.add_argument("--keep", help="a folder to work in, which is kept")
    options = parser.parse_args()
    rollouts = options.rollouts or (5000 if options.full else 1000)
    disturbances = options.disturbances or (50 if options.full else 10)
    # Whoever ends it ends what it started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(options.keep or folder)
        work.mkdir(exist_ok=True)
        sys.exit(0 if trial(work, rollouts, disturbances, options.pause, options.latency) else 1)
