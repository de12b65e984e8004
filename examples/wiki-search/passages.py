"""The product's search over passages, in Python: SQLite's FTS5 with the same tokenizer, query and text of a result."""
import sqlite3
import unicodedata

STOP_WORDS = set(
    "a about an and are as at be been by did do does for from had has have how in is it its of on or s that the their this to was"
    " were what when where which who whom whose why with".split()
)
WORD = {"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Nd", "Nl", "No", "Co"}
MOST_WORDS = 256


class Passages:
    def __init__(self, records):
        """
        Args:
            records: of `id` and `contents`, the title on the first line.
        """
        self.database = sqlite3.connect(":memory:")
        self.database.executescript(
            "CREATE TABLE passage (rowid INTEGER PRIMARY KEY, id TEXT NOT NULL, title TEXT, body TEXT);"
            "CREATE VIRTUAL TABLE words USING fts5(title, body, content = 'passage', content_rowid = 'rowid',"
            ' tokenize = "unicode61 remove_diacritics 2");'
        )
        rows = []
        for record in records:
            title, _, text = record["contents"].partition("\n")
            rows.append((record["id"], title.strip('" \t'), text.strip()))
        # Ties are broken by the order of the ids, byte for byte.
        rows.sort(key=lambda row: row[0].encode())
        self.database.executemany("INSERT INTO passage (id, title, body) VALUES (?, ?, ?)", rows)
        self.database.execute("INSERT INTO words(words) VALUES ('rebuild')")
        self.database.execute("INSERT INTO words(words) VALUES ('optimize')")

    def found(self, query, limit):
        """Ids, titles and texts, best first."""
        expression = " OR ".join(f'"{word}"' for word in words(query))
        if not expression:
            return []
        return self.database.execute(
            "SELECT passage.id, passage.title, passage.body FROM (SELECT rowid, bm25(words, 4.0, 1) AS score FROM words"
            " WHERE words MATCH ? ORDER BY score, rowid LIMIT ?) AS best JOIN passage ON passage.rowid = best.rowid"
            " ORDER BY best.score, best.rowid",
            (expression, limit),
        ).fetchall()

    def tool(self, name="search_wikipedia", limit=3):
        """The tool as a function."""

        def search(query):
            found = self.found(query, limit)
            return "\n".join(f"[{place}] {title}\n{text}" for place, (_, title, text) in enumerate(found, 1)) or "(no results)"

        search.__name__ = name
        return search


def words(text):
    """The different words of a query, without stop-words unless nothing else is there."""
    spaced = "".join(letter if unicodedata.category(letter) in WORD else " " for letter in text)
    different = list(dict.fromkeys(word.lower() for word in spaced.split(" ") if word))
    return ([word for word in different if word not in STOP_WORDS] or different)[:MOST_WORDS]
