"""Checks the domain in this folder: `python3 check.py [FOLDER]` (such as `full`). Every program is run again and must give the
reference; the chains of thought must end with it; altered numbers must be refused by the same comparison."""
import collections
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import harness  # noqa: E402


def right(answer, task):
    """As the grader `number` of the domain compares."""
    return isinstance(answer, (int, float)) and not isinstance(answer, bool) and abs(answer - task["answer"]) <= 1e-3


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    tasks = {split: harness.read(folder / f"tasks/{split}.jsonl") for split in ("train", "svamp", "gsm8k")}
    by_id = {task["id"]: task for task in tasks["train"]}
    faults, counts = [], collections.Counter()
    for name in ("trajectories", "trajectories-cot"):
        for recorded in harness.read(folder / f"{name}.jsonl"):
            task = by_id[recorded["task"]["id"]]
            faults += harness.replay(folder, recorded, task)[0]
            if not right(recorded["ending"]["answered"]["_0"], task):
                faults.append(f"{recorded['id']}: the answer is wrong")
            counts[name] += 1
            if folder.resolve() == HERE and task["origin"] != "mawps":
                faults.append(f"{recorded['id']}: a problem of {task['origin']} must not be committed")
    asked = {task["question"].lower() for task in tasks["train"]}
    for split, records in tasks.items():
        for task in records:
            counts["tasks"] += 1
            if split != "train" and task["question"].lower() in asked:
                faults.append(f"{task['id']}: the question is in training, too")
            for altered in (None, "", task["answer"] + 1, -task["answer"] - 1, task["answer"] * 100 + 1, task["answer"] + 0.01):
                counts["altered answers"] += 1
                if right(altered, task):
                    faults.append(f"{task['id']}: {altered} is accepted")
    harness.report("word-problems", faults, counts)


if __name__ == "__main__":
    main()
