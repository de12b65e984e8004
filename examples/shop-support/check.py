"""Checks the domain in this folder: `python3 check.py [FOLDER]` (such as `full`).

Every trajectory's calls are made again, by JSON and as a program; the session must show the same, leave the same state, and
`grade` must accept it. Gold actions must be accepted for every task; states and answers that were altered must be refused.
"""
import collections
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import harness  # noqa: E402


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    tasks = {split: harness.read(folder / f"tasks/{split}.jsonl") for split in ("train", "test", "other")}
    trajectories = harness.read(folder / "trajectories.jsonl")
    faults, counts = [], collections.Counter()
    by_id = {task["id"]: task for task in tasks["train"]}
    for recorded in trajectories:
        task = by_id[recorded["task"]["id"]]
        differences, session = harness.replay(folder, recorded, task)
        faults += differences + as_programs(folder, recorded, task)
        left = session.state()
        if harness.compact(left) != harness.compact(recorded["state"]):
            faults.append(f"{recorded['id']}: the state that is left is another")
        if not grade(folder, task, recorded["ending"]["answered"]["_0"], left):
            faults.append(f"{recorded['id']}: grade refuses it")
        counts["trajectories"] += 1
        counts["calls"] += len(recorded["steps"]) - 1
    for split, records in tasks.items():
        for task in records:
            counts["tasks"] += 1
            faults += gold(folder, task, counts)
    apart(tasks, faults)
    harness.report("shop-support", faults, counts)


def grade(folder, task, answer, left):
    return harness.Session(folder).module.grade(task, answer, left)[0]


def as_programs(folder, recorded, task):
    """The same calls as a code agent makes them: what it sees must be the same."""
    session = harness.Session(folder, task)
    faults = []
    for number, step in enumerate(recorded["steps"][:-1], 1):
        call = step["action"]["toolCall"]
        arguments = ", ".join(f"{name}={value!r}" for name, value in call["arguments"].items())
        seen = session.run(f"print({call['name']}({arguments}))")
        if seen["text"] != step["observation"]["text"]:
            faults.append(f"{recorded['id']}, step {number}: a program is shown something else")
    return faults


def gold(folder, task, counts):
    """What the gold actions leave must be accepted, and everything near it refused."""
    session = harness.Session(folder, task)
    for action in task["actions"]:
        seen = session.call(action["name"], action["kwargs"])
        if "success" not in seen["outcome"]:
            return [f"{task['id']}: {action['name']} is refused: {seen['text']}"]
    left = session.state()
    said = "It comes to " + " and ".join(task["outputs"]) + "."
    faults = [] if grade(folder, task, said, left) else [f"{task['id']}: grade refuses the gold actions"]
    wrong = [("another answer", altered, left) for altered in answers(task["outputs"])]
    wrong += [("another state", said, altered) for altered in states(left)]
    for kind, answer, state in wrong:
        counts["altered results"] += 1
        if grade(folder, task, answer, state):
            faults.append(f"{task['id']}: grade accepts {kind}: {answer} {harness.compact(state)[:200]}")
    return faults


def answers(outputs):
    """Answers that do not say what had to be said."""
    if not outputs:
        return []
    numbers = [float(output) for output in outputs if output[:1].isdigit()]
    near = [f"{number + step:.2f}" for number in numbers for step in (0.01, 1, 100)]
    return ["", None, "It is done.", *(f"It comes to {value}." for value in near), *(f"It comes to 1{output}." for output in outputs), ", ".join(outputs[1:])]


def states(left):
    """States that another agent might have left."""
    altered = [None, {}, {**left, "transferred": True}, {**left, "orders": {**left["orders"], "#W0": {"status": "cancelled"}}}]
    for kind in ("orders", "users"):
        for key, members in left[kind].items():
            altered.append({**left, kind: {one: value for one, value in left[kind].items() if one != key}})
            for name, value in members.items():
                altered.append({**left, kind: {**left[kind], key: {**members, name: other(value)}}})
    return altered


def other(value):
    if isinstance(value, str):
        return value + "x"
    if isinstance(value, (int, float)):
        return value + 1
    return json.loads(json.dumps(value))[1:] if isinstance(value, list) else {}


def apart(tasks, faults):
    """No customer of the training tasks is in the test of the same form."""
    seen = {task["user_id"] for task in tasks["train"]}
    faults += [f"{task['id']}: its customer is in training, too" for task in tasks["test"] if task["user_id"] in seen]
    ids = [task["id"] for records in tasks.values() for task in records]
    faults += [f"{one}: the id is there twice" for one, count in collections.Counter(ids).items() if count > 1]


if __name__ == "__main__":
    main()
