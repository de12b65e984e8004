#!/usr/bin/env python3
"""Tries `retort serve` with the clients people use: the openai package, smolagents' CodeAgent, and curl.

    make build
    python3 -m venv /tmp/clients && /tmp/clients/bin/pip install openai 'smolagents[openai]'
    /tmp/clients/bin/python Tools/check_server.py [--run runs/quickstart]

Starts the server itself and stops it again. Without a finished run the checks of agents are skipped, and it says so. Ends
with code 1 when anything fails. RETORT names another binary than the release build's.
"""
import argparse
import asyncio
import json
import pathlib
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import openai

from server_process import RETORT, ROOT, Server

failures = []


def check(name, passed, detail=""):
    print(f"{'ok  ' if passed else 'FAIL'} {name}{'  ' + str(detail) if detail != '' else ''}", flush=True)
    if not passed:
        failures.append(name)


def refused(name, kind, action, *words):
    """Checks that an action fails with a kind of error that says certain words."""
    try:
        action()
        check(name, False, "no error")
    except kind as error:
        check(name, all(word in str(error) for word in words), "" if all(w in str(error) for w in words) else error)


def user(text):
    return [{"role": "user", "content": text}]


def models_and_chat(server, client, model):
    names = [entry.id for entry in client.models.list()]
    check("models are listed", model in names, names)
    check("each can be looked up", all(client.models.retrieve(name).id == name for name in names))
    greedy = dict(model=model, messages=user("What is 17 * 23?"), temperature=0, max_tokens=24)
    whole = client.chat.completions.create(**greedy)
    text = whole.choices[0].message.content
    check("a chat is answered", bool(text), repr(text))
    check("usage adds up", whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens)
    chunks = list(client.chat.completions.create(**greedy, stream=True, stream_options={"include_usage": True}))
    streamed = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    check("a stream says the same", streamed == text)
    check("with usage in the end", chunks[-1].usage == whole.usage)
    with client.chat.completions.stream(**dict(greedy, max_tokens=400)) as stream:
        said = "".join(event.delta for event in stream if event.type == "content.delta")
    check("also by the client's own stream helper", said.startswith(text) and len(said) > len(text))
    sampled = dict(greedy, temperature=1.2, n=4, seed=11)
    first = [c.message.content for c in client.chat.completions.create(**sampled).choices]
    again = [c.message.content for c in client.chat.completions.create(**sampled).choices]
    check("four samples differ, and are the same for the same seed", len(set(first)) == 4 and first == again)
    half = text[: len(text) // 2]
    prefix = [*greedy["messages"], {"role": "assistant", "content": half}]
    rest = client.chat.completions.create(**dict(greedy, messages=prefix))
    check("an assistant message last is gone on with", bool(rest.choices[0].message.content))
    same = client.chat.completions.create(
        **dict(greedy, messages=prefix),
        extra_body={"continue_final_message": True, "add_generation_prompt": False})
    check("in vLLM's words too", same.choices[0].message.content == rest.choices[0].message.content)
    stopped = client.chat.completions.create(**greedy, stop=[text[4:6]])
    check("a stop text ends it", text.startswith(stopped.choices[0].message.content + text[4:6]))
    reported = client.chat.completions.create(
        **greedy, logprobs=True, top_logprobs=5, extra_body={"return_token_ids": True})
    content = reported.choices[0].logprobs.content
    check("log-probabilities", all(t.logprob <= 0 and len(t.top_logprobs) == 5 for t in content), len(content))
    ids = reported.choices[0].token_ids
    check("token ids", len(ids) >= len(content) and len(reported.prompt_token_ids) == whole.usage.prompt_tokens)
    plain = client.completions.create(
        model=model, prompt=[reported.prompt_token_ids, "One, two, three,"], max_tokens=24, temperature=0, logprobs=3)
    check("plain prompts: tokens of a chat give its answer", plain.choices[0].text == text)
    check("text prompts with log-probabilities", len(plain.choices[1].logprobs.tokens) > 0)


def errors(server, client, model):
    ask = client.chat.completions.create
    refused("a bad value", openai.BadRequestError, lambda: ask(model=model, messages=user("x"), temperature=9), "temperature")
    refused("an unknown model", openai.NotFoundError, lambda: ask(model="none", messages=user("x")), "no model")
    refused("an unknown parameter", openai.BadRequestError,
            lambda: ask(model=model, messages=user("x"), extra_body={"tempo": 1}), "tempo")
    refused("a prompt that is too long", openai.BadRequestError,
            lambda: ask(model=model, messages=user("word " * 20000)), "context")
    refused("an image", openai.BadRequestError,
            lambda: ask(model=model, messages=[{"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": "data:,"}}]}]), "reads text")
    refused("a body that is too long", openai.APIStatusError,
            lambda: ask(model=model, messages=user("x" * (5 << 20))), "413")
    stream = ask(model=model, messages=user("x"), max_tokens=1500, stream=True)
    next(iter(stream))
    stream.close()
    check("a stream that is closed early ends its generation", server.settle())


async def many(address, model):
    client = openai.AsyncOpenAI(base_url=address + "/v1", api_key="none", max_retries=0, timeout=120)

    async def ask(text, streamed):
        settings = dict(model=model, messages=user(text), temperature=0, max_tokens=24)
        if not streamed:
            return (await client.chat.completions.create(**settings)).choices[0].message.content
        stream = await client.chat.completions.create(**settings, stream=True)
        return "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])

    questions = [f"Question number {i}: what is {i} + {i * i}?" for i in range(16)]
    alone = [await ask(question, False) for question in questions]
    together = await asyncio.gather(*[ask(questions[i % 16], i % 2 == 0) for i in range(128)])
    check("128 at once each get their own answer", all(together[i] == alone[i % 16] for i in range(128)))
    await client.close()


def curl(server, model):
    def run(*arguments):
        result = subprocess.run(["curl", "-sS", "--max-time", "60", *arguments], capture_output=True, text=True)
        return result.stdout

    body = json.dumps({"model": model, "messages": user("hi"), "max_tokens": 8, "stream": True})
    url = server.address + "/v1/chat/completions"
    text = run("-N", url, "-H", "Content-Type: application/json", "-d", body)
    check("curl reads a stream", text.startswith("data: {") and text.endswith("data: [DONE]\n\n"))
    check("curl without a JSON type is told so", "Content-Type: application/json" in run(url, "-d", body))
    status = run("-o", "/dev/null", "-w", "%{http_code}", url)
    check("GET is refused with 405", status == "405", status)
    page = run(server.address + "/metrics")
    check("metrics", "retort_requests_total{" in page and "retort_first_token_seconds_bucket{" in page)


def agents(server, client, run, student):
    # A question that the student can answer, whatever the run was.
    solved = solved_tasks(run, student, "math", 1) or solved_tasks(run, student, "factual", 1)
    question = solved[0]["question"] if solved else "What is 17 * 23?"
    answer = client.chat.completions.create(
        model="agent", messages=user(question), extra_body={"return_trajectory": True})
    ending = answer.choices[0].retort
    check("the agent answers", ending["ending"] == "answered", repr(answer.choices[0].message.content))
    check("with its trajectory", len(ending["trajectory"]["steps"]) == ending["steps"] > 0)
    chunks = list(client.chat.completions.create(model="agent", messages=user(question), stream=True))
    deltas = [c.choices[0].delta for c in chunks if c.choices]
    work = "".join(getattr(d, "reasoning_content", None) or "" for d in deltas)
    said = "".join(d.content or "" for d in deltas)
    check("a stream shows its work, then the same answer",
          "final_answer" in work and said == answer.choices[0].message.content)
    voted = client.chat.completions.create(
        model="agent", messages=user(question), extra_body={"votes": 4, "return_trajectory": True})
    check("votes", len(voted.choices[0].retort["trajectory"]["steps"][0]["candidates"]) == 4)
    refused("a system message", openai.BadRequestError, lambda: client.chat.completions.create(
        model="agent", messages=[{"role": "system", "content": "x"}, *user("y")]), "its own instructions")


def solved_tasks(run, student, family, count):
    """Test tasks that the student solved by itself when the run was evaluated."""
    lines = subprocess.run(
        [RETORT, "inspect", str(run), "--set", f"evaluate/{student}/agent", "--json"], cwd=ROOT, capture_output=True,
        text=True, check=True).stdout.splitlines()
    entries = [json.loads(line) for line in lines]
    tasks = [e["trajectory"]["task"] for e in entries if (e.get("verdict") or {}).get("isCorrect")]
    return [task for task in tasks if task["family"] == family][:count]


def same(answer, reference):
    try:
        return abs(float(answer) - float(reference)) < 1e-9
    except ValueError:
        return answer.strip().lower() == reference.strip().lower()


def smolagents_agent(server, run, student):
    """smolagents' own agent loop, parser and interpreter, with the student as its model."""
    import smolagents

    passages = next(iter(sorted(run.glob("passages*.sqlite"))), None)

    class Search(smolagents.Tool):
        name = "web_search"
        description = "Searches an encyclopedia and returns the passages that fit best."
        inputs = {"query": {"type": "string", "description": "What the passage should be about."}}
        output_type = "string"

        def forward(self, query: str) -> str:
            words = " OR ".join(f'"{word}"' for word in re.findall(r"\w+", query))
            with sqlite3.connect(f"file:{passages}?mode=ro", uri=True) as database:
                rows = database.execute(
                    "SELECT passage.title, passage.body FROM words JOIN passage ON passage.rowid = words.rowid "
                    "WHERE words MATCH ? ORDER BY bm25(words, 4, 1), passage.rowid LIMIT 2", (words,)).fetchall()
            return "\n".join(f"[{i + 1}] {title}\n{body}" for i, (title, body) in enumerate(rows)) or "(no results)"

    def as_learned(step, agent=None):
        """The student knows no headings in observations, and no message that repeats its program as a tool call."""
        if getattr(step, "observations", None):
            text = step.observations.removeprefix("Execution logs:\n")
            step.observations = re.sub(r"\n*Last output from code snippet:\nNone$", "", text).rstrip("\n")
            step.tool_calls = None

    templates = dict(smolagents.CodeAgent(tools=[], model=None).prompt_templates)
    templates["system_prompt"] = (
        "Solve the task in steps: think, then write Python, and print what you need to see. End with final_answer. "
        "These functions are there:\nweb_search(query)\nfinal_answer(answer)")
    model = smolagents.OpenAIModel(
        model_id=f"{student}-agent", api_base=server.address + "/v1", api_key="none", temperature=0, max_tokens=200)
    for family in ("math", "factual"):
        tasks, right = solved_tasks(run, student, family, 10), 0
        if not tasks:
            print(f"skip smolagents' CodeAgent on {family} tasks: the student solved none of the run's")
            continue
        steps = []
        for task in tasks:
            agent = smolagents.CodeAgent(
                tools=[Search()], model=model, prompt_templates=templates, code_block_tags=("```py", "```"), max_steps=5,
                step_callbacks=[as_learned], verbosity_level=smolagents.LogLevel.OFF)
            answer = str(agent.run(task["question"]))
            steps.append(len(agent.memory.steps) - 1)
            right += any(same(answer, reference) for reference in task["answers"])
        check(f"smolagents' CodeAgent solves {family} tasks with the student", right * 2 >= len(tasks),
              f"{right} of {len(tasks)}, {sum(steps) / max(len(steps), 1):.1f} steps each")


def keys_and_limits(folder):
    with Server(folder, environment={"RETORT_API_KEY": "sesame"}) as server:
        check("health names no models to those without a key", "models" not in server.health())
        model = pathlib.Path(folder).name
        ask = lambda key: openai.OpenAI(base_url=server.address + "/v1", api_key=key).chat.completions.create(
            model=model, messages=user("x"), max_tokens=4)
        refused("a wrong key", openai.AuthenticationError, lambda: ask("open"), "valid key")
        check("the right key", ask("sesame").choices[0].finish_reason in ("stop", "length"))
        check("no key in the log", "sesame" not in server.errors())
    with Server(folder, "--maximum-running", 1, "--maximum-waiting", 1) as server:
        model = server.health()["models"][0]
        ask = lambda retries: openai.OpenAI(
            base_url=server.address + "/v1", api_key="none", max_retries=retries).chat.completions.create(
                model=model, messages=user("Tell me a story."), temperature=1, seed=1, max_tokens=300)
        results = []

        def attempt(retries):
            try:
                ask(retries)
                results.append("ok")
            except openai.InternalServerError as error:
                results.append(error.status_code)

        def crowd(retries):
            results.clear()
            threads = [threading.Thread(target=attempt, args=(retries,)) for _ in range(8)]
            [thread.start() for thread in threads]
            [thread.join() for thread in threads]
            return sorted(map(str, results))

        refusals = crowd(0)
        check("a full queue refuses with 503", "503" in refusals and "ok" in refusals, refusals)
        check("a client that retries gets through", crowd(12) == ["ok"] * 8, results)


def shutdown(folder):
    with Server(folder) as server:
        client = openai.OpenAI(base_url=server.address + "/v1", api_key="none", max_retries=0)
        model = server.health()["models"][0]
        settings = dict(model=model, messages=user("Tell me a story."), temperature=1, seed=3, max_tokens=600)
        whole = client.chat.completions.create(**settings).choices[0].message.content
        stream = iter(client.chat.completions.create(**settings, stream=True))
        text = next(stream).choices[0].delta.content or ""
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.05)
        refused("while stopping, new connections are refused", openai.APIConnectionError,
                lambda: client.with_options(timeout=5).chat.completions.create(**settings))
        text += "".join(c.choices[0].delta.content or "" for c in stream if c.choices)
        check("what is under way ends in full", text == whole, len(text))
        # A second signal would end it at once.
        check("and the exit code is 0", server.process.wait(60) == 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", default=str(ROOT / "runs/quickstart"), help="a finished run")
    run = pathlib.Path(parser.parse_args().run).resolve()
    hasRun = (run / "manifest.json").exists()
    seedling = ROOT / "seedlings/1m"
    folders = [run if hasRun else seedling]
    with Server(*folders) as server:
        client = openai.OpenAI(base_url=server.address + "/v1", api_key="none", max_retries=0, timeout=120)
        names = server.health()["models"]
        student = next((name.removesuffix("-agent") for name in names if name.endswith("-agent")), None)
        model = f"{student}-agent" if student else names[0]
        models_and_chat(server, client, model)
        errors(server, client, model)
        asyncio.run(many(server.address, model))
        curl(server, model)
        if student:
            agents(server, client, run, student)
            smolagents_agent(server, run, student)
        else:
            print(f"skip agents: {run} holds no finished run with an agent; make one with 'make demo'")
        check("nothing is left running", server.settle())
    keys_and_limits(seedling)
    shutdown(seedling)
    print(f"{len(failures)} failed" if failures else "all passed")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
