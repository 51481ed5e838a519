"""The replay of one attempt in this process: its world is made anew before the program, and compared after it."""

from __future__ import annotations

import atexit
import importlib
import linecache
import os
import shutil
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import cells
from .link import Codec, ReplayLink, warn
from .record import load_json, load_recording, load_values
from .recording import Recording

_WORLD = "osprey_executor"


class _Now:
    """The replay of this process; one at a time."""

    home: Path | None = None
    attempt: Path | None = None
    scratch: Path | None = None
    link: ReplayLink | None = None
    keeper: Any = None


def start(home: str | os.PathLike[str], attempt: int) -> Any:
    """Make this process the world of a recorded attempt, and return its `context`.

    Raises:
        FileNotFoundError: the attempt is not in the folder.
    """
    _Now.home = Path(home).resolve()
    _Now.attempt = _Now.home / "attempts" / str(attempt)
    if not (_Now.attempt / "code.py").is_file():
        raise FileNotFoundError(f"no attempt {attempt} in the run folder {_Now.home}")
    _cut_off()
    _take_over_imports(_Now.home / "replay" / "library.zip")
    _Now.link = ReplayLink(Recording((), ()), _codec())
    _Now.keeper = importlib.import_module(_WORLD + ".figures").FigureKeeper(_Now.link)
    given = _fresh_world()
    cells.take_over((_Now.attempt / "code.py").read_bytes())
    _say("\n".join(facts()))
    return given


def facts() -> list[str]:
    """Return what a person must know of this replay, one line each."""
    told = load_json(_home() / "replay" / "facts.json")
    approver = told.get("approver")
    return [
        "REPLAY of run {} ({}).".format(told.get("run_id", "?"), told.get("status", "?")),
        "Approved by {}, digest {}.".format(approver, told.get("digest"))
        if approver
        else "Nobody was asked to approve it.",
        "Reads through osprey_executor.runtime answer from the record. Writes change nothing; they are compared.",
        "The code runs with the rights of this kernel, outside the sandbox.",
        f"Its working folder is {_Now.scratch}, removed when the kernel ends.",
    ]


def run_program() -> None:
    """Run the recorded source byte for byte, in the namespace of the notebook, in a world made anew."""
    __tracebackhide__ = True  # IPython leaves such frames out of a traceback
    path = _attempt() / "code.py"
    source = path.read_bytes()
    space = cells.namespace()
    space.pop("results", None)
    space["context"] = _fresh_world()
    space["__file__"] = str(path)
    sys.argv = [str(path)]
    linecache.checkcache(str(path))
    try:
        with _figures():
            exec(compile(source, str(path), "exec", dont_inherit=True), space)  # noqa: S102 - running it is the purpose
    except SystemExit as end:
        if end.code not in (None, 0):
            _say(f"The program ended with exit({end.code!r}).")
    finally:
        for deviation in _link().recording.missing():
            warn(deviation)


def summary() -> None:
    """Show what the program left in `results`, and whether it is what the record holds."""
    codec = _codec()
    left: Any = cells.namespace().get("results")
    if not isinstance(left, dict):
        _say("The program left no results.")
    results: dict[Any, Any] = dict(left) if isinstance(left, dict) else {}  # pyright: ignore[reportUnknownArgumentType]
    stored = _attempt() / "results.json"
    recorded = load_values(stored, codec.decode)
    for name in {**recorded, **results}:
        if name not in results:
            told = "only in the record"
        elif name not in recorded:
            told = "not in the record"
        else:
            told = "as recorded" if _equal(codec, results[name], recorded[name]) else "DIFFERS from the record"
        value = results[name] if name in results else recorded[name]
        _say(f"{name!s:.100} = {_text(value):.2000}    [{told}]")
    count = len(_link().recording.deviations) + len(_link().recording.missing())
    _say("Writes: {}.".format("as the run made them" if not count else f"{count} differ from the run"))


def _fresh_world() -> Any:
    """Rewind the record, and make a new working folder with copies of the inputs."""
    runtime = importlib.import_module(_WORLD + ".runtime")
    codec = _codec()
    link = _link()
    link.recording = load_recording(_attempt(), codec.decode)
    given = importlib.import_module(_WORLD + ".context").Context.of(load_values(_home() / "context.json", codec.decode))
    runtime.connect(link, given, str(_attempt() / "code.py"), {})
    before, _Now.scratch = _Now.scratch, Path(tempfile.mkdtemp(prefix="osprey-replay-"))
    if (_home() / "inputs").is_dir():
        shutil.copytree(_home() / "inputs", _Now.scratch / "inputs", symlinks=True)
    os.chdir(_Now.scratch)
    atexit.register(shutil.rmtree, _Now.scratch, ignore_errors=True)
    if before is not None:
        shutil.rmtree(before, ignore_errors=True)
    return given


@contextmanager
def _figures() -> Generator[None, None, None]:
    """Show every figure, open or closed, once, as the record has them: drawn without a window, in order."""
    before = os.environ.get("MPLBACKEND", "")
    link = _link()
    _draw_with("Agg")
    link.running = True
    try:
        yield
    finally:
        _Now.keeper.finish()
        link.running = False
        for _, image in sorted(link.figures.items()):
            cells.show_figure(image)
        link.figures.clear()
        if "matplotlib.pyplot" in sys.modules:
            # They have been shown; the notebook would show the open ones once more.
            sys.modules["matplotlib.pyplot"].close("all")
        _draw_with(before)


def _draw_with(backend: str) -> None:
    os.environ["MPLBACKEND"] = backend
    if backend and "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].switch_backend(backend)


def _take_over_imports(library: Path) -> None:
    """Let `osprey_executor` and `osprey` mean what they meant in the sandbox."""
    for name in [name for name in sys.modules if name.split(".")[0] in (_WORLD, "osprey")]:
        del sys.modules[name]
    if str(library) not in sys.path:
        sys.path.insert(0, str(library))
    importlib.invalidate_caches()
    runtime = importlib.import_module(_WORLD + ".runtime")
    sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != _WORLD + ".alias"]
    importlib.import_module(_WORLD + ".alias").install_alias(runtime)


def _cut_off() -> None:
    """Give Channel Access and PV Access clients that start from now on no address to search."""
    for name in ("EPICS_CA", "EPICS_PVA"):
        os.environ[name + "_ADDR_LIST"] = ""
        os.environ[name + "_AUTO_ADDR_LIST"] = "NO"
        os.environ[name + "_NAME_SERVERS"] = ""


def _codec() -> Codec:
    codec = importlib.import_module(_WORLD + ".codec")
    errors = importlib.import_module(_WORLD + ".errors")
    return Codec(codec.encode, codec.decode, vars(errors))


def _equal(codec: Codec, one: Any, other: Any) -> bool:
    try:
        return _plain(codec.encode(one)) == _plain(codec.encode(other))
    except Exception:
        return False


def _plain(encoded: tuple[Any, list[Any]]) -> tuple[Any, list[bytes]]:
    document, blobs = encoded
    return document, [bytes(blob) for blob in blobs]


def _text(value: Any) -> str:
    try:
        return repr(value)
    except Exception as error:
        return f"<{type(value).__name__} without a repr: {type(error).__name__}>"


def _home() -> Path:
    if _Now.home is None:
        raise RuntimeError("run the first code cell, which starts the replay")
    return _Now.home


def _attempt() -> Path:
    _home()
    assert _Now.attempt is not None
    return _Now.attempt


def _link() -> ReplayLink:
    _home()
    assert _Now.link is not None
    return _Now.link


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a notebook cell speaks by printing
