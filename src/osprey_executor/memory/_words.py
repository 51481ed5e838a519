"""Which kept programs are similar to a task: BM25 over their words, by SQLite's full-text index beside the store."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator

TABLES = """
CREATE VIRTUAL TABLE IF NOT EXISTS script_words USING fts5
    (task, code, prefix UNINDEXED, key UNINDEXED, tokenize = 'porter unicode61');
CREATE TRIGGER IF NOT EXISTS script_put AFTER INSERT ON store WHEN NEW.prefix GLOB 'script.*'
BEGIN
    DELETE FROM script_words WHERE prefix = NEW.prefix AND key = NEW.key;
    INSERT INTO script_words (task, code, prefix, key) VALUES (
            json_extract(CAST(NEW.value AS TEXT), '$.task'),
            json_extract(CAST(NEW.value AS TEXT), '$.code'),
            NEW.prefix,
            NEW.key
        );
END;
CREATE TRIGGER IF NOT EXISTS script_deleted AFTER DELETE ON store WHEN OLD.prefix GLOB 'script.*'
BEGIN
    DELETE FROM script_words WHERE prefix = OLD.prefix AND key = OLD.key;
END;
"""
_SIMILAR = """
SELECT store.prefix, store.key, CAST(store.value AS BLOB) FROM script_words
JOIN store ON store.prefix = script_words.prefix AND store.key = script_words.key
WHERE script_words MATCH :task AND (store.prefix = :prefix OR CASE WHEN json_valid(CAST(store.value AS TEXT))
    THEN json_extract(CAST(store.value AS TEXT), '$.shared') = 1 END)
ORDER BY store.prefix <> :prefix, bm25(script_words, 4.0, 1.0), store.key DESC
"""
_MOST_WORDS = 100
# Words that say nothing of what a task is about; in small memories their rarity does not tell so.
_EMPTY = frozenset(
    re.findall(
        r"\w+",
        """a all an and are as at be by do for from get give has have how i in into is it its let make me my of on or
        our please program script show that the their them then there these this to up us use using was we what when
        which with write you your""",
    )
)


def similar(db: sqlite3.Connection, task: str, prefix: str) -> Iterator[tuple[str, str, bytes]]:
    """Yield place, key and JSON of similar kept programs: those of `prefix`, then shared ones, each the best first."""
    wanted = _query(task)
    if wanted:
        yield from db.execute(_SIMILAR, {"task": wanted, "prefix": prefix})


def _query(task: str) -> str:
    """Return the query for a task: its words in tasks, and what looks like the name of a channel or file in code."""
    found = list(dict.fromkeys(re.findall(r"[\w:.-]*\w", task.lower())))[:_MOST_WORDS]
    words = [word for word in found if word not in _EMPTY]
    names = [word for word in words if re.search(r"[:_]|\w\.\w", word)]
    # Quoted, so that nothing in a task is an operator of the query language.
    asked = (("task", words), ("code", names))
    return " OR ".join(f"{column} : ({' OR '.join(map(_phrase, part))})" for column, part in asked if part)


def _phrase(word: str) -> str:
    return '"' + word.replace('"', '""') + '"'
