#!/usr/bin/env python3
"""Retrieval beside its peers, in one run: passages a second against sentence-transformers, and queries a second with recall@10 of each
form of index against Python's faiss over the same vectors, whose files both sides read.

    make bench-retrieval                    # or PYTHON Benchmarks/retrieval.py [PASSAGES.jsonl ...] [--count N]

Without passages it makes some up; then the figures say less. The encoder is MiniLM, out of its Python package.
"""
import argparse
import json
import os
import pathlib
import random
import subprocess
import tempfile
import time

import faiss
import numpy
import torch

ROOT = pathlib.Path(__file__).resolve().parent.parent
RETORT = os.environ.get("RETORT", str(ROOT / ".build/release/retort"))
BENCH = os.environ.get("RETRIEVAL_BENCH", str(ROOT / ".build/release/retrieval-bench"))
WIDTH, LIMIT = 384, 10


def texts(files, count):
    if not files:
        draw = random.Random(1)
        words = [a + b + c for a in ("ba", "ro", "ti", "ne", "lu") for b in ("", "ka", "mi", "so") for c in ("n", "r", "st", "l")]
        return [" ".join(draw.choices(words, k=draw.randint(20, 120))) for _ in range(count)]
    found = []
    for file in files:
        for line in open(file):
            record = json.loads(line)
            found.append(record.get("contents") or f"{record['title']}\n{record['text']}")
    return found[:count]


def ours(*arguments):
    run = subprocess.run([BENCH, *map(str, arguments)], capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


def encoders(lines, folder):
    """Passages a second of both, and how far their vectors lie apart."""
    from sentence_transformers import SentenceTransformer
    place = subprocess.run([RETORT, "fetch", "minilm"], capture_output=True, text=True, check=True).stdout.strip().splitlines()[-1]
    file = folder / "lines.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    model = SentenceTransformer(place, device="cpu")
    model.encode(lines[:32])
    rows = []
    for weights, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        model.to(dtype)
        best = 0.0
        for _ in range(2):
            start = time.time()
            theirs = model.encode(lines, batch_size=32, convert_to_tensor=True).float().numpy()
            best = max(best, len(lines) / (time.time() - start))
            run = subprocess.run(
                [RETORT, "embed", place, str(file), "--weights", weights, "--speed"], capture_output=True, text=True, check=True)
            rate = float(run.stderr.split(" s: ")[1].split("/s")[0])
        own = numpy.array([json.loads(line) for line in run.stdout.splitlines()], dtype="float32")
        rows.append((weights, rate, best, float(abs(own - theirs).max())))
    return rows


def best(truth, found):
    return sum(len(set(a[:LIMIT]) & set(b[:LIMIT])) for a, b in zip(truth, found)) / (LIMIT * len(truth))


def theirs(index, queries, effort):
    if hasattr(index, "hnsw"):
        index.hnsw.efSearch = effort
    elif hasattr(index, "nprobe"):
        index.nprobe = effort
    index.search(queries[:8], LIMIT)
    start = time.time()
    _, places = index.search(queries, LIMIT)
    together = time.time() - start
    alone = min(200, len(queries))
    start = time.time()
    for query in range(alone):
        index.search(queries[query:query + 1], LIMIT)
    return together, (time.time() - start) / alone, places.tolist()


def indices(vectors, queries, folder):
    (folder / "v.f32").write_bytes(vectors.tobytes())
    (folder / "q.f32").write_bytes(queries.tobytes())
    count = len(vectors)
    lists = 2 ** round(numpy.log2(4 * count ** 0.5))
    rows, truth = [], None
    for name, form, description, effort in (
            ("flat", "flat", "Flat", 1), ("HNSW32", "graph", "HNSW32", 128), (f"IVF{lists},PQ48", lists, f"IVF{lists},PQ48", 32)):
        own, other = folder / "own.faiss", folder / "other.faiss"
        build = ours("build", form, folder / "v.f32", WIDTH, own)["seconds"]
        start = time.time()
        index = faiss.index_factory(WIDTH, description, faiss.METRIC_INNER_PRODUCT)
        index.train(vectors[:max(64 * lists, 10000)])
        index.add(vectors)
        their_build = time.time() - start
        faiss.write_index(index, str(other))
        found = ours("search", own, folder / "q.f32", WIDTH, LIMIT, effort)
        together, single, places = theirs(index, queries, effort)
        truth = truth or places
        # Each reads the other's file, and finds in it what its maker finds.
        crossed = ours("search", other, folder / "q.f32", WIDTH, LIMIT, effort)["places"]
        _, _, back = theirs(faiss.read_index(str(own)), queries, effort)
        rows.append((
            name, len(queries) / found["together"], len(queries) / together, 1000 * found["single"], 1000 * single,
            best(truth, found["places"]), best(truth, places), best(places, crossed), best(found["places"], back), build, their_build))
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("passages", nargs="*")
    parser.add_argument("--count", type=int, default=1000, help="passages that are embedded")
    parser.add_argument("--vectors", type=int, default=100_000)
    options = parser.parse_args()
    faiss.omp_set_num_threads(os.cpu_count())
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        print("| encoder | ours, passages/s | sentence-transformers | ratio | largest difference |\n| --- | ---: | ---: | ---: | ---: |")
        for weights, own, other, difference in encoders(texts(options.passages, options.count), folder):
            print(f"| MiniLM, {weights} | {own:.0f} | {other:.0f} | {own / other:.2f} | {difference:.1e} |", flush=True)
        # Around centres, as vectors of texts are.
        draw = numpy.random.default_rng(1)
        centres = draw.standard_normal((2000, WIDTH), dtype="float32")
        both = centres[draw.integers(0, 2000, options.vectors + 1000)] + 1.2 * draw.standard_normal(
            (options.vectors + 1000, WIDTH), dtype="float32")
        both /= numpy.linalg.norm(both, axis=1, keepdims=True)
        print("\n| index | ours, queries/s | faiss | one query, ms | faiss | recall@10 | faiss | their file here | our file there | build, s | faiss |"
              "\n| --- |" + " ---: |" * 10)
        for row in indices(both[:options.vectors], both[options.vectors:], folder):
            print("| {} | {:.0f} | {:.0f} | {:.2f} | {:.2f} | {:.3f} | {:.3f} | {:.3f} | {:.3f} | {:.1f} | {:.1f} |".format(*row), flush=True)


if __name__ == "__main__":
    main()
