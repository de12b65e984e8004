"""Makes the databases, the tasks and the teacher's trajectories from InterCode-SQL.

    python3 prepare.py DATA            writes the full-size domain into `full/`
    python3 prepare.py DATA --small    writes the committed cut into this folder

DATA holds `intercode-sql/` with trajectories_gpt4.jsonl and databases/*.sql. The same data and seed always give the same bytes.
Standard library only.
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

# Kept for testing: no question about them is in training.
OTHER = ("battle_death", "museum_visit", "singer", "student_transcripts_tracking", "voter_1")
SMALL = ("course_teach", "network_1", "orchestra", "poker_player", "employee_hire_evaluation", "battle_death", "museum_visit", "singer")
MOST_STEPS = 7
MOST_FAILURES = 2
MOST_CHARACTERS = 3000


class Unfit(Exception):
    """Why a record is left out."""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--small", action="store_true", help="the committed cut, in place")
    parser.add_argument("--out", type=pathlib.Path, default=HERE / "full")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    source = options.data / "intercode-sql"
    out = HERE if options.small else options.out
    (out / "databases").mkdir(parents=True, exist_ok=True)
    if not options.small:
        for name in ("domain.yaml", "tools.py"):
            shutil.copyfile(HERE / name, out / name)
    for dump in sorted((source / "databases").glob("*.sql")):
        if not options.small or dump.stem in SMALL:
            (out / "databases" / dump.name).write_bytes(dump.read_bytes())
    shutil.copyfile(source / "LICENSE.md", out / "databases/LICENSE.md")

    left_out = collections.Counter()
    records = []
    for record in harness.read(source / "trajectories_gpt4.jsonl"):
        if options.small and record["db"] not in SMALL:
            continue
        try:
            records.append((record, task_of(record, out)))
        except Unfit as reason:
            left_out[f"task: {reason}"] += 1
    # Two questions often have one gold query; both are in one split.
    queries = sorted({(record["db"], record["gold_sql"].lower()) for record, _ in records if record["db"] not in OTHER})
    random.Random(options.seed).shuffle(queries)
    tested = set(queries[: len(queries) // 6])
    train, test, other, trajectories, agreements = [], [], [], [], collections.Counter()
    for record, task in records:
        if record["db"] in OTHER:
            other.append(task)
        elif (record["db"], record["gold_sql"].lower()) in tested:
            test.append(task)
        else:
            train.append(task)
            try:
                trajectories.append(teach(record, task, out, agreements))
            except Unfit as reason:
                left_out[f"trajectory: {reason}"] += 1
    if options.small:
        # The shortest of each database, so that training is quick.
        chosen = shortest(trajectories, 48)
        trajectories = [one for one in trajectories if one["id"] in chosen]
        known = {one["task"]["id"] for one in trajectories}
        train, test, other = [task for task in train if task["id"] in known], spread(test, 15), spread(other, 15)
    harness.write(out / "tasks/train.jsonl", train)
    harness.write(out / "tasks/test.jsonl", test)
    harness.write(out / "tasks/other.jsonl", other)
    harness.write(out / "trajectories.jsonl", trajectories)
    steps = sum(len(one["steps"]) for one in trajectories)
    print(f"{len(train)} tasks to train, {len(test)} and {len(other)} to test, {len(trajectories)} trajectories of {steps} steps")
    print(f"results as recorded and as replayed: {dict(agreements)}")
    print(f"left out: {dict(left_out)}")


def task_of(record, folder):
    """The task, with the gold query's rows as its reference.

    Raises:
        Unfit: for more rows than the tool gives.
    """
    seen = harness.Session(folder, {"db": record["db"]}).call("run_query", {"sql": record["gold_sql"]})
    if "success" not in seen["outcome"]:
        raise Unfit("the gold query gives more than 100 rows" if "100 rows" in seen["text"] else seen["text"])
    if not seen["toolCalls"][0]["result"]:
        raise Unfit("the gold query gives no rows")
    gold = record["gold_sql"]
    return {
        "id": record["id"],
        "question": record["question"],
        "answer": seen["toolCalls"][0]["result"],
        "db": record["db"],
        "gold_sql": gold,
        "ordered": bool(re.search(r"\border\s+by\b[^()]*$", gold, re.IGNORECASE)),
        "hardness": record["hardness"],
    }


def shortest(trajectories, count):
    by_database = collections.defaultdict(list)
    for one in sorted(trajectories, key=lambda one: (len(harness.compact(one)), one["id"])):
        by_database[one["task"]["metadata"]["db"]].append(one["id"])
    return {one for ids in by_database.values() for one in ids[: count // len(by_database) + 1]}


def spread(tasks, count):
    """The first of each database in turn, questions of one gold query once."""
    by_database, seen = collections.defaultdict(list), set()
    for task in tasks:
        if len(harness.compact(task["answer"])) < 600 and task["gold_sql"].lower() not in seen:
            seen.add(task["gold_sql"].lower())
            by_database[task["db"]].append(task)
    turns = [rest[column] for column in range(count) for _, rest in sorted(by_database.items()) if len(rest) > column]
    return sorted(turns[:count], key=lambda task: task["id"])


# GPT-4's trajectories


def teach(record, task, folder, agreements):
    """GPT-4's queries as programs, run again with this domain's tools.

    Raises:
        Unfit: where a step cannot be expressed, was lucky, or gives another result in SQLite than it did in MySQL.
    """
    if not record["solved"]:
        raise Unfit("GPT-4 did not solve it")
    # A guess at table names before anything was looked at teaches guessing.
    looked = next((index for index, one in enumerate(record["steps"]) if one["valid"]), 0)
    if len(record["steps"]) - looked > MOST_STEPS:
        raise Unfit(f"more than {MOST_STEPS} steps")
    session = harness.Session(folder, task)
    steps, before, queried = [], None, 0
    for recorded in record["steps"][looked:]:
        thought, program = expressed(recorded["sql"], session)
        if program.startswith("rows"):
            queried += 1
            if before == "rows":
                thought = "These rows are not yet what is asked for. " + thought
        if isinstance(before, Exception):
            thought = f"That failed: {str(before).split(';')[0]}. " + thought
        seen = session.run(program)
        failed = "executionError" in seen["outcome"]
        if failed == recorded["valid"]:
            raise Unfit("a query that runs in one of MySQL and SQLite only")
        if program.startswith("rows") and not failed:
            agreements["equal" if equal(recorded["observation"], session.names["rows"]) else "other order, types or MySQL's own"] += 1
        before = Exception(seen["outcome"]["executionError"]["message"]) if failed else program[:4]
        steps.append(harness.step(thought, harness.code(program), seen))
    if sum("executionError" in one["observation"]["outcome"] for one in steps) > MOST_FAILURES:
        raise Unfit(f"more than {MOST_FAILURES} failed queries")
    if queried > 3:
        raise Unfit("more than 3 queries, told right from wrong by their reward")
    action = harness.code("final_answer(rows)")
    seen = session.run("final_answer(rows)")
    right, _ = harness.Session(folder).module.grade(task, seen["outcome"]["final"]["_0"], None)
    if not right:
        raise Unfit("its rows are not those of the gold query in SQLite")
    steps.append(harness.step("These rows answer the question.", action, seen))
    if sum(len(one["observation"]["text"]) for one in steps) > MOST_CHARACTERS:
        raise Unfit(f"observations of more than {MOST_CHARACTERS} characters")
    return harness.trajectory(task, steps, "gpt-4", references=[harness.compact(task["answer"])])


def expressed(sql, session):
    """A thought and a program for a statement of MySQL.

    Raises:
        Unfit: for statements that are none of the tools'.
    """
    sql = sql.strip().rstrip(";").strip()
    if re.fullmatch(r"(?i)show\s+tables", sql):
        return "I look at which tables there are.", "print(list_tables())"
    described = re.fullmatch(r"(?i)(?:describe|desc|show\s+columns\s+(?:from|in))\s+`?(\w+)`?", sql)
    if described:
        return f"I need the columns of {described.group(1)}.", f'print(describe_table("{described.group(1)}"))'
    if re.match(r"(?i)(select|with)\b", sql):
        known = {name.lower() for name in session.module._database["tables"]}
        named = re.findall(r"(?i)\b(?:from|join)\s+[`\"]?(\w+)", sql)
        tables = list(dict.fromkeys(name for name in named if name.lower() in known))
        thought = f"I query {' and '.join([', '.join(tables[:-1]), tables[-1]] if len(tables) > 1 else tables)}." if tables else "I try a query."
        return thought, f"rows = run_query({quoted(sql)})\nprint(rows)"
    raise Unfit("a statement that is no query")


def quoted(sql):
    """The query as a Python string, as a person would quote it."""
    for mark in ('"', "'", '"""'):
        if mark not in sql and "\\" not in sql and ("\n" not in sql or len(mark) == 3) and not sql.endswith(mark[0]):
            return f"{mark}{sql}{mark}"
    return repr(sql)


def equal(observation, rows):
    """Whether MySQL's rows, as they were recorded, are these."""
    try:
        recorded = ast.literal_eval(re.sub(r"Decimal\('([^']*)'\)", r"\1", observation))
    except (ValueError, SyntaxError):
        return False
    return [list(row) for row in recorded] == rows


if __name__ == "__main__":
    main()
