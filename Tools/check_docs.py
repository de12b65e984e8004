#!/usr/bin/env python3
"""Runs the commands of documents as a reader would: every fenced block that is marked `sh run`, in its order, each document in a fresh
folder, with `retort` as it was built.

    Tools/check_docs.py                         every document
    Tools/check_docs.py SKILL.md docs/first-agent.md

Ends with code 1 at the first command that fails. RETORT names another program than the release build's.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
RETORT = pathlib.Path(os.environ.get("RETORT", ROOT / ".build/release/retort")).resolve()
BLOCK = re.compile(r"^```sh run\n(.*?)^```", re.M | re.S)


def blocks(document):
    return BLOCK.findall(document.read_text())


def tried(document, texts):
    """Runs a document's blocks; returns what failed, or nothing."""
    with tempfile.TemporaryDirectory() as folder:
        programs = pathlib.Path(folder, "bin")
        programs.mkdir()
        # Not a link: the program finds its resources and the Seedlings beside itself.
        (programs / "retort").write_text(f'#!/bin/sh\nexec "{RETORT}" "$@"\n')
        (programs / "retort").chmod(0o755)
        work = pathlib.Path(folder, "work")
        work.mkdir()
        environment = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"}
        for text in texts:
            started = time.monotonic()
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", text], cwd=work, env=environment, capture_output=True, text=True, timeout=3600)
            print(f"{document.relative_to(ROOT)}: {text.strip().splitlines()[0]} … {time.monotonic() - started:.0f} s", flush=True)
            if done.returncode != 0:
                return f"{text}\nended with code {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return None


def main():
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(__doc__)
        return
    named = [pathlib.Path(name).resolve() for name in sys.argv[1:]]
    documents = named or sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*/*.md")])
    marked = [(document, blocks(document)) for document in documents]
    if not any(texts for _, texts in marked):
        sys.exit("no document has a block marked ```sh run")
    for document, texts in marked:
        if fault := texts and tried(document, texts):
            sys.exit(f"{document.relative_to(ROOT)}:\n{fault}")


if __name__ == "__main__":
    main()
