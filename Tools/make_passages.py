#!/usr/bin/env python3
"""Makes a corpus of any size in wiki-18's form out of real passages: the passages themselves first, then others of as many words,
put together from their sentences and titles.

    Tools/make_passages.py OUT.jsonl[.gz] COUNT PASSAGES.jsonl ...

The sources are JSON Lines with "contents", or "title" and "text". Sentences of a made passage come from passages near each other in
the sources, so that words go together as they do in a real one. The same arguments give the same bytes.
"""
import gzip
import json
import random
import re
import sys


def sources(files):
    for file in files:
        with open(file) as lines:
            for line in lines:
                record = json.loads(line)
                if "text" in record:
                    yield record.get("title", ""), record["text"]
                else:
                    title, _, text = record["contents"].partition("\n")
                    yield title.strip('"'), text


def passages(count, real):
    draw = random.Random(18)
    sentences = [[s for s in re.split(r"(?<=[.!?]) +", text) if s] for _, text in real]
    for number in range(count):
        if number < len(real):
            yield real[number]
            continue
        near = draw.randrange(len(real))
        title = f"{real[near][0]} {draw.choice(real)[0].split(' ')[0]} {number}"
        text, words = [], draw.randint(80, 110)
        while words > 0:
            own = sentences[(near + draw.randrange(40)) % len(real)]
            if not own:
                continue
            text.append(draw.choice(own))
            words -= text[-1].count(" ") + 1
        yield title, " ".join(text)


def main():
    if len(sys.argv) < 4:
        raise SystemExit(__doc__)
    name, count = sys.argv[1], int(sys.argv[2])
    real = [(title, text) for title, text in sources(sys.argv[3:]) if text.strip()]
    # Without a time in its head, so that the bytes are the same.
    target = gzip.GzipFile(name, "wb", compresslevel=6, mtime=0) if name.endswith(".gz") else open(name, "wb")
    with target as out:
        for number, (title, text) in enumerate(passages(count, real)):
            contents = f'"{title}"\n{" ".join(text.split())}'
            out.write(json.dumps({"id": str(number), "contents": contents}, ensure_ascii=False).encode() + b"\n")


if __name__ == "__main__":
    main()
