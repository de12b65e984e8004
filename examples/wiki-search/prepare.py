"""Makes the documents, the tasks and the teacher's trajectories from 2WikiMultiHopQA and HotpotQA.

    python3 prepare.py DATA            writes the full-size domain into `full/`
    python3 prepare.py DATA --small    writes the committed cut into this folder

DATA holds `2wiki/` and `hotpotqa/`, each with questions and passages.jsonl. The same data always give the same bytes. Standard
library only.
"""
import argparse
import collections
import pathlib
import re
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE))
import harness  # noqa: E402
import passages  # noqa: E402


# Relations that are no nouns, in the words of a thought; searches keep the annotation's.
NOUNS = {"educated at": "place of education", "award received": "award", "has part": "part"}


class Unfit(Exception):
    """Why a record is left out."""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--small", action="store_true", help="the committed cut, in place")
    parser.add_argument("--out", type=pathlib.Path, default=HERE / "full")
    options = parser.parse_args()
    out = HERE if options.small else options.out
    out.mkdir(parents=True, exist_ok=True)
    wiki, hotpot = options.data / "2wiki", options.data / "hotpotqa"
    if not options.small:
        shutil.copyfile(HERE / "domain.yaml", out / "domain.yaml")
    train, test, other = harness.read(wiki / "train.jsonl"), harness.read(wiki / "test.jsonl"), harness.read(hotpot / "test.jsonl")
    test = [one for one in test if not one.get("shares_gold_passage_with_train")]
    documents = contents(wiki / "passages.jsonl", "w") + contents(hotpot / "passages.jsonl", "h")
    if not options.small:
        documents += contents(wiki / "extra_distractor_passages_hipporag.jsonl", "x")
    if options.small:
        train = mixed(train, 26)
        test, other = mixed(test, 12), [one for one in other if one["level"] == "easy"][:10]
        needed = {f"w-{one}" for record in train + test for one in record["passages"]} | {f"h-{one}" for record in other for one in record["passages"]}
        documents = [one for one in documents if one["id"] in needed]
    harness.write(out / "documents.jsonl", documents)
    index = passages.Passages(documents)
    tasks, trajectories, left_out = [], [], collections.Counter()
    for record in train:
        task = task_of(record)
        try:
            trajectories.append(teach(record, task, index))
            tasks.append(task)
        except Unfit as reason:
            left_out[str(reason)] += 1
    harness.write(out / "tasks/train.jsonl", tasks)
    harness.write(out / "tasks/test.jsonl", map(task_of, test))
    harness.write(out / "tasks/other.jsonl", map(task_of, other))
    harness.write(out / "trajectories.jsonl", trajectories)
    print(f"{len(tasks)} tasks to train, {len(test)} and {len(other)} to test, {len(documents)} passages, {len(trajectories)} trajectories; left out: {dict(left_out)}")


def contents(path, prefix):
    return [{"id": f"{prefix}-{one['id']}", "contents": f"{one['title']}\n{' '.join(one['text'].split())}"} for one in harness.read(path)]


def mixed(records, count):
    """Of each type in turn."""
    by_type = collections.defaultdict(list)
    for one in records:
        by_type[one["type"]].append(one)
    turns = [rest[column] for column in range(count) for _, rest in sorted(by_type.items()) if len(rest) > column]
    return turns[:count]


def task_of(record):
    return {"id": record["id"], "question": record["question"].strip(), "answer": record["answer"], "type": record["type"]}


def teach(record, task, index):
    """A search and a reading for each annotated triple, in the order of the chain, then the answer.

    Raises:
        Unfit: where a search does not bring what the triple says.
    """
    search = index.tool()
    session = harness.Session(HERE, search=search)
    steps, learned, asked = [], "", set()
    for subject, relation, value in record["evidences"]:
        query = f"{subject} {relation}"
        if query in asked:
            raise Unfit("a triple that is there twice")
        asked.add(query)
        noun = NOUNS.get(relation, relation)
        action = harness.code(f"print(search_wikipedia(query={quoted(query)}))")
        seen = session.perform(action)
        steps.append(harness.step(f"{learned}I need the {noun} of {subject}.", action, seen))
        shown = set(re.findall(r"\w+", seen["text"].lower()))
        if not set(re.findall(r"\w+", value.lower())) <= shown:
            raise Unfit("a search that does not show the fact")
        learned = f"The {noun} of {subject} is {value}. "
    last = record["evidences"][-1][2]
    close = "That is the answer." if task["answer"] == last else "With what was found before, this gives the answer."
    action = harness.code(f"final_answer({quoted(task['answer'])})")
    steps.append(harness.step(learned + close, action, session.perform(action)))
    return harness.trajectory(task, steps, "2WikiMultiHopQA annotation")


def quoted(text):
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


if __name__ == "__main__":
    main()
