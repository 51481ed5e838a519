"""Files that are opened in other ways than by `open`: archives, logs, databases, and tables that may lie on the web."""

from __future__ import annotations

import ast
import re

from osprey_executor.analysis.files import file_write
from osprey_executor.analysis.machine import Arguments, Machine, Model
from osprey_executor.analysis.places import is_outside, is_remote, path_of, told_of
from osprey_executor.analysis.values import HOLE, UNKNOWN, Atom, Const, Pattern, Ref, Value, is_text, spelling
from osprey_executor.models import Confidence, Effect, Severity
from osprey_executor.text import one_line


def _shown(path: Value) -> str:
    return one_line(spelling(path[0]).replace(HOLE, "*"), 80) if path and is_text(path[0]) else "a file"


def _archive(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    path = path_of(given.get(0, "file", "name") or UNKNOWN)
    mode = given.get(1, "mode")
    if mode is not None and any(not isinstance(atom, Const) or str(atom.value)[:1] in "wax" for atom in mode):
        file_write(m, node, f"writes the archive {told_of(path) or 'a file'}")
    else:
        _reads(m, node, path)
    func = getattr(node, "func", None)
    kind = "zipfile.ZipFile" if "Zip" in str(getattr(func, "attr", getattr(func, "id", ""))) else "tarfile.TarFile"
    return (Ref(kind, True, path),)


def _reads(m: Machine, node: ast.AST, path: Value) -> None:
    for atom in path:
        name = spelling(atom) if is_text(atom) else ""
        if is_remote(name):
            m.find(node, "network/remote-file", Effect.NETWORK, f"reads {_shown(path)} over the network")
            return
        if name and is_outside(name):
            m.find(node, "file/read-outside", Effect.FILE_READ, f"reads {_shown(path)}, outside the working folder")
            return


def _table(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    _reads(m, node, path_of(given.get(0, *_PLACES) or UNKNOWN))
    return None


def _fetched(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """A data set that is fetched where `download` says so."""
    told = given.get("download")
    if told is not None and not all(isinstance(atom, Const) and not atom.value for atom in told):
        m.find(node, "network/remote-file", Effect.NETWORK, "fetches a data set over the network")
    return None


_PLACES = (
    *("filepath_or_buffer", "path_or_buf", "path", "io", "source", "fname", "file", "filename", "filename_or_obj"),
    *("name", "store", "fp", "fd", "uri", "url"),
)
_READING: frozenset[object] = frozenset(("r", "rb", "rt", "rs", "ro", "readonly", "denywrite"))
"""Modes in which a file cannot be changed, in the words of h5py, zarr, netCDF4, numpy, astropy, dbm and others."""


_IN_MEMORY = frozenset((":memory:", "", "sqlite://", "sqlite:///:memory:", "duckdb:///:memory:", "file::memory:"))
"""Names of databases that no file keeps."""
_READS_ONLY = re.compile(r"^file:[^?]*\?(.*&)?(mode=ro|immutable=1)\b")
"""An address of a database by which it cannot be changed."""


def _log_file(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    name = given.get("filename")
    if name and name != (Const(None),):
        file_write(m, node, f"writes the log file {told_of(name) or 'a file'}")
    return UNKNOWN


def _is_memory(path: Value) -> bool:
    """Return whether a database is in memory only."""
    return bool(path) and all(isinstance(one, Const) and str(one.value) in _IN_MEMORY for one in path)


def _database(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    path = path_of(given.get(0, "database") or UNKNOWN)
    if all(is_text(atom) and _READS_ONLY.search(spelling(atom)) for atom in path):
        files = (re.sub(r"^file:(//)?|\?.*", "", spelling(atom)) for atom in path)
        _reads(m, node, tuple(Pattern(name) if HOLE in name else Const(name) for name in files))
    elif not _is_memory(path):
        file_write(m, node, f"opens the database {told_of(path) or 'a file'}")
    return (Ref("sqlite3.Connection", True, path),)


def _statement(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    for atom in given.get(0, "sql", "sql_script") or UNKNOWN:
        text = spelling(atom).lower() if is_text(atom) else ""
        if "attach" in text or "vacuum" in text:
            file_write(m, node, "opens or writes another database file by a statement")
        if "load_extension" in text:
            told = "lets a database load native code"
            m.find(node, "opaque/native-library", Effect.OPAQUE, told, ask=True)
    return (Ref("sqlite3.Cursor", True, given.made_with),)


def _engine(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """`sqlalchemy.create_engine("sqlite:///x.db")`: a file, memory, or a server."""
    held = given.get(0, "url") or UNKNOWN
    files = [
        re.sub(r"^(sqlite|duckdb)(\+\w+)?:(///|//|)", "", spelling(one))
        for one in held
        if is_text(one) and _is_file(one)
    ]
    if len(files) < len(held):
        m.find(node, "network/services-create_engine", Effect.NETWORK, "reaches a database with create_engine")
    elif not _is_memory(held):
        paths = tuple(Pattern(one) if HOLE in one else Const(one) for one in files)
        file_write(m, node, f"opens the database {told_of(paths) or 'a file'}")
    # A local one is a file or memory, and nothing that is done with it reaches another computer.
    return (Ref("sqlite3.Engine" if len(files) == len(held) else "sqlalchemy.Engine", True, held),)


def _is_file(atom: Atom) -> bool:
    return spelling(atom).startswith(("sqlite", "duckdb"))


def _database_table(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """`frame.to_sql("name", con)`, `pandas.read_sql(statement, con)`: whether the network is reached, `con` tells."""
    held = given.get(1, "con") or UNKNOWN
    found = [(one.channels if isinstance(one, Ref) else (one,)) for one in held]
    local = [isinstance(one, Ref) and one.path.startswith("sqlite3.") for one in held]
    if not all(
        near or (path and all(is_text(one) and _is_file(one) for one in path))
        for near, path in zip(local, found, strict=True)
    ):
        told = "may reach a database on another computer"
        m.find(node, "network/science-database", Effect.NETWORK, told, confidence=Confidence.POSSIBLE)
    return (Ref("pandas.?", True),)


def _to_file_or_text(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """`frame.to_html("x.html")` writes a file, `frame.to_html()` gives text."""
    held = given.get(0, "buf", "path", "path_or_buffer", "path_or_buf")
    texts = tuple(one for one in path_of(held) if is_text(one)) if held else ()
    if texts or (held and not any(isinstance(one, Const) and one.value is None for one in held) and _is_path(held)):
        file_write(m, node, f"writes {told_of(held or UNKNOWN) or 'a file'}")
    return (Pattern(HOLE),)


def _is_path(held: Value) -> bool:
    return any(isinstance(one, Ref) and one.path.startswith("pathlib.") for one in held)


def _yaml_file(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    if given.get(1, "stream"):
        file_write(m, node, "writes YAML into a file")
        return UNKNOWN
    return (Pattern(HOLE),)


def _input(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    inside = given.get(1, "inplace")
    if inside is not None and not all(isinstance(atom, Const) and not atom.value for atom in inside):
        place = told_of(given.get(0, "files") or UNKNOWN)
        file_write(m, node, f"rewrites {place}" if place else "rewrites files line by line")
    else:
        _reads(m, node, path_of(given.get(0, "files") or UNKNOWN))
    return None


def _opened(*, reads: bool, place: int = 1, reading: frozenset[object] = _READING) -> Model:
    """A file that is read or changed as its mode says; `reads`: what it is opened for without one."""

    def model(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
        path = path_of(given.get(0, *_PLACES) or UNKNOWN)
        mode = given.get(place, "mode", "flag") or (Const(None),)
        if all(isinstance(atom, Const) and (atom.value in reading or (atom.value is None and reads)) for atom in mode):
            _reads(m, node, path)
        else:
            file_write(m, node, f"opens {_shown(path)} in a mode in which it can be changed")
        return None

    return model


def _shelf(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    m.semantics.models["unpickle"](m, node, given)
    _opened(reads=False)(m, node, given)
    return UNKNOWN


def _mapped(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    written = given.nodes.get("prot")
    names = {str(getattr(one, "attr", getattr(one, "id", ""))) for one in ast.walk(written)} if written else set[str]()
    if "PROT_EXEC" in names:
        more = "maps memory whose content can be run as native code, which is not seen here"
        m.find(node, "dynamic/native-code", Effect.DYNAMIC_CODE, more, Severity.WARNING, ask=True)
    if given.get(0, "fileno") == (Const(-1),):
        return None
    told = given.get("access", "prot")
    if told is None or not all(isinstance(atom, Ref) and atom.path.endswith(("_READ", "_COPY")) for atom in told):
        file_write(m, node, "changes a file, or memory that others share, with mmap")
    return None


MODELS: dict[str, Model] = {
    "file-to-read": _opened(reads=True),
    "file-to-change": _opened(reads=False),
    "mapped-array": _opened(reads=False, place=2, reading=_READING | {"c", "copyonwrite"}),
    "mapped-file": _mapped,
    "shelf": _shelf,
    "archive": _archive,
    "table": _table,
    "fetched": _fetched,
    "log-file": _log_file,
    "database": _database,
    "statement": _statement,
    "database-engine": _engine,
    "table-of-database": _database_table,
    "to-file-or-text": _to_file_or_text,
    "yaml-to-file": _yaml_file,
    "input-files": _input,
}
