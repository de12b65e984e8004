#!/usr/bin/env python3
"""Reads exported trajectories with other people's code.

    pip install datasets transformers jinja2 pydantic; pip install --no-deps harbor    (Python 3.12 for harbor)
    python Tools/verify_trajectory_exports.py atif FILE.jsonl
    python Tools/verify_trajectory_exports.py trl FILE.jsonl TEMPLATE.jinja
    python Tools/verify_trajectory_exports.py llama-factory FILE.jsonl
    python Tools/verify_trajectory_exports.py ms-swift FILE.jsonl

ATIF is validated by harbor's pydantic models. TRL's lines are loaded by `datasets` and rendered by a chat template, in which
every call must show up. LLaMA-Factory's and ms-swift's lines are checked against the rules their loaders state.
"""
import json
import sys


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def atif(path):
    from harbor.models.trajectories.trajectory import Trajectory

    documents = lines(path)
    for document in documents:
        Trajectory.model_validate(document)
    print(f"{len(documents)} documents are valid, {sum(len(d['steps']) for d in documents)} steps")


def trl(path, template):
    from transformers.utils.chat_template_utils import render_jinja_template

    rows = lines(path)
    source = open(template, encoding="utf-8").read()
    calls = 0
    for row in rows:
        messages = row.get("messages") or row["prompt"] + row["completion"]
        rendered, _ = render_jinja_template([messages], tools=row.get("tools"), chat_template=source)
        for message in messages:
            for call in message.get("tool_calls", []):
                calls += 1
                assert call["function"]["name"] in rendered[0]
                assert isinstance(call["function"]["arguments"], dict)
    from datasets import Dataset

    # Arrow wants one schema for all rows; arguments differ by tool, so TRL's own advice is to keep them as JSON.
    table = Dataset.from_list([{"row": json.dumps(row)} for row in rows])
    print(f"{len(table)} chats rendered, {calls} calls in them")


def llama_factory(path):
    rows = lines(path)
    for row in rows:
        turns = [turn["from"] for turn in row["conversations"]]
        assert len(turns) % 2 == 0, turns
        assert all(turn in ("human", "observation") for turn in turns[::2]), turns
        assert all(turn in ("gpt", "function_call") for turn in turns[1::2]), turns
        for turn in row["conversations"]:
            if turn["from"] == "function_call":
                call = json.loads(turn["value"].rpartition("</think>\n\n")[2])
                assert set(call) == {"name", "arguments"}
        if "tools" in row:
            assert all("name" in tool for tool in json.loads(row["tools"]))
    print(f"{len(rows)} chats, turns alternate")


def ms_swift(path):
    rows = lines(path)
    for row in rows:
        for before, message in zip(row["messages"], row["messages"][1:]):
            if message["role"] == "tool_call":
                json.loads(message["content"])
            if message["role"] == "tool_response":
                assert before["role"] in ("tool_call", "tool_response")
        if "tools" in row:
            json.loads(row["tools"])
    print(f"{len(rows)} chats, each result follows a call")


if __name__ == "__main__":
    checks = {"atif": atif, "trl": trl, "llama-factory": llama_factory, "ms-swift": ms_swift}
    if len(sys.argv) < 3 or sys.argv[1] not in checks:
        sys.exit(__doc__)
    checks[sys.argv[1]](*sys.argv[2:])
