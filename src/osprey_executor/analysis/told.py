"""What the words of a call tell, whoever is called: statements that delete data, leave to run code from elsewhere."""

from __future__ import annotations

import ast
import re

from osprey_executor.analysis.machine import Arguments, Machine
from osprey_executor.analysis.values import Const, Pattern, Ref, Value, is_text, spelling
from osprey_executor.models import Effect, Severity

STATEMENTS = frozenset(
    (
        *("execute", "executemany", "executescript", "execute_command", "execute_async", "exec_driver_sql", "sql"),
        *("query", "read_sql", "read_sql_query", "fetch", "fetchall", "fetch_all", "fetch_one", "fetchrow", "scalar"),
        *("scalars", "run", "command", "raw", "execute_sql", "query_df", "prepare", "copy_expert"),
    )
)
"""Last names of what takes a statement of a database."""
_DELETES = re.compile(
    r"(?i)\b(delete\s+from\b|truncate\s+(table\s+)?\w|flush(all|db)\b|dropDatabase|deleteMany|detach\s+delete\b"
    r"|(drop|alter\s+\w+\s+\S+\s+drop)\s+(table|database|schema|index|view|column|collection|keyspace|user|role|series"
    r"|measurement|owned|materialized|sequence|partition|\udfff))"
)
_LETS_IN = ("trust_remote_code", "trust_repo", "allow_dangerous_deserialization", "allow_dangerous_code")
"""Keywords that let a library run code that comes with what it fetches."""
_KEEPS_OUT: dict[str, tuple[object, ...]] = {"safe_mode": (False,), "typ": ("unsafe",), "restricted": (False,)}
"""Keywords that keep such code out, unless they have one of these values."""
LETTING = frozenset((*_LETS_IN, *_KEEPS_OUT))
_MOST_TEXT = 20_000


def deletes_data(text: str) -> bool:
    """Return whether a statement of a database deletes something."""
    return _DELETES.search(text[:_MOST_TEXT]) is not None


_IN_MEMORY = frozenset((":memory:", "sqlite://", "sqlite:///:memory:", "file::memory:"))


def _keeps_nothing(owner: Value) -> bool:
    """Return whether a database is in memory only, so that what is deleted of it was the program's own."""
    return bool(owner) and all(
        isinstance(one, Ref)
        and bool(one.channels)
        and one.path.startswith(("sqlite3.", "sqlalchemy.", "duckdb."))
        and all(isinstance(name, Const) and name.value in _IN_MEMORY for name in one.channels)
        for one in owner
    )


def check_statement(m: Machine, node: ast.AST, owner: Value, given: Arguments) -> None:
    """Note a statement that deletes rows, tables or more of a database."""
    if _keeps_nothing(owner):
        return
    for value in given.everything()[:3]:
        if any(deletes_data(text) for text in _texts(value)):
            told = "deletes data by a statement of a database"
            m.find(node, "file/delete-data", Effect.FILE_DELETE, told, Severity.WARNING)
            return


def _texts(value: Value) -> list[str]:
    found: list[str] = []
    for atom in value:
        if isinstance(atom, Const | Pattern) and is_text(atom):
            found.append(spelling(atom))
        elif isinstance(atom, Ref) and atom.made:  # `sqlalchemy.text("...")`
            found.extend(spelling(one) for one in atom.channels if is_text(one))
    return found


def check_keywords(m: Machine, node: ast.AST, given: Arguments) -> None:
    """Note `trust_remote_code=True`."""
    for word, held in given.keywords.items():
        if word in _LETS_IN:
            lets = not all(isinstance(atom, Const) and not atom.value for atom in held)
        elif word in _KEEPS_OUT:
            lets = any(isinstance(atom, Const) and atom.value in _KEEPS_OUT[word] for atom in held)
        else:
            continue
        if lets:
            told = f"lets code run that comes with what is fetched ({word}), which is not seen here"
            m.find(node, "dynamic/code-from-elsewhere", Effect.DYNAMIC_CODE, told, Severity.WARNING, ask=True)
