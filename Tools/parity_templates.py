#!/usr/bin/env python3
"""Compares Retort's chat templates with transformers': text and token ids of many chats through every template in
Tests/RetortLLMTests/Templates."""
import json
import subprocess

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

import parity_checks
from parity_checks import RETORT, ROOT

TEMPLATES = ROOT / "Tests/RetortLLMTests/Templates"
TOKENIZER = parity_checks.TOKENIZER / "tokenizer.json"
# Text tokens and the tokens that end a text; only what a template itself writes may be one.
SPECIALS = {
    "like-llama-2": ["<s>", "</s>"],
    "like-llama-3": ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
    "like-gemma": ["<bos>", "<start_of_turn>", "<end_of_turn>"],
    "like-gemma-4": [
        "<bos>", "<|turn>", "<turn|>", "<|channel>", "<channel|>", "<|think|>", "<|tool>", "<tool|>", "<|tool_call>",
        "<tool_call|>", "<|tool_response>", "<tool_response|>", '<|"|>'],
    "phi-3": ["<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|endoftext|>"],
    "phi-4-mini": ["<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|tool|>", "<|/tool|>", "<|endoftext|>"],
}
NAMED = {
    "like-llama-2": ("<s>", "</s>"), "like-llama-3": ("<|begin_of_text|>", "<|eot_id|>"),
    "like-gemma": ("<bos>", "<end_of_turn>"), "like-gemma-4": ("<bos>", "<turn|>"),
    "phi-3": ("<|endoftext|>", "<|endoftext|>"),
    "phi-4-mini": ("<|endoftext|>", "<|endoftext|>"),
}
TOOL = {
    "type": "function",
    "function": {
        "name": "web_search", "description": "Finds passages: \"quoted\", é, 北京.\n<b>&amp;",
        "parameters": {"type": "object", "properties": {"query": {"type": "string"}, "k": {"type": "integer", "default": 3}},
                       "required": ["query"]},
    },
}


def say(role, content, **more):
    return {"role": role, "content": content, **more}


def chats():
    system, question = say("system", "Be brief.\n"), say("user", "  What is 2+2?\n")
    code = say("assistant", "Thought: add.\nCode:\n```py\nprint(2+2)\n```")
    observation = say("user", "Observation:\n4 — 北京 😀 {{ not jinja }} {% if %}")
    answer = say("assistant", "4")
    thinking = say("assistant", "<think>\nTwo and two.\n</think>\n\n4")
    call = {"type": "function", "function": {"name": "web_search", "arguments": {"query": "é \"q\"", "k": 2}}}
    calling = say("assistant", "", tool_calls=[call])
    result = say("tool", "[1] A passage")
    yield [question]
    yield [system, question]
    yield [system, question, code, observation, answer]
    yield [question, code, observation, code, observation, answer]
    yield [system, question, thinking, say("user", "Sure?"), thinking]
    yield [question, calling, result, answer]
    yield [question, calling, result, result, say("assistant", "\n\nDone.\n")]
    yield [answer, question]
    yield [question, question]
    yield [question, say("assistant", "")]
    yield [say("user", "")]
    yield [say("user", "a", name="Ann"), say("assistant", " b ")]


def requests():
    for messages in chats():
        for more in ({}, {"add_generation_prompt": True}, {"tools": [TOOL]}, {"tools": [TOOL, TOOL], "enable_thinking": False, "add_generation_prompt": True}):
            yield {"messages": messages, **more}


def folder_for(name, source, scratch):
    folder = scratch / name
    folder.mkdir()
    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    tokenizer.add_special_tokens(SPECIALS.get(name, []))
    tokenizer.save(str(folder / "tokenizer.json"))
    first, last = NAMED.get(name, ("<|endoftext|>", "<|im_end|>"))
    config = {"chat_template": source, "bos_token": first, "eos_token": last}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder, PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), bos_token=first, eos_token=last, chat_template=source)


def expected(tokenizer, request):
    options = {key: value for key, value in request.items() if key not in ("messages", "tools")}
    try:
        text = tokenizer.apply_chat_template(request["messages"], tools=request.get("tools"), tokenize=False, **options)
    except Exception as error:  # whatever the template or Jinja objects to
        return {"error": str(error)}
    return {"text": text, "ids": tokenizer(text, add_special_tokens=False)["input_ids"]}


def compare(scratch, check):
    scratch = scratch / "templates"
    scratch.mkdir()
    for path in sorted(TEMPLATES.glob("*.jinja")):
        source = path.read_text().removesuffix("\n")
        folder, tokenizer = folder_for(path.stem, source, scratch)
        file = folder / "chats.jsonl"
        file.write_text("".join(json.dumps(request) + "\n" for request in requests()))
        done = subprocess.run([str(RETORT), "render", str(folder), "--chats", str(file)], capture_output=True, text=True)
        if done.returncode:
            print(done.stderr)
            check(f"template {path.stem}: opens", 1, 0)
            continue
        texts = ids = compared = refused = 0
        for request, line in zip(requests(), done.stdout.splitlines()):
            found, wanted = json.loads(line), expected(tokenizer, request)
            refused += "error" in wanted
            if ("error" in found) != ("error" in wanted) or found.get("text") != wanted.get("text"):
                texts += 1
                if texts <= 2:
                    print("   ", json.dumps(request)[:200], "\n    here ", json.dumps(found)[:3000], "\n    there", json.dumps(wanted)[:3000])
            elif "ids" in found:
                compared += 1
                ids += found["ids"] != wanted["ids"]
        check(f"template {path.stem}: {len(list(requests()))} chats ({refused} refused) whose text differs", texts, 0)
        if path.stem != "language":  # which is no chat template: it leaves messages out
            check(f"template {path.stem}: {compared} chats whose tokens differ", ids, 0)


if __name__ == "__main__":
    parity_checks.main(compare)
