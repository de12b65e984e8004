"""Makes the tasks and the teacher's trajectories from MWP (ReFT) and GSM8K.

    python3 prepare.py DATA            writes the full-size domain into `full/`
    python3 prepare.py DATA --small    writes the committed cut into this folder

DATA holds `mwp/train_pairs.jsonl`, `mwp/test_svamp.jsonl` and `gsm8k/test.jsonl`. Problems of ASDiv-A (CC BY-NC) are in the full
set only. The same data and seed always give the same bytes. Standard library only.
"""
import argparse
import ast
import collections
import pathlib
import random
import re
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import harness  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--small", action="store_true", help="the committed cut, in place")
    parser.add_argument("--out", type=pathlib.Path, default=HERE / "full")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    out = HERE if options.small else options.out
    out.mkdir(parents=True, exist_ok=True)
    if not options.small:
        shutil.copyfile(HERE / "domain.yaml", out / "domain.yaml")
    left_out = collections.Counter()
    train, programs, thoughts, seen = [], [], [], set()
    for record in harness.read(options.data / "mwp/train_pairs.jsonl"):
        if options.small and record["origin"] != "mawps":
            left_out["ASDiv-A, in the full set only"] += 1
            continue
        task = {"id": f"mwp-{record['id']}", "question": record["question"].strip(), "answer": number(record["answer"]), "origin": record["origin"]}
        if task["question"] in seen:
            left_out["a question that is there twice"] += 1
            continue
        session = harness.Session(HERE)
        program = program_of(record["program"])
        shown = session.run(program)
        value = shown["outcome"].get("final", {}).get("_0")
        if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value - task["answer"]) > 1e-3:
            left_out["a program that does not give the answer"] += 1
            continue
        seen.add(task["question"])
        train.append(task)
        step = harness.step("I compute it step by step.", harness.code(program), shown)
        programs.append(harness.trajectory(task, [step], "gpt-3.5-turbo", family="math"))
        thought, told = reasoning(record.get("cot") or "")
        if told is None or abs(told - task["answer"]) > 1e-3:
            left_out["no chain of thought that ends with the answer"] += 1
            continue
        action = harness.answer(number(told))
        step = harness.step(thought, action, session.perform(action))
        thoughts.append(harness.trajectory(task, [step], "gpt-3.5-turbo", policy="cot", family="math"))
    svamp = [{"id": one["id"], "question": one["question"].strip(), "answer": number(one["answer"])} for one in harness.read(options.data / "mwp/test_svamp.jsonl")]
    gsm8k = [
        {"id": f"gsm8k-{place}", "question": one["question"].strip(), "answer": number(one["answer"].split("####")[1].strip().replace(",", ""))}
        for place, one in enumerate(harness.read(options.data / "gsm8k/test.jsonl"))
    ]
    if options.small:
        rng = random.Random(options.seed)
        both = {one["task"]["id"] for one in thoughts}
        chosen = {task["id"] for task in rng.sample([task for task in train if task["id"] in both], 60)}
        train = [task for task in train if task["id"] in chosen]
        programs = [one for one in programs if one["task"]["id"] in chosen]
        thoughts = [one for one in thoughts if one["task"]["id"] in chosen]
        svamp, gsm8k = rng.sample(svamp, 20), rng.sample(gsm8k, 20)
    harness.write(out / "tasks/train.jsonl", train)
    harness.write(out / "tasks/svamp.jsonl", svamp)
    harness.write(out / "tasks/gsm8k.jsonl", gsm8k)
    harness.write(out / "trajectories.jsonl", programs)
    harness.write(out / "trajectories-cot.jsonl", thoughts)
    print(f"{len(train)} tasks to train, {len(svamp)} and {len(gsm8k)} to test, {len(programs)} programs, {len(thoughts)} chains of thought; left out: {dict(left_out)}")


def number(text):
    value = float(text)
    return int(value) if value.is_integer() else value


def program_of(source):
    """The function without the question in its docstring, and the call that answers."""
    tree = ast.parse(source)
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef))
    lines = source.splitlines()
    if ast.get_docstring(function) is not None:
        lines = lines[: function.body[0].lineno - 1] + lines[function.body[0].end_lineno :]
    return "\n".join(line.rstrip() for line in lines if line.strip()) + "\n\nfinal_answer(solution())"


def reasoning(text):
    """The chain of thought without its closing line, and the number in that."""
    found = re.search(r"\s*Therefore, the answer is <([^<>]*)>\.?\s*$", text)
    if not found:
        return text, None
    try:
        return text[: found.start()].strip(), float(found.group(1).replace(",", ""))
    except ValueError:
        return text, None


if __name__ == "__main__":
    main()
