#!/usr/bin/env python3
"""Writes manual pages of a program made with swift-argument-parser: one of its own, and one of each subcommand.

    Tools/make_man.py .build/release/retort share/man/man1
"""
import json
import pathlib
import re
import subprocess
import sys


def escaped(text):
    """Text as roff reads it."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    text = "".join(c if ord(c) < 128 else f"\\[u{ord(c):04X}]" for c in text)
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in text.split("\n"))


def bold(text):
    return f"\\fB{escaped(text)}\\fR"


def paragraphs(text):
    """Help's text: paragraphs, and examples that are indented or stand line by line."""
    out = []
    for part in re.split(r"\n\s*\n", text.strip("\n")):
        lines = part.split("\n")
        if any(line.startswith(("  ", "\t")) for line in lines):
            out += [".PP", ".nf", *(escaped(line) for line in lines), ".fi"]
        else:
            out += [".PP", *(escaped(line.strip()) for line in lines)]
    return out


def dashed(name):
    return ("--" if name["kind"] == "long" else "-") + name["name"]


def label(argument):
    """How an argument is written: `--out <out>`, `<recipe>`."""
    value = f"<{argument.get('valueName', '')}>"
    if argument["kind"] == "positional":
        return f"\\fI{escaped(value)}\\fR" + (" ..." if argument.get("isRepeating") else "")
    names = ", ".join(bold(dashed(name)) for name in argument.get("names", []))
    return names if argument["kind"] == "flag" else f"{names} \\fI{escaped(value)}\\fR"


def described(argument):
    words = [argument.get("abstract", "")]
    if argument.get("allValues"):
        words.append(f"(values: {', '.join(argument['allValues'])})")
    if argument.get("defaultValue"):
        words.append(f"(default: {argument['defaultValue']})")
    lines = [escaped(" ".join(word for word in words if word).replace("\n", " "))]
    if argument.get("discussion"):
        lines += [".IP", escaped(argument["discussion"].replace("\n", " "))]
    return lines


def shown(argument):
    return argument.get("shouldDisplay", True)


def synopsis(names, command):
    words = [bold(" ".join(names))]
    for argument in filter(shown, command.get("arguments", [])):
        text = label({**argument, "names": [argument["preferredName"]]} if argument.get("preferredName") else argument)
        words.append(f"[{text}]" if argument.get("isOptional") else text)
    if command.get("subcommands"):
        words.append("\\fI<subcommand>\\fR")
    return words


def page(names, command, version):
    """A command's manual page."""
    title = "-".join(names)
    lines = [
        f'.TH "{title.upper()}" "1" "" "{names[0]} {version}" "{names[0]}"',
        ".SH NAME", f"{escaped(title)} \\- {escaped(command.get('abstract', '').rstrip('.'))}",
        ".SH SYNOPSIS", *synopsis(names, command),
    ]
    if command.get("discussion"):
        lines += [".SH DESCRIPTION", *paragraphs(command["discussion"])]
    arguments = list(filter(shown, command.get("arguments", [])))
    for heading, kinds in (("ARGUMENTS", ("positional",)), ("OPTIONS", ("option", "flag"))):
        chosen = [argument for argument in arguments if argument["kind"] in kinds]
        if chosen:
            lines.append(f".SH {heading}")
            for argument in chosen:
                lines += [".TP", label(argument), *described(argument)]
    children = [child for child in command.get("subcommands") or [] if shown(child) and child["commandName"] != "help"]
    if children:
        lines.append(".SH SUBCOMMANDS")
        for child in children:
            lines += [".TP", bold(f"{title}-{child['commandName']}") + "(1)", escaped(child.get("abstract", ""))]
    others = [bold(names[0]) + "(1)"] if len(names) > 1 else []
    if others:
        lines += [".SH SEE ALSO", *others]
    return "\n".join(lines) + "\n"


def pages(names, command, version):
    """All pages below a command, by name."""
    found = {"-".join(names): page(names, command, version)}
    for child in command.get("subcommands") or []:
        if shown(child) and child["commandName"] != "help":
            found |= pages([*names, child["commandName"]], child, version)
    return found


def main():
    if {"-h", "--help"} & set(sys.argv[1:]) or len(sys.argv) != 3:
        print(__doc__)
        sys.exit(0 if {"-h", "--help"} & set(sys.argv[1:]) else 2)
    program, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    dumped = subprocess.run([program, "--experimental-dump-help"], capture_output=True, text=True, check=True).stdout
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.split("\n")[0]
    command = json.loads(dumped)["command"]
    name = command["commandName"]
    folder.mkdir(parents=True, exist_ok=True)
    made = pages([name], command, version.removeprefix(name).strip())
    for title, text in made.items():
        (folder / f"{title}.1").write_text(text)
    print(f"{len(made)} manual pages in {folder}", file=sys.stderr)


if __name__ == "__main__":
    main()
