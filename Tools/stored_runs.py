"""What a run's folder holds."""
import json
import sqlite3


def stored(folder):
    """Every stored trajectory without its times, by id, as (task, correct, ending, trajectory); and how many rows there are."""
    if not (folder / "trajectories.sqlite").exists():
        return {}, 0
    with sqlite3.connect(f"file:{folder}/trajectories.sqlite?mode=ro", uri=True) as database:
        try:
            rows = database.execute("SELECT id, task, correct, ending, trajectory FROM trajectory").fetchall()
        except sqlite3.OperationalError as error:
            # Killed before the first table was there.
            if "no such table" not in str(error):
                raise
            return {}, 0

    def plain(value):
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items() if key != "seconds"}
        return [plain(inner) for inner in value] if isinstance(value, list) else value

    return {row[0]: (row[1], row[2], row[3], plain(json.loads(row[4]))) for row in rows}, len(rows)
