#!/usr/bin/env python3
"""Kills the building of an index again and again, and compares what comes of it with one that was left alone.

    make build
    python3 Tools/kill_resume_index.py CORPUS.jsonl[.gz] [--kills 3] [--encoder minilm]

Searches the index of words while it is being built, by `serve-passages --early`. RETORT names another binary than the release build's.
Ends with code 1 when anything differs.
"""
import argparse
import hashlib
import json
import os
import pathlib
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

from server_process import RETORT

failures = []


def check(name, passed, detail=""):
    print(f"{'ok  ' if passed else 'FAIL'} {name}{'  ' + str(detail) if detail != '' else ''}", flush=True)
    if not passed:
        failures.append(name)


def command(corpus, index, encoder):
    own = [RETORT, "index", str(corpus), "--to", str(index)]
    return own + (["--encoder", encoder, "--weights", "float32"] if encoder else [])


def run(*arguments):
    """Seconds, and the most resident memory in MiB."""
    start = time.time()
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, errors = process.communicate()
    if process.returncode:
        raise SystemExit(errors.decode()[-2000:])
    return time.time() - start


def content(index):
    """Everything that a search depends on."""
    database = sqlite3.connect(f"file:{index}?mode=ro", uri=True)
    digest = hashlib.sha256()
    for row in database.execute("SELECT rowid, id, title, body FROM passage ORDER BY rowid"):
        digest.update(repr(row).encode())
    found = []
    draw = random.Random(1)
    count = database.execute("SELECT count(*) FROM passage").fetchone()[0]
    for _ in range(50):
        body = database.execute("SELECT body FROM passage WHERE rowid = ?", [draw.randint(1, count)]).fetchone()[0]
        words = [w for w in body.replace('"', " ").split() if w.isalpha()][:6]
        query = " OR ".join(f'"{w}"' for w in words) or '"a"'
        found.append(database.execute(
            "SELECT rowid, bm25(words, 4, 1) FROM words WHERE words MATCH ? ORDER BY 2, 1 LIMIT 20", [query]).fetchall())
    database.execute("SELECT 1")
    return digest.hexdigest(), found, database.execute("SELECT * FROM source").fetchall()


def digest(file):
    hash = hashlib.sha256()
    with open(file, "rb") as data:
        while piece := data.read(1 << 22):
            hash.update(piece)
    return hash.hexdigest()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("corpus")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--encoder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.path.dirname(os.path.abspath(options.corpus))) as name:
        folder = pathlib.Path(name)
        whole, killed = folder / "whole/c.sqlite", folder / "killed/c.sqlite"
        for file in (whole, killed):
            file.parent.mkdir()
        seconds = run(*command(options.corpus, whole, options.encoder))
        print(f"left alone: {seconds:.1f} s, {whole.stat().st_size / 2**20:.0f} MiB")
        draw = random.Random(7)
        kills = 0
        while kills < options.kills:
            process = subprocess.Popen(
                command(options.corpus, killed, options.encoder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(seconds * draw.uniform(0.6, 1) / options.kills)
            if process.poll() is not None:
                break
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            there = "whole" if killed.exists() else "draft"
            print(f"killed {kills}: {there}, {sorted(f.name for f in killed.parent.iterdir())}", flush=True)
        check(f"it was killed {options.kills} times before it ended", kills == options.kills)
        seconds = run(*command(options.corpus, killed, options.encoder))
        print(f"the rest took {seconds:.1f} s")
        check("the index is the same", content(whole) == content(killed))
        check("its files are the same size", whole.stat().st_size == killed.stat().st_size)
        if options.encoder:
            check("so are its vectors, byte for byte",
                  digest(whole.with_suffix(".faiss")) == digest(killed.with_suffix(".faiss")))
        left = [f.name for f in killed.parent.iterdir() if f.name.startswith(".")]
        check("nothing is left of the work", not left, left)
    print(f"{len(failures)} failures" if failures else "all passed")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
