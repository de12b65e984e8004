"""Checks the domain in this folder: `python3 check.py [FOLDER]` (such as `full`).

Every trajectory's programs are run again; the session must show the same and `grade` must accept the answer. References must be
accepted, rows that were altered refused, and writing to a database must be impossible.
"""
import collections
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import harness  # noqa: E402

REFUSED = (
    "DELETE FROM {0}",
    "UPDATE {0} SET rowid = 1",
    "DROP TABLE {0}",
    "CREATE TABLE mine (a)",
    "ATTACH '/tmp/mine.db' AS mine",
    "PRAGMA query_only = 0",
    "VACUUM",
    "SELECT load_extension('mine')",
    "SELECT 1; SELECT 2",
    "SELECT * FROM nothing",
    "SELECT nothing FROM {0}",
    "SELEC 1",
    "",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 101) SELECT i FROM n",
)


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    tasks = {split: harness.read(folder / f"tasks/{split}.jsonl") for split in ("train", "test", "other")}
    by_id = {task["id"]: task for task in tasks["train"]}
    faults, counts = [], collections.Counter()
    grader = harness.Session(folder).module
    for recorded in harness.read(folder / "trajectories.jsonl"):
        task = by_id[recorded["task"]["id"]]
        faults += harness.replay(folder, recorded, task)[0]
        if not grader.grade(task, recorded["ending"]["answered"]["_0"], None)[0]:
            faults.append(f"{recorded['id']}: grade refuses it")
        counts["trajectories"] += 1
        counts["programs"] += len(recorded["steps"])
    for records in tasks.values():
        for task in records:
            counts["tasks"] += 1
            if not grader.grade(task, task["answer"], None)[0]:
                faults.append(f"{task['id']}: grade refuses the reference")
            for altered in altered_rows(task):
                counts["altered answers"] += 1
                if grader.grade(task, altered, None)[0]:
                    faults.append(f"{task['id']}: grade accepts {harness.compact(altered)[:200]}")
    for dump in sorted((folder / "databases").glob("*.sql")):
        faults += writes(folder, dump.stem, counts)
    apart(tasks, faults)
    harness.report("sql-analyst", faults, counts)


def altered_rows(task):
    rows = task["answer"]
    altered = [None, "", {}, rows[:-1], rows + [rows[-1]], [row + [1] for row in rows], [[cell] for row in rows for cell in row] if len(rows[0]) > 1 else [[1, 2]]]
    for place in {0, len(rows) // 2, len(rows) - 1}:
        for column, cell in enumerate(rows[place]):
            for value in (f"{cell}x", None if cell is not None else 0, cell + 1 if isinstance(cell, (int, float)) else "other"):
                altered.append([*rows[:place], [*rows[place][:column], value, *rows[place][column + 1 :]], *rows[place + 1 :]])
    if task["ordered"] and rows != rows[::-1]:
        altered.append(rows[::-1])
    return altered


def writes(folder, database, counts):
    """Queries that must be refused leave the database as it is."""
    session = harness.Session(folder, {"db": database})
    table = next(iter(session.module._database["tables"]))
    before = session.call("run_query", {"sql": f'SELECT count(*) FROM "{table}"'})["text"]
    faults = []
    for query in REFUSED:
        seen = session.call("run_query", {"sql": query.format(f'"{table}"')})
        counts["refused queries"] += 1
        if not seen["text"].startswith("QueryError: "):
            faults.append(f"{database}: '{query}' is not refused but gives {seen['text'][:200]}")
    if session.call("run_query", {"sql": f'SELECT count(*) FROM "{table}"'})["text"] != before:
        faults.append(f"{database}: {table} was changed")
    return faults


def apart(tasks, faults):
    """Questions of one gold query are in one split, and the other databases in no other."""
    seen = {(task["db"], task["gold_sql"].lower()) for task in tasks["train"]}
    faults += [f"{task['id']}: its query is in training, too" for task in tasks["test"] if (task["db"], task["gold_sql"].lower()) in seen]
    trained = {task["db"] for task in tasks["train"] + tasks["test"]}
    faults += [f"{task['id']}: its database is in training, too" for task in tasks["other"] if task["db"] in trained]


if __name__ == "__main__":
    main()
