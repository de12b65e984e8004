#!/usr/bin/env python3
"""How long processes take to sum their gradients, and to gather weights of which each has updated its part, on one machine and over networks of given bandwidths (network namespaces, as root; `tc`).

    Benchmarks/reduce.py [--build release]

Needs `swift build -c release --product reduce-bench`. Prints one table.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
NETWORK = "10.77.43"


def sh(*command, check=True):
    return subprocess.run(command, check=check, capture_output=True, text=True)


class Hosts:
    """Network namespaces on one bridge, each with a link of a bandwidth."""

    def __init__(self, count, rate):
        self.names = [f"retort-reduce{number}" for number in range(count)]
        self.close()
        sh("ip", "link", "add", "rtreduce", "type", "bridge")
        sh("ip", "link", "set", "rtreduce", "up")
        for number, name in enumerate(self.names):
            # The kernel takes the links of the namespaces before away in its own time.
            sh("ip", "link", "delete", f"rtr{number}a", check=False)
            sh("ip", "netns", "add", name)
            sh("ip", "link", "add", f"rtr{number}a", "type", "veth", "peer", "name", f"rtr{number}b")
            sh("ip", "link", "set", f"rtr{number}a", "master", "rtreduce", "up")
            sh("ip", "link", "set", f"rtr{number}b", "netns", name)
            inside = ("ip", "netns", "exec", name)
            sh(*inside, "ip", "addr", "add", f"{NETWORK}.{number + 1}/24", "dev", f"rtr{number}b")
            sh(*inside, "ip", "link", "set", f"rtr{number}b", "up")
            sh(*inside, "ip", "link", "set", "lo", "up")
            if rate:
                sh(*inside, "tc", "qdisc", "add", "dev", f"rtr{number}b", "root", "tbf", "rate", rate, "burst", "1mb", "latency", "50ms")

    def close(self):
        for number, name in enumerate(self.names):
            sh("ip", "link", "delete", f"rtr{number}a", check=False)
            sh("ip", "netns", "delete", name, check=False)
        sh("ip", "link", "delete", "rtreduce", check=False)


def measure(binary, size, sizes, hosts=None):
    address = f"{NETWORK}.1" if hosts else "127.0.0.1"
    running = []
    for rank in range(size):
        own = {**os.environ, "RANK": str(rank), "WORLD_SIZE": str(size), "MASTER_ADDR": address, "MASTER_PORT": "23456",
               "MEBIBYTES": ",".join(map(str, sizes)), "ADDRESS": f"{NETWORK}.{rank + 1}" if hosts else "127.0.0.1"}
        command = (["ip", "netns", "exec", hosts.names[rank]] if hosts else []) + [str(binary)]
        running.append(subprocess.Popen(command, env=own, stdout=subprocess.PIPE if rank == 0 else subprocess.DEVNULL, text=True))
    lines = running[0].communicate(timeout=500)[0].splitlines()
    assert all(process.wait(60) == 0 for process in running)
    return [json.loads(line) for line in lines]


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--build", default="release")
    binary = ROOT / ".build" / options.parse_args().build / "reduce-bench"
    print("| network | processes | MiB | seconds to sum | Gbit/s sent by each | seconds to gather |\n| --- | ---: | ---: | ---: | ---: | ---: |")
    cases = [("one machine", None, 2, [1, 16, 256]), ("one machine", None, 4, [1, 16, 256])]
    if os.geteuid() == 0 and shutil.which("tc"):
        cases += [("10 Gbit/s", "10gbit", 2, [1, 16, 256]), ("1 Gbit/s", "1gbit", 2, [1, 16, 256]), ("1 Gbit/s", "1gbit", 4, [16, 64])]
    for name, rate, size, sizes in cases:
        hosts = Hosts(size, rate) if rate else None
        try:
            for found in measure(binary, size, sizes, hosts):
                # A ring sends each byte 2 (n - 1) / n times.
                sent = found["mebibytes"] * 2**20 * 8 * 2 * (size - 1) / size / found["seconds"] / 1e9
                print(f"| {name} | {size} | {found['mebibytes']} | {found['seconds']:.4f} | {sent:.2f} | {found['gatherSeconds']:.4f} |", flush=True)
        finally:
            if hosts:
                hosts.close()


if __name__ == "__main__":
    main()
