"""Checks the domain in this folder: `python3 check.py [FOLDER]` (such as `full`). Every search is made again and must show the
same; answers must be the reference, altered ones must not; no test question may be in training."""
import collections
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE))
import harness  # noqa: E402
import passages  # noqa: E402


def spelling(answer):
    """As exact match spells: case, punctuation and articles do not count."""
    return " ".join(word for word in re.findall(r"\w+", str(answer or "").lower()) if word not in ("a", "an", "the"))


def results(folder):
    """How many passages the domain's search returns."""
    return int(re.search(r"^  results: (\d+)", (folder / "domain.yaml").read_text(), re.MULTILINE)[1])


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    documents = harness.read(folder / "documents.jsonl")
    search = passages.Passages(documents).tool(limit=results(folder))
    tasks = {file.stem: harness.read(file) for file in sorted((folder / "tasks").glob("*.jsonl"))}
    by_id = {task["id"]: task for task in tasks["train"]}
    faults, counts = [], collections.Counter(passages=len(documents))
    if len({one["id"] for one in documents}) != len(documents):
        faults.append("two passages have one id")
    for recorded in harness.read(folder / "trajectories.jsonl"):
        task = by_id[recorded["task"]["id"]]
        faults += harness.replay(folder, recorded, task, search)[0]
        if spelling(recorded["ending"]["answered"]["_0"]) != spelling(task["answer"]):
            faults.append(f"{recorded['id']}: the answer is wrong")
        counts["trajectories"] += 1
        counts["searches"] += len(recorded["steps"]) - 1
    asked = {task["question"].lower() for task in tasks["train"]}
    for split, records in tasks.items():
        for task in records:
            counts["tasks"] += 1
            if split != "train" and task["question"].lower() in asked:
                faults.append(f"{task['id']}: the question is in training, too")
            for altered in (None, "", f"{task['answer']} x", f"not {task['answer']}", re.sub(r"\w(?=\W*$)", "q", task["answer"])):
                counts["altered answers"] += 1
                if spelling(altered) == spelling(task["answer"]):
                    faults.append(f"{task['id']}: {altered} is accepted")
    harness.report("wiki-search", faults, counts)


if __name__ == "__main__":
    main()
