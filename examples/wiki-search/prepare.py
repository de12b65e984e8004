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
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE))
import harness  # noqa: E402
import passages  # noqa: E402


# Relations that are no nouns, in the words of a thought; searches keep the annotation's.
NOUNS = {"educated at": "place of education", "award received": "award", "has part": "part"}


# The committed cut: questions of up to so many facts, passages of up to so many characters, one of them a search.
FACTS = 3
PASSAGE = 420
TESTED = 100


class Unfit(Exception):
    """Why a record is left out."""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--small", action="store_true", help="the committed cut, in place")
    parser.add_argument("--out", type=pathlib.Path, default=HERE / "full")
    options = parser.parse_args()
    if options.small:
        small(options.data, HERE)
    else:
        full(options.data, options.out)


def full(data, out):
    out.mkdir(parents=True, exist_ok=True)
    text = (HERE / "domain.yaml").read_text().replace("results: 1", "results: 3")
    (out / "domain.yaml").write_text(text.replace("{in: tasks/test.jsonl}", "{in: tasks/test.jsonl, out: tasks/other.jsonl}"))
    wiki, hotpot = data / "2wiki", data / "hotpotqa"
    train, test, other = harness.read(wiki / "train.jsonl"), harness.read(wiki / "test.jsonl"), harness.read(hotpot / "test.jsonl")
    test = [one for one in test if not one.get("shares_gold_passage_with_train")]
    documents = contents(wiki / "passages.jsonl", "w") + contents(hotpot / "passages.jsonl", "h")
    documents += contents(wiki / "extra_distractor_passages_hipporag.jsonl", "x")
    search = passages.Passages(documents).tool()
    taught, left_out = teach_all(train, search)
    write(out, documents, taught, {"test": test, "other": other}, left_out)


def small(data, out):
    """Names and dates only, for yes and no are guessed right half of the time; no subject of a training question in a test question."""
    wiki = data / "2wiki"
    pool = harness.read(wiki / "train.jsonl") + harness.read(wiki / "test.jsonl")
    pool = [one for one in pool if len(one["evidences"]) <= FACTS and one["answer"].lower() not in ("yes", "no")]
    documents = shortened(contents(wiki / "passages.jsonl", "w"))
    fit = {record["id"] for record, *_ in teach_all(pool, passages.Passages(documents).tool(limit=1))[0]}
    pool = [one for one in pool if one["id"] in fit]
    needed = {f"w-{one}" for record in pool for one in record["supporting"] + record["passages"][:2]}
    documents = [one for one in documents if one["id"] in needed]
    train, test = split(pool)
    taught, left_out = teach_all(train, passages.Passages(documents).tool(limit=1))
    write(out, documents, taught, {"test": test}, left_out)


def teach_all(records, search):
    """The records with their trajectories, and why how many others have none."""
    taught, left_out = [], collections.Counter()
    for record in records:
        try:
            taught.append((record, teach(record, task_of(record), search)))
        except Unfit as reason:
            left_out[str(reason)] += 1
    return taught, left_out


def write(out, documents, taught, tested, left_out):
    harness.write(out / "documents.jsonl", documents)
    harness.write(out / "tasks/train.jsonl", [task_of(record) for record, _ in taught])
    for split, records in tested.items():
        harness.write(out / f"tasks/{split}.jsonl", map(task_of, records))
    harness.write(out / "trajectories.jsonl", [trajectory for _, trajectory in taught])
    harness.write(out / "trajectories-cot.jsonl", [reason(record, task_of(record)) for record, _ in taught])
    counts = " and ".join(str(len(records)) for records in tested.values())
    print(f"{len(taught)} tasks to train, {counts} to test, {len(documents)} passages; left out: {dict(left_out)}")


def split(records):
    """Training and test records; those that share a subject are on one side."""
    groups = []
    for record in records:
        subjects, ours = {subject for subject, _, _ in record["evidences"]}, [record]
        for group in [group for group in groups if group[0] & subjects]:
            groups.remove(group)
            subjects, ours = subjects | group[0], group[1] + ours
        groups.append((subjects, ours))
    train, test = [], []
    for _, ours in sorted(groups, key=lambda group: min(one["id"][::-1] for one in group[1])):
        (test if len(test) < TESTED else train).extend(ours)
    return train, test


def shortened(documents):
    """Passages up to the last sentence that ends within the length."""
    return [{**one, "contents": short(*one["contents"].split("\n", 1))} for one in documents]


def short(title, text):
    if len(text) > PASSAGE:
        end = text[:PASSAGE].rfind(".") + 1
        text = text[:end] if end > PASSAGE // 3 else text[:PASSAGE].rsplit(" ", 1)[0] + " …"
    return f"{title}\n{text}"


def contents(path, prefix):
    return [{"id": f"{prefix}-{one['id']}", "contents": f"{one['title']}\n{' '.join(one['text'].split())}"} for one in harness.read(path)]


def task_of(record):
    return {"id": record["id"], "question": record["question"].strip(), "answer": record["answer"], "type": record["type"]}


def teach(record, task, search):
    """A search and a reading for each annotated triple, in the order of the chain, then the answer.

    Raises:
        Unfit: where a search does not bring what the triple says.
    """
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
    action = harness.code(f"final_answer({quoted(task['answer'])})")
    steps.append(harness.step(learned + closing(record), action, session.perform(action)))
    return harness.trajectory(task, steps, "2WikiMultiHopQA annotation")


def closing(record):
    """What leads from the last fact to the answer: a comparison is made in words, for a small model does not make it silently."""
    facts, answer = record["evidences"], record["answer"]
    if answer == facts[-1][2]:
        return "That is the answer."
    unsaid = "With what was found before, this gives the answer."
    compared = [(subject, value) for subject, relation, value in facts if relation == facts[-1][1]]
    if len(compared) != 2:
        return unsaid
    (one, first), (other, second) = compared
    if answer.lower() in ("yes", "no"):
        return f"One is {first}, the other is {second}: {'the same' if answer.lower() == 'yes' else 'not the same'}."
    years = [re.findall(r"\b\d{3,4}\b", value) for value in (first, second)]
    if not all(years) or years[0][-1] == years[1][-1]:
        return unsaid
    words = f"{first} is {'before' if int(years[0][-1]) < int(years[1][-1]) else 'after'} {second}."
    for subject in (one, other):
        if subject.lower() == answer.lower():
            return f"{words} So it is {subject}."
        for film, relation, value in facts:
            if value == subject and film.lower() == answer.lower():
                return f"{words} So it is {subject}, the {NOUNS.get(relation, relation)} of {film}."
    return words


def reason(record, task):
    """The same facts as a chain of thought, without looking anything up."""
    facts = [f"The {NOUNS.get(relation, relation)} of {subject} is {value}." for subject, relation, value in record["evidences"]]
    if record["answer"] != record["evidences"][-1][2]:
        facts.append(closing(record))
    action = {"answer": {"_0": task["answer"]}}
    steps = [harness.step(" ".join(facts), action, harness.Session(HERE).perform(action))]
    return harness.trajectory(task, steps, "2WikiMultiHopQA annotation", policy="cot")


def quoted(text):
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


if __name__ == "__main__":
    main()
