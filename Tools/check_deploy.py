#!/usr/bin/env python3
"""Looks through what puts a fleet on machines: shell scripts are parsed, manifests are read and held against what Kubernetes requires of their
kinds, and every command line of `retort` in them is parsed by the program itself.

    Tools/check_deploy.py      needs PyYAML, bash, and `make build` for the command lines

Nothing is sent to a cluster, and no image is built.
"""
import os
import pathlib
import re
import subprocess
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
RETORT = ROOT / ".build" / os.environ.get("RETORT_BUILD", "release") / "retort"
NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
faults = []


def need(holds, what):
    if not holds:
        faults.append(what)


def job(document, where):
    spec = document["spec"]
    pod = spec["template"]["spec"]
    need(spec["template"]["metadata"]["labels"], f"{where}: pods without labels")
    need(pod["restartPolicy"] in ("OnFailure", "Never"), f"{where}: a job's restartPolicy is OnFailure or Never")
    need(pod["securityContext"].get("runAsNonRoot") is True, f"{where}: it may run as root")
    volumes = {volume["name"] for volume in pod.get("volumes", [])}
    for container in pod["containers"]:
        need(NAME.match(container["name"]) and container["image"], f"{where}: a container needs a name and an image")
        need({mount["name"] for mount in container.get("volumeMounts", [])} <= volumes, f"{where}: a mount of no volume")
        need(all(isinstance(word, str) for word in container["args"]), f"{where}: arguments are texts")
        parse(container["args"], where)


def parse(words, where):
    """The program's own parser reads the words: with --help behind them nothing is done, and an unknown option is an error before."""
    if not RETORT.exists():
        return
    known = subprocess.run([RETORT, words[0], "--help"], capture_output=True, text=True).stdout
    for word in words[1:]:
        if word.startswith("--"):
            need(f"{word} " in known or f"{word}\n" in known or f"{word}," in known, f"{where}: retort {words[0]} knows no {word}")


def manifest(path):
    for number, document in enumerate(yaml.safe_load_all(path.read_text())):
        where = f"{path.relative_to(ROOT)}, document {number + 1}"
        need(NAME.match(document["metadata"]["name"]), f"{where}: the name is no DNS label")
        match document["apiVersion"], document["kind"]:
            case "batch/v1", "Job":
                job(document, where)
            case "v1", "PersistentVolumeClaim":
                need(document["spec"]["accessModes"] and document["spec"]["resources"]["requests"]["storage"], f"{where}: no size")
            case other:
                need(False, f"{where}: unknown kind {other}")


def script(path):
    done = subprocess.run(["bash", "-n", path], capture_output=True, text=True)
    need(done.returncode == 0, done.stderr)
    for words in re.findall(r'"\$RETORT" (.*)', path.read_text()):
        parse([words.split()[0]] + re.findall(r"--[a-z-]+", words), str(path.relative_to(ROOT)))


def dockerfile(path):
    text = path.read_text().replace("\\\n", " ")
    need(len(re.findall(r"^FROM ", text, re.M)) == 2, "Dockerfile: two stages are expected")
    need(re.search(r"^USER (?!root)", text, re.M) and "HEALTHCHECK" in text, "Dockerfile: no user or no health check")
    for command in re.findall(r"^RUN (.*)$", text, re.M):
        done = subprocess.run(["sh", "-n", "-c", command], capture_output=True, text=True)
        need(done.returncode == 0, f"Dockerfile: {done.stderr}")
    for source in re.findall(r"^COPY (?!--from)(\S+) ", text, re.M):
        need((ROOT / source).exists(), f"Dockerfile: there is no {source} to copy")


for path in sorted((ROOT / "deploy").rglob("*")):
    if path.suffix == ".yaml":
        manifest(path)
    elif path.suffix == ".sbatch":
        script(path)
dockerfile(ROOT / "Dockerfile")
print("\n".join(faults) or "Dockerfile, Slurm script and manifest hold")
sys.exit(bool(faults))
