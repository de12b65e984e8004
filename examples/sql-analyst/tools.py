"""The tools of a data analyst: a look at the tables of one SQLite database, and queries that only read.

The database of a task is named by its record and loaded from its dump in `databases/` into memory, once a task.
"""
import json
import math
import pathlib
import sqlite3

# More rows than anybody reads; a query that gives more is refused, not cut.
MOST_ROWS = 100
# Steps of SQLite's virtual machine, about two seconds: a join without a condition must not hang the session.
MOST_STEPS = 20_000_000


class QueryError(Exception):
    """Why a query has no result; the text is for the agent."""


_database: dict = {}


def setup(task: dict) -> None:
    """Loads the database that the task names."""
    path = pathlib.Path(__file__).parent / "databases" / f"{task['db']}.sql"
    connection = sqlite3.connect(":memory:")
    connection.executescript(path.read_text(encoding="utf-8"))
    tables = {}
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"):
        keys = {row[3]: f"{row[2]}.{row[4]}" for row in connection.execute(f'PRAGMA foreign_key_list("{name}")')}
        columns = [(row[1], row[2]) for row in connection.execute(f'PRAGMA table_info("{name}")')]
        tables[name] = {"columns": columns, "keys": keys}
    connection.set_authorizer(_reads_only)
    _database.clear()
    _database.update(connection=connection, tables=tables)


def grade(task: dict, answer, state) -> tuple[bool, str]:
    """Whether the answer's rows are those of the gold query: in any order, or in its order where it has one."""
    given, wanted = _rows(answer), _rows(task["answer"])
    if given is None:
        return False, "the answer is no list of rows"
    if len(given) != len(wanted):
        return False, f"{len(given)} rows instead of {len(wanted)}"
    if not task["ordered"]:
        given, wanted = sorted(given, key=_order), sorted(wanted, key=_order)
    for number, (one, other) in enumerate(zip(given, wanted), 1):
        if len(one) != len(other) or not all(map(_same, one, other)):
            return False, f"row {number} is {json.dumps(one)[:200]} instead of {json.dumps(other)[:200]}"
    return True, "the rows of the gold query"


def list_tables() -> list[str]:
    """Lists the names of the database's tables."""
    return list(_database["tables"])


def describe_table(table: str) -> list[str]:
    """Lists a table's columns with their types, and the columns of other tables that they refer to.

    Args:
        table: The table's name.
    """
    name = next((name for name in _database["tables"] if name.lower() == table.strip().lower()), None)
    if name is None:
        raise QueryError(f"no such table: {table}; the tables are {', '.join(_database['tables'])}")
    described = _database["tables"][name]
    return [
        f"{column} {kind}" + (f" -> {described['keys'][column]}" if column in described["keys"] else "")
        for column, kind in described["columns"]
    ]


def run_query(sql: str) -> list[list]:
    """Runs one SELECT query of SQLite and returns its rows, at most 100.

    Args:
        sql: The query.
    """
    connection = _database["connection"]
    left = [MOST_STEPS // 10_000]

    def tick():
        left[0] -= 1
        return left[0] < 0

    connection.set_progress_handler(tick, 10_000)
    try:
        cursor = connection.execute(sql)
        rows = cursor.fetchmany(MOST_ROWS + 1)
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise QueryError(_explained(str(error), left[0] < 0)) from None
    finally:
        connection.set_progress_handler(None, 0)
    if cursor.description is None:
        raise QueryError("this is no SELECT query")
    if len(rows) > MOST_ROWS:
        raise QueryError(f"the query gives more than {MOST_ROWS} rows; narrow it with WHERE, an aggregate or LIMIT")
    return [[value.hex() if isinstance(value, bytes) else value for value in row] for row in rows]


def _reads_only(action, *names):
    allowed = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE)
    return sqlite3.SQLITE_OK if action in allowed else sqlite3.SQLITE_DENY


def _explained(message: str, is_late: bool) -> str:
    if is_late:
        return "the query takes too long; join tables by their keys and narrow it"
    if message.startswith("no such table"):
        return f"{message}; the tables are {', '.join(_database['tables'])}"
    if message.startswith("no such column"):
        return f"{message}; describe_table lists a table's columns"
    if message == "not authorized":
        return "only SELECT queries can be run"
    return message


def _rows(value):
    """Rows as lists; a column or a single value is taken for rows, too. None for what has no rows.

    An answer in prose, as a chain of thought gives it, is read as JSON where it is a list.
    """
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            pass
    if isinstance(value, (str, int, float)):
        value = [[value]]
    if not isinstance(value, list):
        return None
    rows = [row if isinstance(row, list) else [row] for row in value]
    return None if any(isinstance(cell, (list, dict)) for row in rows for cell in row) else rows


def _order(row):
    return [(value is None, isinstance(value, str), value if isinstance(value, str) else round(value or 0, 6)) for value in row]


def _same(one, other) -> bool:
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        # Sums of the same numbers in another order differ in their last digits only.
        return one == other or (one % 1 != 0 or other % 1 != 0) and math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return type(one) is type(other) and one == other
