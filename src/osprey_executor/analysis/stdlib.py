"""Functions of the standard library that call what they are given, and files and pickles that carry code about."""

from __future__ import annotations

import ast
import pickletools
import re

from osprey_executor.analysis import boxes, texts
from osprey_executor.analysis.calls import call, let_go
from osprey_executor.analysis.dynamic import run_text
from osprey_executor.analysis.lookups import found_secret
from osprey_executor.analysis.machine import Arguments, Machine, Model
from osprey_executor.analysis.places import is_device, is_outside
from osprey_executor.analysis.values import (
    HOLE,
    NOTHING,
    UNKNOWN,
    Box,
    Const,
    Pattern,
    Ref,
    Value,
    contents,
    held,
    is_text,
    joined,
    only_const,
    spelling,
)
from osprey_executor.models import Effect, Severity
from osprey_executor.text import one_line

_ENDLESS = frozenset(("/dev/zero", "/dev/urandom", "/dev/random", "/dev/full"))


def _starts(target: tuple[int | str, ...], args: int | str | None, *more: int | str) -> Model:
    """A function that calls its argument `target`, with the items of `args`, or the arguments from place `args` on."""

    def model(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
        callee = given.get(*target)
        if callee is None:
            return None
        for place in target:
            if place in given.nodes:
                m.taken.pop(m.where(given.nodes[place])[:2], None)
        passed: tuple[Value, ...] = ()
        nodes: dict[int | str, ast.expr] = {}
        keywords: dict[str, Value] = {}
        if isinstance(args, int):
            passed = given.args[args:]
            nodes = {
                place - args: one for place, one in given.nodes.items() if isinstance(place, int) and place >= args
            }
            keywords = {name: value for name, value in given.keywords.items() if name not in target}
        elif args is not None:
            held_args = given.get(args, *more) or NOTHING
            if boxes.is_exact(held_args):
                passed = tuple(boxes.each(held_args))
            elif held_args:
                return call(m, node, callee, Arguments((contents(held_args),), complete=False))
            for atom in given.get("kwargs") or NOTHING:
                if isinstance(atom, Box):
                    keywords = {str(key): value for key, value in atom.items.items()}
        return call(m, node, callee, Arguments(passed, keywords, nodes))

    return model


def _with_anything(*target: int | str) -> Model:
    def model(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
        for atom in given.get(*target) or NOTHING:
            let_go(m, node, atom)
        return UNKNOWN

    return model


def _executor_map(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    model = m.semantics.models.get("builtins.map")
    return model(m, node, given) if model else None


def _reduce(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    if len(given.args) < 2:
        return None
    items = contents(given.args[1]) or UNKNOWN
    start = given.args[2] if len(given.args) > 2 else items
    return call(m, node, given.args[0], Arguments((joined([start, UNKNOWN]), items)))


def _open(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    mode = given.get(1, "mode")
    written = mode is not None and not all(
        isinstance(atom, Const) and isinstance(atom.value, str) and not set(atom.value) & set("wax+") for atom in mode
    )
    path = path_of(given.get(0, "file") or UNKNOWN)
    if written and mode is not None and any("+" in spelling(atom) for atom in mode):
        _reads(m, node, path)
    if written:
        name = spelling(path[0]).replace(HOLE, "*") if path and is_text(path[0]) else "a file"
        file_write(m, node, f"writes {name}")
        _device(m, node, name)
        for atom in path:
            if isinstance(atom, Const):
                m.files.setdefault(str(atom.value), NOTHING)
    else:
        _reads(m, node, path)
    return (Ref("io.TextIOWrapper", True, path),)


def path_of(value: Value) -> Value:
    """Return the names of files that a value may be, those of `Path` objects too."""
    found: list[Value] = []
    for atom in value:
        if isinstance(atom, Ref) and atom.path.startswith("pathlib."):
            found.append(atom.channels or UNKNOWN)
        else:
            found.append((atom,) if is_text(atom) else UNKNOWN)
    return joined(found) if found else UNKNOWN


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


def _os_open(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    path = path_of(given.get(0, "path") or UNKNOWN)
    name = spelling(path[0]).replace(HOLE, "*") if path and is_text(path[0]) else "a file"
    file_write(m, node, f"opens {name} with os.open")
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
    m.find(node, "file/write", Effect.FILE_WRITE, message)


def _wrote(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    content = given.get(0, "data") or UNKNOWN
    for atom in given.made_with:
        if isinstance(atom, Const):
            name = str(atom.value).removeprefix("./")
            before = m.files.get(name, NOTHING)
            m.files[name] = texts.concat(before, content) if before else content
    return UNKNOWN


def _wrote_path(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    shown = ", ".join(spelling(atom).replace(HOLE, "*") for atom in given.made_with[:2]) or "a file"
    file_write(m, node, f"writes {shown}")
    return _wrote(m, node, given)


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


def _joined_path(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    text = path_of(given.args[0]) if given.args else UNKNOWN
    for part in given.args[1:]:
        text = texts.concat(texts.concat(text, (Const("/"),)), path_of(part))
    return text


def _dumped(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    for value in given.args[1:2]:
        for path in path_of(tuple(a for a in value if not (isinstance(a, Ref) and a.path == "io.TextIOWrapper"))):
            if isinstance(path, Const):
                m.files[f"pickle:{path.value}"] = NOTHING
        for atom in value:
            if isinstance(atom, Ref) and atom.path == "io.TextIOWrapper":
                for path in atom.channels:
                    if isinstance(path, Const):
                        m.files[f"pickle:{path.value}"] = NOTHING
    file_write(m, node, "writes a pickle")
    return UNKNOWN


def _dumped_text(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    for value in given.args[:1]:
        for atom in held(value):
            let_go(m, node, atom)
    return (Ref("pickle.dumped", True),)


def _loaded(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    for atom in given.get(0, "data", "file", "filename", "f") or UNKNOWN:
        if isinstance(atom, Ref) and atom.path in ("pickle.dumped", "io.BytesIO"):
            continue
        paths = atom.channels if isinstance(atom, Ref) and atom.path == "io.TextIOWrapper" else (atom,)
        if paths and all(isinstance(path, Const) and f"pickle:{path.value}" in m.files for path in paths):
            continue
        if isinstance(atom, Const) and isinstance(atom.value, bytes) and _pickled(m, node, atom.value):
            continue
        m.find(
            node,
            "opaque/unpickle",
            Effect.OPAQUE,
            "unpickles data that is not seen here: a pickle can run any code",
            Severity.WARNING,
            ask=True,
        )
        m.write(None, None, m.where(node)[0])
    return UNKNOWN


def _pickled(m: Machine, node: ast.AST, data: bytes) -> bool:
    """Return whether a constant pickle names nothing of a library; what it names is noted as called."""
    strings: list[str] = []
    try:
        for code, argument, _ in pickletools.genops(data[:100_000]):
            if code.name in ("GLOBAL", "INST") and isinstance(argument, str):
                path = argument.replace(" ", ".")
            elif code.name == "STACK_GLOBAL":
                path = ".".join(strings[-2:])
            else:
                if isinstance(argument, str):
                    strings.append(argument)
                continue
            ref = Ref(m.catalogue.aliases.get(path, path))
            rule = m.catalogue.rule(ref.path)
            if rule is None:
                return False
            m.apply(node, rule, ref, None)
    except Exception:  # pickletools raises many kinds on bytes that are no pickle
        return False
    return True


def _yaml(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    loader = given.get(1, "Loader")
    if loader and all(isinstance(atom, Ref) and "Safe" in atom.path for atom in loader):
        return UNKNOWN
    m.find(
        node,
        "opaque/yaml-load",
        Effect.OPAQUE,
        "loads YAML with a loader that can make any Python object",
        Severity.WARNING,
        ask=True,
    )
    return UNKNOWN


def _library(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    known = only_const(given.args[0]) if given.args else None
    name = str(known.value) if known is not None else ""
    if name.partition(".so")[0].rpartition("/")[2] in ("libm", "m"):
        return UNKNOWN
    m.find(
        node,
        "opaque/native-library",
        Effect.OPAQUE,
        f"loads the native library {name or 'of a name only known when the program runs'}: its calls are not seen here",
        Severity.WARNING,
        ask=True,
    )
    m.write(None, None, m.where(node)[0])
    return UNKNOWN


def _path_changed(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    m.path_changed = True
    told = "changes where Python looks for modules"
    m.find(node, "interpreter/import-path", Effect.INTERPRETER, told)
    return UNKNOWN


def _run_path(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    for atom in given.get(0, "path_name", "mod_name") or UNKNOWN:
        name = str(atom.value) if isinstance(atom, Const) else ""
        written = m.files.get(name) or m.files.get(f"{name}.py")
        run_text(m, node, written or UNKNOWN, f"runpy with {name or 'a file'}")
    return UNKNOWN


def _frame_text(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """`pandas.eval("@f(x)")` calls what the program has under that name."""
    text = only_const(given.get(0, "expr") or UNKNOWN)
    if text is not None and isinstance(text.value, str) and "@" in text.value:
        run_text(m, node, (Const(text.value.replace("@", "")),), "eval of a table", mode="eval")
    return UNKNOWN


def _environment(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    name = only_const(given.get(0, "key", "varname") or UNKNOWN)
    found_secret(m, node, str(name.value) if name is not None else "")
    return (Pattern(HOLE),)


def _loaded_unless_told(keyword: str, safe: object) -> Model:
    """A loader that is safe by default and unsafe with `keyword=False`, or only that way in old releases."""

    def model(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
        told = given.get(keyword)
        if told is not None and all(isinstance(atom, Const) and atom.value is safe for atom in told):
            return UNKNOWN
        return _loaded(m, node, given)

    return model


def _loaded_if_told(keyword: str) -> Model:
    def model(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
        told = given.get(keyword)
        if not told or all(isinstance(atom, Const) and not atom.value for atom in told):
            return UNKNOWN
        return _loaded(m, node, given)

    return model


_THREAD = _starts(("target", 1), "args", 3)
MODELS: dict[str, Model] = {
    "threading.Thread": _THREAD,
    "multiprocessing.Process": _THREAD,
    "multiprocessing.context.Process": _THREAD,
    "threading.Timer": _starts((1, "function"), "args", 2),
    "sched.scheduler.enter": _starts((2, "action"), "argument", 3),
    "sched.scheduler.enterabs": _starts((2, "action"), "argument", 3),
    **dict.fromkeys(
        (
            "concurrent.futures.ThreadPoolExecutor.submit",
            "concurrent.futures.ProcessPoolExecutor.submit",
            "asyncio.to_thread",
            "atexit.register",
            "contextlib.ExitStack.callback",
            "contextvars.Context.run",
        ),
        _starts((0, "func", "fn"), 1),
    ),
    "weakref.finalize": _starts((1, "func"), 2),
    "signal.signal": _with_anything(1, "handler"),
    "sys.settrace": _with_anything(0),
    "sys.setprofile": _with_anything(0),
    **dict.fromkeys(
        (
            "concurrent.futures.ThreadPoolExecutor.map",
            "multiprocessing.pool.ThreadPool.map",
            "multiprocessing.Pool.map",
            "itertools.starmap",
            "concurrent.futures.ProcessPoolExecutor.map",
        ),
        _executor_map,
    ),
    "functools.reduce": _reduce,
    "io.TextIOWrapper.write": _wrote,
    "io.TextIOWrapper.writelines": _wrote,
    "io.TextIOWrapper.read": _read_back,
    "pathlib.Path.read_bytes": _read_back,
    "pathlib.Path": _path_made,
    "pathlib.PurePath": _path_made,
    "pathlib.Path.open": _path_open,
    **dict.fromkeys(("pathlib.Path.iterdir", "pathlib.Path.glob", "pathlib.Path.rglob"), _children),
    "pathlib.Path.write_text": _wrote_path,
    "pathlib.Path.write_bytes": _wrote_path,
    "pathlib.Path.read_text": _read_back,
    "os.path.join": _joined_path,
    **dict.fromkeys(("pickle.dumps", "dill.dumps", "cloudpickle.dumps", "marshal.dumps"), _dumped_text),
    **dict.fromkeys(("sys.path.insert", "sys.path.append", "sys.path.extend", "site.addsitedir"), _path_changed),
    "open": _open,
    "os-open": _os_open,
    "unpickle": _loaded,
    "pickle-to-file": _dumped,
    "yaml": _yaml,
    "native-library": _library,
    "torch-load": _loaded_unless_told("weights_only", True),
    "numpy-load": _loaded_if_told("allow_pickle"),
    "code-file": _run_path,
    "frame-text": _frame_text,
    "environment": _environment,
}
