"""What the four examples share: a session like the product's in a few lines, and the files that Retort reads.

`Session` runs programs and tool calls as Retort's sandboxed session shows them to an agent, without the sandbox: it is for
trajectories that `prepare.py` writes and `check.py` reads, never for a model's programs. `trajectory` and `write` make
JSON Lines of Retort's own form (`retort import trajectories`). Standard library only.
"""
import ast
import contextlib
import dataclasses
import functools
import importlib.util
import inspect
import io
import json
import pathlib
import sys
import traceback

HOOKS = ("setup", "state", "grade")


class FinalAnswer(BaseException):
    """Ends a program with the answer."""


class Session:
    """One task's state: the module imported anew, `setup` called with the task's record."""

    def __init__(self, folder, task=None, search=None):
        """
        Args:
            folder: of the domain, with `tools.py` in it.
            task: the record of the task file; None leaves `setup` uncalled, as for `grade`.
            search: a function that stands for the search tool over the domain's documents.
        """
        self.module = load(pathlib.Path(folder) / "tools.py")
        self.calls = []
        functions = tools(self.module) if self.module else {}
        if search:
            functions[search.__name__] = search
        self.functions = {name: self.recorded(name, function) for name, function in functions.items()}
        self.names = {"__name__": "__main__", **self.functions}
        if task is not None and hasattr(self.module, "setup"):
            self.module.setup(task)

    def recorded(self, name, function):
        signature = inspect.signature(function)

        @functools.wraps(function)
        def call(*args, **kwargs):
            noted = {"name": name, "arguments": dict(signature.bind(*args, **kwargs).arguments)}
            self.calls.append(noted)
            try:
                result = function(*args, **kwargs)
            except Exception as error:
                noted["error"] = f"{type(error).__name__}: {error}"
                raise
            noted["result"] = as_json(result)
            return result

        return call

    def perform(self, action):
        """What comes of an action (`{"code": …}`, `{"toolCall": …}` or `{"answer": …}`), as an observation."""
        kind = next(iter(action))
        if kind == "code":
            return self.run(action["code"]["_0"])
        if kind == "toolCall":
            return self.call(action["toolCall"]["name"], action["toolCall"]["arguments"])
        return observation("", {"final": {"_0": action["answer"]["_0"]}}, [])

    def run(self, program):
        self.calls = []
        answers = []
        printed = io.StringIO()

        def final_answer(answer):
            answers[:] = [answer]
            raise FinalAnswer

        self.names["final_answer"] = final_answer
        value = failure = None
        with contextlib.redirect_stdout(printed):
            try:
                value = execute(program, self.names)
            except FinalAnswer:
                pass
            except Exception as error:
                failure = error
        text = printed.getvalue()
        if answers:
            return observation(text.rstrip(), {"final": {"_0": as_json(answers[0])}}, self.calls)
        if failure is not None:
            kind, message = type(failure).__name__, str(failure)
            places = [frame.lineno for frame in traceback.extract_tb(failure.__traceback__) if frame.filename == "<program>"]
            place = f" (line {places[-1]})" if places else ""
            outcome = {"executionError": {"type": kind, "message": message}}
            return observation(joined(text, f"{kind}: {message}{place}"), outcome, self.calls)
        if value is not None:
            shown = value if isinstance(value, str) else repr(value)
            return observation(joined(text, f"Out: {shown}"), {"success": {}}, self.calls)
        return observation(joined(text, "" if text else "(no output)"), {"success": {}}, self.calls)

    def call(self, name, arguments):
        self.calls = []
        try:
            value = self.functions[name](**arguments)
        except Exception as error:
            kind, message = type(error).__name__, str(error)
            return observation(f"{kind}: {message}", {"executionError": {"type": kind, "message": message}}, self.calls)
        text = value if isinstance(value, str) else json.dumps(as_json(value))
        return observation(text or "(no output)", {"success": {}}, self.calls)

    def state(self):
        """What `state` tells, as JSON; None where the module has none."""
        return as_json(self.module.state()) if hasattr(self.module, "state") else None


def load(path):
    """The module of a file, imported anew; None where there is no such file."""
    if not path.exists():
        return None
    sys.dont_write_bytecode = True
    specification = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(specification)
    sys.modules[path.stem] = module
    specification.loader.exec_module(module)
    return module


def tools(module):
    """The functions of a module that are tools."""
    return {
        name: value
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_") and name not in HOOKS
    }


def execute(program, names):
    tree = ast.parse(program, "<program>")
    last = None
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = ast.Expression(tree.body.pop().value)
    exec(compile(tree, "<program>", "exec"), names)
    return eval(compile(last, "<program>", "eval"), names) if last is not None else None


def joined(printed, text):
    return "\n".join(part for part in (printed.rstrip(), text) if part)


def observation(text, outcome, calls):
    return {"text": text, "outcome": outcome, "toolCalls": [dict(call) for call in calls], "seconds": 0.0}


def as_json(value):
    """A value as JSON has it: tuples as lists, sets sorted, dataclasses as objects."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, dict):
        return {str(key): as_json(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(one) for one in value]
    if isinstance(value, (set, frozenset)):
        return [as_json(one) for one in sorted(value, key=repr)]
    if dataclasses.is_dataclass(value):
        return as_json(dataclasses.asdict(value))
    return str(value)


def code(program):
    """The action that runs a program."""
    return {"code": {"_0": program}}


def tool_call(name, **arguments):
    """The action that calls a tool with JSON arguments."""
    return {"toolCall": {"name": name, "arguments": arguments}}


def answer(value):
    """The action that ends the run with an answer."""
    return {"answer": {"_0": value}}


def step(thought, action, seen):
    return {
        "speaker": "agent",
        "thought": thought,
        "action": action,
        "observation": seen,
        "usage": {"promptTokens": 0, "completionTokens": 0, "seconds": 0.0},
        "candidates": [],
    }


def trajectory(task, steps, model, policy="agent", family="factual", state=None, references=None):
    """A finished trajectory; its last step's observation holds the final answer.

    Args:
        task: the record of the task file.
        model: who taught.
        references: the accepted answers; the task's `answer` unless said, which is one or a list of them.
    """
    if references is None:
        references = task.get("answer", [])
    if not isinstance(references, list):
        references = [references]
    known = {"id", "question", "answer"}
    record = {
        "id": f"{task['id']}/{policy}/0",
        "task": {
            "id": task["id"],
            "question": task["question"],
            "answers": [one if isinstance(one, str) else compact(one) for one in references],
            "family": family,
            "split": "train",
            "metadata": {key: value for key, value in task.items() if key not in known},
        },
        "provenance": {"policy": policy, "model": model, "seed": 0, "attempt": 0},
        "steps": steps,
        "ending": {"answered": {"_0": steps[-1]["observation"]["outcome"]["final"]["_0"]}},
    }
    if state is not None:
        record["state"] = state
    return record


def compact(value):
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def read(path):
    """The records of a JSON Lines file."""
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def write(path, records):
    """Writes JSON Lines; the same records always give the same bytes."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(compact(record) + "\n" for record in records)
    path.write_text(text, encoding="utf-8")


def replay(folder, recorded, task, search=None):
    """Runs a trajectory's actions again.

    Returns:
        the places where the session shows something else, and the session as it was left.
    """
    session = Session(folder, task, search)
    differences = []
    for number, one in enumerate(recorded["steps"], 1):
        seen = session.perform(one["action"])
        for field in ("text", "outcome", "toolCalls"):
            if compact(seen[field]) != compact(one["observation"][field]):
                differences.append(f"{recorded['id']}, step {number}, {field}: {compact(seen[field])[:200]} instead of {compact(one['observation'][field])[:200]}")
    return differences, session


def report(name, faults, counts):
    """Prints what a check found, and ends with its exit code."""
    for fault in faults[:20]:
        print(f"fault: {fault}")
    print(f"{name}: " + ", ".join(f"{value} {key}" for key, value in counts.items()) + f", {len(faults)} faults")
    sys.exit(1 if faults else 0)
