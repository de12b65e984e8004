#!/usr/bin/env python3
"""Agents of others through `retort record`: are the trajectories in its store those that happened?

smolagents' CodeAgent and ToolCallingAgent, the `openai` and the `anthropic` package work through the recorder on a model
with a script, streamed and not. What they log themselves is compared with the store: every action, argument, result and
answer. The recorder is killed (SIGKILL) between two calls of a run and started again; an answer breaks off; two runs begin
alike; a history is changed. With --serve FOLDER the `openai` package also asks `retort serve` on that model through the
recorder.

    Tools/check_record.py                       # makes its own environment with smolagents, openai, anthropic
    RETORT=.build/debug/retort Tools/check_record.py --serve seedlings/1m
"""
import argparse
import http.server
import json
import os
import pathlib
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
RETORT = os.environ.get("RETORT", str(ROOT / ".build/release/retort"))
VENV = ROOT / ".retort/record-venv"
KEY = "sk-secret-0123456789"


def in_environment():
    """Goes on in the script's own environment."""
    python = VENV / "bin/python"
    if pathlib.Path(sys.prefix) == VENV or os.environ.get("RECORD_ENVIRONMENT"):
        return
    if not python.exists():
        subprocess.check_call([sys.executable, "-m", "venv", str(VENV)])
        subprocess.check_call([str(python), "-m", "pip", "install", "-q", "smolagents", "openai", "anthropic"])
    os.execve(python, [str(python), *sys.argv], {**os.environ, "RECORD_ENVIRONMENT": "1"})


# What the model says, by the number of turns it has taken.
CALL, TEXT = "call", "text"
SCRIPTS = {
    "area of the yard": [
        "Thought: I compute.\n<code>\nx = area(width=3, height=4)\nprint('so', x)\n</code>",
        "I forgot to write a program.",
        "Thought: This fails.\n<code>\n1 / 0\n</code>",
        "Thought: Done.\n<code>\nfinal_answer(12)\n</code>",
    ],
    "two areas": [
        ("I call.", [("area", {"width": 3, "height": 4})]),
        ("", [("area", {"width": -1, "height": 4})]),
        ("", [("final_answer", {"answer": "12 and an error"})]),
    ],
    "weather": [
        ("Both at once.", [("weather", {"town": "Tirn"}), ("weather", {"town": "Øm"})]),
        ("", [("weather", {"town": "Ælv"})]),
        "Rain in Tirn, sun in Øm, snow in Ælv.",
    ],
}


class Model(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen = []
    broken = threading.Event()

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.send({"object": "list", "data": [{"id": "script", "object": "model"}]})

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        body = json.loads(raw)
        Model.seen.append((self.path, dict(self.headers), raw))
        text = json.dumps(body["messages"], ensure_ascii=False)
        if body["model"] == "echo":
            return self.send({"error": {"message": f"no such key: {self.headers['Authorization']}"}}, 401)
        name = next(name for name in SCRIPTS if name in text)
        turn = sum(message["role"] == "assistant" for message in body["messages"])
        # smolagents leaves a call that failed out of its history.
        turn += text.count("Error executing tool")
        said = SCRIPTS[name][min(turn, len(SCRIPTS[name]) - 1)]
        words, calls = said if isinstance(said, tuple) else (said, [])
        form = self.anthropic if self.path.endswith("/messages") else self.openai
        form(body, words, calls, f"{name.replace(' ', '_')}_{turn}")

    def send(self, value, status=200):
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def stream(self, events):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number, event in enumerate(events):
            if Model.broken.is_set() and number == 2:
                Model.broken.clear()
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            data = event.encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def openai(self, body, words, calls, mark):
        made = [
            {"index": i, "id": f"call_{mark}_{i}", "type": "function",
             "function": {"name": name, "arguments": json.dumps(arguments)}}
            for i, (name, arguments) in enumerate(calls)]
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        head = {"id": "c", "created": 1, "model": "script"}
        end = "tool_calls" if made else "stop"
        if not body.get("stream"):
            message = {"role": "assistant", "content": words or None}
            if made:
                message["tool_calls"] = [{k: v for k, v in call.items() if k != "index"} for call in made]
            return self.send({**head, "object": "chat.completion", "usage": usage,
                              "choices": [{"index": 0, "message": message, "finish_reason": end}]})
        deltas = [{"role": "assistant", "content": ""}] + [{"content": part} for part in re.findall(r"(?s).{1,7}", words)]
        for call in made:
            arguments = call["function"]["arguments"]
            deltas.append({"tool_calls": [{**call, "function": {"name": call["function"]["name"], "arguments": ""}}]})
            deltas += [{"tool_calls": [{"index": call["index"], "function": {"arguments": part}}]}
                       for part in re.findall(r"(?s).{1,5}", arguments)]
        chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
        chunks += [{"choices": [{"index": 0, "delta": {}, "finish_reason": end}]}, {"choices": [], "usage": usage}]
        self.stream([f"data: {json.dumps({**head, 'object': 'chat.completion.chunk', **chunk})}\n\n" for chunk in chunks]
                    + ["data: [DONE]\n\n"])

    def anthropic(self, body, words, calls, mark):
        content = [{"type": "text", "text": words}] if words else []
        content += [{"type": "tool_use", "id": f"toolu_{mark}_{i}", "name": name, "input": arguments}
                    for i, (name, arguments) in enumerate(calls)]
        usage = {"input_tokens": 10, "output_tokens": 5}
        end = "tool_use" if calls else "end_turn"
        head = {"id": "msg", "type": "message", "role": "assistant", "model": "script", "stop_sequence": None}
        if not body.get("stream"):
            return self.send({**head, "content": content, "stop_reason": end, "usage": usage})
        events = [{"type": "message_start", "message": {**head, "content": [], "stop_reason": None, "usage": usage}}]
        for index, block in enumerate(content):
            isText = block["type"] == "text"
            events.append({"type": "content_block_start", "index": index,
                           "content_block": {**block, "text": ""} if isText else {**block, "input": {}}})
            whole = block["text"] if isText else json.dumps(block["input"])
            events += [{"type": "content_block_delta", "index": index,
                        "delta": {"type": "text_delta", "text": part} if isText
                        else {"type": "input_json_delta", "partial_json": part}} for part in re.findall(r"(?s).{1,6}", whole)]
            events.append({"type": "content_block_stop", "index": index})
        events += [{"type": "message_delta", "delta": {"stop_reason": end, "stop_sequence": None},
                    "usage": {"output_tokens": 5}}, {"type": "message_stop"}]
        self.stream([f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events])


class Recorder:
    def __init__(self, upstream, store, port=0):
        self.arguments = [RETORT, "record", "--upstream", upstream, "--store", str(store), "--port"]
        self.start(port)

    def start(self, port):
        self.process = subprocess.Popen([*self.arguments, str(port)], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        found = re.search(r"at (http://\S+):(\d+)", line)
        if not found:
            raise SystemExit(f"the recorder did not start: {line}")
        self.port = int(found[2])
        self.address = f"{found[1]}:{found[2]}"

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.start(self.port)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def weather(town):
    return {"Tirn": "rain", "Øm": "sun", "Ælv": "snow"}[town]


TOOL = {"name": "weather", "description": "Tells the weather.",
        "parameters": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]}}


def openai_run(address, streamed, question="What is the weather?", between=lambda turn: None, edit=None):
    """A loop of the `openai` package; returns what happened: actions with results, and the answer."""
    import openai
    client = openai.OpenAI(base_url=address + "/v1", api_key=KEY, max_retries=0)
    messages = [{"role": "system", "content": "You tell the weather."}, {"role": "user", "content": question}]
    log = []
    for turn in range(9):
        if edit:
            edit(turn, messages)
        asked = dict(model="script", messages=messages, tools=[{"type": "function", "function": TOOL}])
        if streamed:
            text, calls = "", {}
            for chunk in client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}):
                for choice in chunk.choices:
                    text += choice.delta.content or ""
                    for call in choice.delta.tool_calls or []:
                        made = calls.setdefault(call.index, {"id": "", "name": "", "arguments": ""})
                        made["id"] = made["id"] or call.id
                        made["name"] += call.function.name or ""
                        made["arguments"] += call.function.arguments or ""
            calls = list(calls.values())
        else:
            message = client.chat.completions.create(**asked).choices[0].message
            text = message.content or ""
            calls = [{"id": call.id, "name": call.function.name, "arguments": call.function.arguments}
                     for call in message.tool_calls or []]
        if not calls:
            return log, text
        messages.append({"role": "assistant", "content": text or None, "tool_calls": [
            {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": call["arguments"]}}
            for call in calls]})
        for call in calls:
            arguments = json.loads(call["arguments"])
            log.append((call["name"], arguments, weather(**arguments)))
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": weather(**arguments)})
        between(turn)


def anthropic_run(address, streamed):
    import anthropic
    client = anthropic.Anthropic(base_url=address, api_key=KEY, max_retries=0)
    messages, log = [{"role": "user", "content": "What is the weather?"}], []
    tool = {"name": "weather", "description": "Tells the weather.", "input_schema": TOOL["parameters"]}
    while True:
        asked = dict(model="script", max_tokens=100, system="You tell the weather.", messages=messages, tools=[tool])
        if streamed:
            with client.messages.stream(**asked) as stream:
                message = stream.get_final_message()
        else:
            message = client.messages.create(**asked)
        uses = [block for block in message.content if block.type == "tool_use"]
        if not uses:
            return log, "".join(block.text for block in message.content)
        messages.append({"role": "assistant", "content": [block.model_dump(include={"type", "text", "id", "name", "input"})
                                                         for block in message.content]})
        log += [(use.name, use.input, weather(**use.input)) for use in uses]
        messages.append({"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": use.id, "content": weather(**use.input)} for use in uses]})


def smolagents_run(address, kind, question, streamed):
    """An agent of smolagents; returns its memory."""
    import smolagents

    @smolagents.tool
    def area(width: int, height: int) -> int:
        """Area.

        Args:
            width: The width.
            height: The height.
        """
        if width < 0:
            raise ValueError("width must not be negative")
        return width * height

    model = smolagents.OpenAIServerModel(model_id="script", api_base=address + "/v1", api_key=KEY)
    agent = getattr(smolagents, kind)(tools=[area], model=model, verbosity_level=0, stream_outputs=streamed)
    agent.run(question)
    return agent.memory.get_full_steps()


def stored(file):
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as database:
        rows = database.execute("""SELECT trajectory FROM trajectory WHERE "set" = 'recorded' ORDER BY sequence""")
        return [json.loads(row[0]) for row in rows]


def plain(trajectory):
    """Actions with results, and the answer."""
    log = []
    for step in trajectory["steps"]:
        action, seen = step["action"], step["observation"]
        if "toolCall" in action:
            log.append((action["toolCall"]["name"], action["toolCall"]["arguments"], seen["text"]))
        elif "code" in action:
            log.append(("code", action["code"]["_0"], seen["text"]))
        elif "unparsable" in action:
            log.append(("unparsable", action["unparsable"]["text"], seen["text"]))
    ending = trajectory.get("ending") or {}
    return log, next(iter(ending.values()), {}).get("_0") if ending else None


def seen(trajectory):
    """The steps without what no call shows: what came of the last, and the mark that smolagents adds to a turn."""
    log = [(kind, text.removesuffix("</code>") if kind == "unparsable" else text, result)
           for kind, text, result in plain(trajectory)[0]]
    return log[:-1] + [log[-1][:2]]


def imported(memory, folder):
    """smolagents' own memory as `retort import` reads it."""
    source, target = folder / "memory.json", folder / "memory.jsonl"
    source.write_text(json.dumps(memory))
    subprocess.check_call([RETORT, "import", str(source), "--format", "smolagents", "--out", str(target)],
                          stdout=subprocess.DEVNULL)
    return json.loads(target.read_text().splitlines()[0])


FAULTS = []


def check(what, found, wanted):
    good = found == wanted
    print(("ok    " if good else "WRONG ") + what)
    if not good:
        FAULTS.append(what)
        print(f"      stored:   {found}\n      happened: {wanted}")


def newest(file, before):
    fresh = stored(file)[before:]
    return fresh


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", help="a model's folder for `retort serve`")
    options = parser.parse_args()
    in_environment()
    model = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=model.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        file = folder / "recorded.sqlite"
        recorder = Recorder(f"http://127.0.0.1:{model.server_address[1]}/v1", file)
        try:
            scripted(recorder, folder, file)
        finally:
            recorder.stop()
        whole = b"".join(path.read_bytes() for path in folder.glob("recorded.sqlite*"))
        check("no key is in the store", KEY.encode() in whole, False)
        check("keys were passed on", all(KEY in str(headers) for _, headers, _ in Model.seen), True)
        if options.serve:
            served(options.serve, folder)
    print(f"{len(FAULTS)} faults")
    sys.exit(bool(FAULTS))


def scripted(recorder, folder, file):
    for streamed in (False, True):
        how = "streamed" if streamed else "in one piece"
        for kind, question in (("CodeAgent", "What is the area of the yard?"), ("ToolCallingAgent", "What are the two areas?")):
            before = len(stored(file))
            memory = smolagents_run(recorder.address, kind, question, streamed)
            fresh = newest(file, before)
            check(f"smolagents {kind}, {how}: one trajectory", len(fresh), 1)
            own = imported(memory, folder)
            check(f"smolagents {kind}, {how}: its steps", seen(fresh[0]), seen(own))
            check(f"smolagents {kind}, {how}: its answer", plain(fresh[0])[1], plain(own)[1])
            check(f"smolagents {kind}, {how}: its question", fresh[0]["task"]["question"], question)
            codes = [step["code_action"] for step in memory if step.get("code_action")]
            check(f"smolagents {kind}, {how}: its programs", [a for k, a, _ in plain(fresh[0])[0] if k == "code"], codes)
        for run, name in ((openai_run, "openai"), (anthropic_run, "anthropic")):
            before = len(stored(file))
            log, answer = run(recorder.address, streamed)
            fresh = newest(file, before)
            check(f"{name}, {how}: one trajectory", len(fresh), 1)
            check(f"{name}, {how}: its calls and answer", plain(fresh[0]), ([tuple(entry) for entry in log], answer))

        before = len(stored(file))
        log, answer = openai_run(recorder.address, streamed, "And the weather, killed?", lambda turn: recorder.kill())
        fresh = newest(file, before)
        check(f"killed after each call, {how}: one trajectory", len(fresh), 1)
        check(f"killed after each call, {how}: its calls and answer", plain(fresh[0]), (log, answer))

    before = len(stored(file))
    gate = threading.Barrier(2)
    logs = [None, None]

    def alike(place):
        logs[place] = openai_run(recorder.address, True, "Twice the weather?", lambda turn: gate.wait(30))

    threads = [threading.Thread(target=alike, args=(place,)) for place in range(2)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    check("two runs at once that begin alike", [plain(run) for run in newest(file, before)], logs)

    before = len(stored(file))

    def edit(turn, messages):
        if turn == 2:
            messages[3]["content"] = "hail"
    openai_run(recorder.address, False, "Edited weather?", edit=edit)
    fresh = newest(file, before)
    check("a changed history is a trajectory of its own", len(fresh), 2)
    origin = fresh[-1]["task"]["metadata"]["recorded"].get("from") or {}
    check("it says where it came from", (origin.get("trajectory"), origin.get("messages")), (fresh[0]["id"], 3))

    import openai
    try:
        openai.OpenAI(base_url=recorder.address + "/v1", api_key=KEY, max_retries=0).chat.completions.create(
            model="echo", messages=[{"role": "user", "content": "Let me in."}])
        check("a key that is refused", "no error", "an error")
    except openai.AuthenticationError as error:
        check("an error's text passes as it came", KEY in str(error), True)

    before = len(stored(file))
    Model.broken.set()
    try:
        openai_run(recorder.address, True, "Broken weather?")
        check("a stream that breaks is passed on", "no error", "an error")
    except Exception as error:
        print(f"ok    a stream that breaks is passed on ({type(error).__name__})")
    for _ in range(50):
        if len(stored(file)) > before:
            break
        time.sleep(0.1)
    fresh = newest(file, before)
    check("it is stored as a failure", [list(run.get("ending") or {}) for run in fresh], [["failed"]])
    log, answer = openai_run(recorder.address, True, "Broken weather?")
    check("the same call again goes on with the run", [plain(run) for run in newest(file, before)], [(log, answer)])


def served(folder_of_model, folder):
    import openai
    sys.path.insert(0, str(ROOT / "Tools"))
    import server_process
    file = folder / "served.sqlite"
    with server_process.Server(folder_of_model) as server:
        recorder = Recorder(server.address, file)
        client = openai.OpenAI(base_url=recorder.address + "/v1", api_key="none", max_retries=0)
        name = client.models.list().data[0].id
        for streamed in (False, True):
            before = len(stored(file)) if file.exists() else 0
            messages = [{"role": "user", "content": f"What is 3 + {4 + streamed}?"}]
            said = []
            for _ in range(2):
                asked = dict(model=name, messages=messages, max_tokens=24, temperature=0)
                if streamed:
                    text = "".join(choice.delta.content or "" for chunk in client.chat.completions.create(**asked, stream=True)
                                   for choice in chunk.choices)
                else:
                    text = client.chat.completions.create(**asked).choices[0].message.content or ""
                said.append(text)
                messages += [{"role": "assistant", "content": text}, {"role": "user", "content": "And then?"}]
            fresh = newest(file, before)
            check("retort serve: one trajectory", len(fresh), 1)
            check("retort serve: the last answer", (plain(fresh[0])[1] or "").strip(), said[-1].strip())
        messages_of_anthropic(server.address, name, client)
        recorder.stop()


def messages_of_anthropic(address, name, chat):
    """`retort serve` asked by the `anthropic` package: the same as by the `openai` package, and errors as it knows them."""
    import anthropic
    client = anthropic.Anthropic(base_url=address, api_key="none", max_retries=0)
    messages = [{"role": "user", "content": "What is 3 + 4?"}]
    wanted = chat.chat.completions.create(model=name, max_tokens=24, temperature=0, messages=messages)
    asked = dict(model=name, max_tokens=24, messages=messages, extra_body={"temperature": 0})
    found = client.messages.create(**asked)
    text = "".join(block.text for block in found.content if block.type == "text")
    check("anthropic on retort serve: the text", text, wanted.choices[0].message.content)
    check("anthropic on retort serve: the usage", (found.usage.input_tokens, found.usage.output_tokens),
          (wanted.usage.prompt_tokens, wanted.usage.completion_tokens))
    check("anthropic on retort serve: why it stopped", found.stop_reason,
          {"length": "max_tokens", "stop": "end_turn"}[wanted.choices[0].finish_reason])
    with client.messages.stream(**asked) as stream:
        pieces = "".join(stream.text_stream)
        whole = stream.get_final_message()
    check("anthropic on retort serve, streamed: the text", pieces, text)
    check("anthropic on retort serve, streamed: the usage", (whole.usage.input_tokens, whole.usage.output_tokens),
          (found.usage.input_tokens, found.usage.output_tokens))
    tool = {"name": "pick", "input_schema": {"type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"],
                                             "additionalProperties": False}}
    for streamed in (False, True):
        forced = dict(asked, max_tokens=60, tools=[tool], tool_choice={"type": "tool", "name": "pick"})
        try:
            if streamed:
                with client.messages.stream(**forced) as stream:
                    reply = stream.get_final_message()
            else:
                reply = client.messages.create(**forced)
        except anthropic.BadRequestError as error:
            # A seedling's template has no tools.
            check("anthropic on retort serve: tools are refused by name", "no place for them" in str(error), True)
            continue
        uses = [(block.name, block.input.get("n") in (1, 2)) for block in reply.content if block.type == "tool_use"]
        check("anthropic on retort serve: a call that is demanded", (uses, reply.stop_reason), ([("pick", True)], "tool_use"))
        use = next(block for block in reply.content if block.type == "tool_use")
        more = messages + [{"role": "assistant", "content": [use.model_dump(include={"type", "id", "name", "input"})]}, {
            "role": "user", "content": [{"type": "tool_result", "tool_use_id": use.id, "content": "good"}]}]
        client.messages.create(**dict(asked, messages=more, tools=[tool], system="Be brief."))
    for what, change, error in [
            ("an unknown model", {"model": "none"}, anthropic.NotFoundError),
            ("an image", {"messages": [{"role": "user", "content": [{"type": "image", "source": {
                "type": "base64", "media_type": "image/png", "data": ""}}]}]}, anthropic.BadRequestError)]:
        try:
            client.messages.create(**dict(asked, **change))
            check(f"anthropic on retort serve: {what}", "no error", error.__name__)
        except anthropic.APIStatusError as told:
            check(f"anthropic on retort serve: {what}", (type(told), told.body["type"]), (error, "error"))


if __name__ == "__main__":
    main()
