#!/usr/bin/env python3
"""Retort's client against llama.cpp's own server (PyPI xllamacpp runs it in this process): the same checkpoint, exported to
GGUF, must say the same over HTTP as in Retort's process, messages that have begun included.

    pip install xllamacpp
    Tools/verify_remote.py CHECKPOINT [--serve]

Needs `make build`; RETORT_BUILD=debug takes a debug build. With --serve the server stays up and its address is printed.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading

import xllamacpp

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / ".build" / os.environ.get("RETORT_BUILD", "release")

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("checkpoint", type=pathlib.Path)
parser.add_argument("--serve", action="store_true")
arguments = parser.parse_args()

with tempfile.TemporaryDirectory() as folder:
    gguf = pathlib.Path(folder) / "model.gguf"
    subprocess.run(
        [BUILD / "retort", "export", arguments.checkpoint, "--out", gguf, "--precision", "f32"], check=True,
        stdout=subprocess.DEVNULL)
    options = xllamacpp.CommonParams()
    options.model.path = str(gguf)
    options.n_ctx, options.n_parallel, options.use_jinja = 32768, 16, True
    options.cpuparams.n_threads = options.cpuparams_batch.n_threads = 2
    options.port, options.warmup, options.verbosity = 0, False, 0
    server = xllamacpp.Server(options)
    if arguments.serve:
        print(server.listening_address, flush=True)
        threading.Event().wait()
    done = subprocess.run([BUILD / "remote-parity", server.listening_address, arguments.checkpoint])
    os._exit(done.returncode)
