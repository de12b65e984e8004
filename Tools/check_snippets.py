#!/usr/bin/env python3
"""Holds the code in documents against the files that are compiled and tested.

    Tools/check_snippets.py             ends with code 1 where a document's code is another than its file's
    Tools/check_snippets.py --write     writes the files' code into the documents

A document names where a fenced block comes from in a comment right before it:

    <!-- from Tests/RetortTrainingTests/OwnFunction.swift: Training -->

That is what stands in the file between `// MARK: Training` and the next mark, or between `// snippet: Training` and `// end snippet`,
without its indentation.
"""
import pathlib
import re
import sys
import textwrap

ROOT = pathlib.Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"<!-- from (?P<file>[^\s:]+): (?P<name>[^>]+?) -->\n(?P<open>```\w*\n)(?P<code>.*?)(?P<close>^```$)", re.M | re.S)
COMMENT = re.compile(r"^<!-- from ", re.M)


def snippet(file, name):
    """The code of a file's part; None where it has no such part, or has it twice."""
    lines = (ROOT / file).read_text().splitlines()
    parts = []
    for place, line in enumerate(lines):
        end = {f"// MARK: {name}": re.compile(r"// MARK: "), f"// snippet: {name}": re.compile(r"// end snippet")}.get(line.strip())
        if end is None:
            continue
        code = []
        for following in lines[place + 1 :]:
            if end.match(following.strip()):
                break
            code.append(following)
        parts.append(textwrap.dedent("\n".join(code)).strip("\n") + "\n")
    return parts[0] if len(parts) == 1 else None


def main():
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(__doc__)
        return
    writes = "--write" in sys.argv[1:]
    documents = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("Sources/*/*.docc/**/*.md")])
    count, faults = 0, []
    for document in documents:
        text = document.read_text()
        name = document.relative_to(ROOT)
        if len(COMMENT.findall(text)) != len(BLOCK.findall(text)):
            faults.append(f"{name}: a comment '<!-- from … -->' has no fenced block right behind it")
        new = text
        for block in reversed(list(BLOCK.finditer(text))):
            count += 1
            code = snippet(block["file"], block["name"]) if (ROOT / block["file"]).is_file() else None
            if code is None:
                faults.append(f"{name}: {block['file']} has no part '{block['name']}', or more than one")
            elif code != block["code"]:
                new = new[: block.start("code")] + code + new[block.end("code") :]
        if new != text:
            if writes:
                document.write_text(new)
                print(f"{name}: written")
            else:
                faults.append(f"{name}: its code is not that of the files; Tools/check_snippets.py --write brings it in")
    if not count:
        faults.append("no document names where its code comes from")
    for fault in faults:
        print(fault, file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
