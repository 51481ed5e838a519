"""Files: opened, written and read back, by name and by path."""

from __future__ import annotations

import ast
import re
from functools import lru_cache

from osprey_executor.analysis import boxes, texts
from osprey_executor.analysis.machine import Arguments, Machine, Model
from osprey_executor.analysis.places import is_device, is_outside, path_of, severity_of, told_of
from osprey_executor.analysis.values import (
    HOLE,
    NOTHING,
    UNKNOWN,
    Box,
    Const,
    Pattern,
    Ref,
    Value,
    is_text,
    joined,
    spelling,
)
from osprey_executor.models import Confidence, Effect, Severity
from osprey_executor.text import one_line

_ENDLESS = frozenset(("/dev/zero", "/dev/urandom", "/dev/random", "/dev/full"))

_LENT = 0o6000
_LENDS = frozenset(("S_ISUID", "S_ISGID", "stat.S_ISUID", "stat.S_ISGID"))
"""Bits of a file by which a program has the rights of the file's owner or group, and their names."""


def _open(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    mode = given.get(1, "mode")
    written = mode is not None and not all(
        isinstance(atom, Const) and isinstance(atom.value, str) and not set(atom.value) & set("wax+") for atom in mode
    )
    path = path_of(given.get(0, "file") or UNKNOWN)
    if written and mode is not None and any("+" in spelling(atom) for atom in mode):
        _reads(m, node, path)
    if written:
        known = mode is not None and any(is_text(atom) for atom in mode)
        place = told_of(path) or "a file"
        file_write(m, node, f"writes {place}" if known else f"opens, in a mode that is not known here, {place}")
        for atom in path:
            if is_text(atom):
                _device(m, node, spelling(atom).replace(HOLE, "*"))
            if isinstance(atom, Const):
                m.files.setdefault(str(atom.value), NOTHING)
    else:
        _reads(m, node, path)
    return (Ref("io.TextIOWrapper", True, path),)


def _device(m: Machine, node: ast.AST, name: str) -> None:
    if is_device(name):
        m.find(
            node,
            "opaque/device-file",
            Effect.OPAQUE,
            f"writes to {one_line(name, 60)}, a device that may obey what it is told",
            Severity.WARNING,
            ask=True,
        )


def _open_elsewhere(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    told = "opens a file that may lie on another computer"
    m.find(node, "network/remote-file", Effect.NETWORK, told)
    places = given.get(0, "path", "filename", "urlpath", "uri") or UNKNOWN
    return _open(m, node, Arguments((places, *given.args[1:2]), given.keywords))


def _site_packages(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """A folder from which Python imports, and whose files ending in `.pth` it runs at each start."""
    held: Value = (Pattern(f"{HOLE}/site-packages"),)
    if str(getattr(getattr(node, "func", None), "attr", "")) != "getsitepackages":
        return held
    box = m.made.setdefault(("site", id(node)), Box())
    assert isinstance(box, Box)
    boxes.add(m, box, held)
    return (box,)


def _globbed(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """`glob.glob("/tmp/*.lock")`: names of which only the pattern is known."""
    box = m.made.setdefault(("glob", id(node)), Box())
    assert isinstance(box, Box)
    texts_of = [
        re.sub(r"[*?]+|\[[^\]]*\]", HOLE, spelling(one)) for one in path_of(given.get(0, "pathname") or UNKNOWN)
    ]
    boxes.add(m, box, tuple(Pattern(one) if HOLE in one else Const(one) for one in texts_of) or UNKNOWN)
    rule = m.rule("glob.glob")
    if rule is not None:
        m.apply(node, rule, Ref("glob.glob"), given)
    return (box,)


def _os_open(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    path = path_of(given.get(0, "path") or UNKNOWN)
    name = spelling(path[0]).replace(HOLE, "*") if path and is_text(path[0]) else "a file"
    file_write(m, node, f"opens {told_of(path) or 'a file'} with os.open")
    _device(m, node, name)
    _reads(m, node, path)
    return UNKNOWN


def _reads(m: Machine, node: ast.AST, path: Value) -> None:
    for atom in path:
        name = spelling(atom) if is_text(atom) else ""
        if name and is_outside(name):
            shown = one_line(name.replace(HOLE, "*"), 80)
            m.find(node, "file/read-outside", Effect.FILE_READ, f"reads {shown}, outside the working folder")
            return


def file_write(m: Machine, node: ast.AST, message: str) -> None:
    """Note that a file is written."""
    m.find(node, "file/write", Effect.FILE_WRITE, message, severity_of(message))


def _wrote(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    content = given.get(0, "data") or UNKNOWN
    for atom in given.made_with:
        if isinstance(atom, Const):
            name = str(atom.value).removeprefix("./")
            before = m.files.get(name, NOTHING)
            m.files[name] = texts.concat(before, content) if before else content
    return UNKNOWN


def _read_back(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    _reads(m, node, given.made_with)
    if not given.args and any(isinstance(atom, Const) and atom.value in _ENDLESS for atom in given.made_with):
        told = "reads to its end a device that has none"
        m.find(node, "resource/much-memory", Effect.RESOURCE, told, Severity.WARNING)
    found = [
        m.files[str(atom.value)] for atom in given.made_with if isinstance(atom, Const) and str(atom.value) in m.files
    ]
    return joined(found) if found and all(found) else UNKNOWN


def _path_made(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    parts = [path_of(value) for value in given.args]
    text: Value = parts[0] if parts else (Const("."),)
    for part in parts[1:]:
        text = texts.concat(texts.concat(text, (Const("/"),)), part)
    return (Ref("pathlib.Path", True, text),)


def _children(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """`folder.glob("*.h5")`: paths below, of which only the pattern is known."""
    below = [spelling(atom) if is_text(atom) else HOLE for atom in given.get(0, "pattern") or NOTHING] or [HOLE]
    names = tuple(Pattern("/" + re.sub(r"[*?]+", HOLE, one)) for one in below)
    return (Ref("pathlib.Path", True, texts.concat(given.made_with or UNKNOWN, names)),)


def _path_open(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    return _open(m, node, Arguments(((given.made_with or UNKNOWN), *given.args), given.keywords))


def _sibling(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """`path.with_name("x")`, `path.with_suffix(".bak")`: another file of the same folder."""
    func = getattr(node, "func", None)
    told = given.get(0, "name", "suffix", "stem") or UNKNOWN
    whole = getattr(func, "attr", "") == "with_name"
    ends = (
        told
        if whole
        else texts.concat((Pattern(HOLE),), told if getattr(func, "attr", "") == "with_suffix" else UNKNOWN)
    )
    folders = texts.parents(given.made_with or UNKNOWN)
    return (Ref("pathlib.Path", True, texts.concat(texts.concat(folders, (Const("/"),)), ends)),)


def _joined_path(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    text = path_of(given.args[0]) if given.args else UNKNOWN
    for part in given.args[1:]:
        text = texts.concat(texts.concat(text, (Const("/"),)), path_of(part))
    return text


def _same_path(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    return path_of(given.args[0]) if given.args else UNKNOWN


def _same_object(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    return (Ref("pathlib.Path", True, given.made_with),)


def _rights(place: int) -> Model:
    """`os.chmod(path, 0o4755)`: a program that whoever starts it runs with the rights of its owner."""

    def model(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
        mode = given.get(place, "mode") or NOTHING
        written = given.nodes.get(place) or given.nodes.get("mode")
        names = ast.walk(written) if written is not None else ()
        named = {str(getattr(one, "attr", getattr(one, "id", ""))) for one in names}
        bits = any(isinstance(atom, Const) and isinstance(atom.value, int) and atom.value & _LENT for atom in mode)
        if bits or any(isinstance(atom, Ref) and atom.path in _LENDS for atom in mode) or not _LENDS.isdisjoint(named):
            told = "changes rights: a file is started with those of its owner or group"
            m.find(node, "process/privilege", Effect.PROCESS, told, Severity.WARNING)
        return None

    return model


_WRITERS = re.compile(
    r"(save|write|dump|export)_?(fig|txt|csv|json|yaml|toml|xml|html|gml|gexf|graphml|edgelist|dot|png|pdf|image|excel"
    r"|parquet|hdf5?|netcdf|model|file|to_file|table|mesh|stl|tiff?|fits|twiss|lattice)s?"
    r"|to_(csv|excel|json|parquet|hdf5?|netcdf|zarr|feather|pickle|orc|file|fits|xlsx|yaml)|save|savefig|save_all|render"
)
"""Names of methods that speak of a file which they write."""
_FILE = re.compile(r"[^\n]{1,200}\.[A-Za-z0-9]{1,8}$")


@lru_cache(1024)
def is_writer(name: str) -> bool:
    """Return whether the name of a function speaks of a file that it writes."""
    return _WRITERS.fullmatch(name) is not None


def check_writer(m: Machine, node: ast.AST, name: str, given: Arguments) -> None:
    """Note `graph.write_gml("x.gml")` and its kin, of things that nobody knows: the name of a file tells."""
    for value in given.everything()[:3]:
        paths = tuple(one for one in path_of(value) if is_text(one) and _FILE.match(spelling(one)))
        if paths:
            message = f"writes a file with {name}: {told_of(paths)}"
            m.find(
                node,
                "file/write-by-name",
                Effect.FILE_WRITE,
                message,
                severity_of(message),
                confidence=Confidence.LIKELY,
            )
            return


def _retrieved(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    if target := given.get(1, "filename"):
        file_write(m, node, f"writes {told_of(target) or 'a file'}")
    return None


def _settings(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """`ConfigParser().read(names)`: one name or a list of them."""
    for atom in given.get(0, "filenames") or NOTHING:
        names = atom.items.values() if isinstance(atom, Box) else [(atom,)]
        for name in names:
            _reads(m, node, path_of(name))
    return None


MODELS: dict[str, Model] = {
    "open-elsewhere": _open_elsewhere,
    "site-packages": _site_packages,
    "globbed": _globbed,
    "pathlib.Path.home": lambda m, node, given: (Ref("pathlib.Path", True, (Const("~"),)),),
    "pathlib.Path.cwd": lambda m, node, given: (Ref("pathlib.Path", True, (Const("."),)),),
    "os.chmod": _rights(1),
    "os.fchmod": _rights(1),
    "pathlib.Path.chmod": _rights(0),
    "urllib.request.urlretrieve": _retrieved,
    "configparser.ConfigParser.read": _settings,
    "configparser.RawConfigParser.read": _settings,
    "io.TextIOWrapper.write": _wrote,
    "io.TextIOWrapper.writelines": _wrote,
    "io.TextIOWrapper.read": _read_back,
    "pathlib.Path.read_bytes": _read_back,
    "pathlib.Path": _path_made,
    "pathlib.PurePath": _path_made,
    "pathlib.Path.open": _path_open,
    **dict.fromkeys(("pathlib.Path.iterdir", "pathlib.Path.glob", "pathlib.Path.rglob"), _children),
    "pathlib.Path.write_text": _wrote,
    "pathlib.Path.write_bytes": _wrote,
    "pathlib.Path.read_text": _read_back,
    "os.path.join": _joined_path,
    **dict.fromkeys((f"os.path.{name}" for name in ("expanduser", "abspath", "realpath", "normpath")), _same_path),
    **dict.fromkeys((f"pathlib.Path.{name}" for name in ("with_name", "with_suffix", "with_stem")), _sibling),
    **dict.fromkeys((f"pathlib.Path.{name}" for name in ("expanduser", "absolute", "resolve")), _same_object),
    "open": _open,
    "os-open": _os_open,
}
