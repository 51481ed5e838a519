"""An exception of the program as the service is told of it, and as Python would print it."""

from __future__ import annotations

import linecache
import os
import sys
from io import BytesIO, TextIOWrapper
from tokenize import detect_encoding
from traceback import StackSummary, TracebackException, print_exception
from types import TracebackType
from typing import Any

from .exhausted import exhausted
from .shown import class_name, safe_str

_MOST_MESSAGE = 10_000
_MOST_TRACEBACK = 40_000
_MOST_FRAMES = 4000
_OURS = os.path.dirname(__file__)


def remember_source(path: str, source: bytes) -> None:
    """Let tracebacks show the lines of the program, even if the program replaces the file."""
    if source.isascii() and b"coding" not in source and b"\r" not in source:  # nearly all: the long way takes a while
        linecache.cache[path] = (len(source), None, source.decode("ascii").splitlines(True), path)
        return
    try:
        encoding, _ = detect_encoding(BytesIO(source).readline)
        lines = TextIOWrapper(BytesIO(source), encoding, "replace").read().splitlines(True)
    except (SyntaxError, LookupError):
        lines = source.decode("latin-1").splitlines(True)
    linecache.cache[path] = (len(source), None, lines, path)


def describe(error: BaseException, tb: TracebackType | None, path: str) -> dict[str, Any]:
    """Return type, message, traceback and line of `error`, trimmed to the frames of the program at `path`, and the
    limit that it is about.

    Never raises, whatever the exception does when it is looked at.
    """
    kind = type(error)
    syntax: Any = error if issubclass(kind, SyntaxError) else None
    try:
        message = str(syntax.msg)[:_MOST_MESSAGE] if syntax is not None else safe_str(error, _MOST_MESSAGE)
        line = syntax.lineno if syntax is not None and syntax.filename == path else _line(tb, path)
        text = _formatted(error, tb, path)
    except BaseException:
        message, line = safe_str(error, _MOST_MESSAGE), _line(tb, path)
        text = "{}: {}\n".format(class_name(error), message[:2000])
    if len(text) > _MOST_TRACEBACK:
        half = _MOST_TRACEBACK // 2
        text = text[:half] + "\n  [...]\n" + text[-half:]
    told: dict[str, Any] = {"type": class_name(error), "message": message, "traceback": text, "line": line}
    told["exhausted"] = exhausted(error)
    return told


def print_error(error: BaseException, tb: TracebackType | None, path: str) -> None:
    """Print `error` as Python does for a script, without the frames of this library. Never raises."""
    while tb is not None and tb.tb_frame.f_code.co_filename != path:
        tb = tb.tb_next
    try:
        tb = _without_ours(tb)
        for other in (error.__cause__, error.__context__):
            if other is not None:
                BaseException.with_traceback(other, _without_ours(other.__traceback__))
    except BaseException:  # noqa: S110  (frames too many are better than no error)
        pass
    hooks = [sys.excepthook] if sys.excepthook is not sys.__excepthook__ else []
    for show in (*hooks, print_exception, _print_plainly):
        try:
            BaseException.with_traceback(error, tb)
            show(type(error), error, tb)
            return
        except BaseException:  # noqa: S112  (the next way is plainer, and there is nobody to tell)
            continue


def _without_ours(tb: TracebackType | None) -> TracebackType | None:
    """Return a traceback without the frames of this library, which are nobody's program."""
    kept: list[TracebackType] = []
    while tb is not None:
        if os.path.dirname(tb.tb_frame.f_code.co_filename) != _OURS:
            kept.append(tb)
        tb = tb.tb_next
    made: TracebackType | None = None
    for each in reversed(kept[-_MOST_FRAMES:]):
        made = TracebackType(made, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return made


def _print_plainly(kind: type, error: BaseException, tb: TracebackType | None) -> None:
    sys.stderr.write("{}: {}\n".format(class_name(error), safe_str(error, 2000)))


def _line(tb: TracebackType | None, path: str) -> int | None:
    line = None
    while tb is not None:
        if tb.tb_frame.f_code.co_filename == path:
            line = tb.tb_lineno
        tb = tb.tb_next
    return line


def _formatted(error: BaseException, tb: TracebackType | None, path: str) -> str:
    told = TracebackException(type(error), error, tb, limit=-_MOST_FRAMES)
    _trim(told, path, set())
    return "".join(told.format())


def _trim(told: TracebackException, path: str, seen: set[int]) -> None:
    """Leave only the program's frames in `told` and in the errors that it came from."""
    if id(told) in seen:
        return
    seen.add(id(told))
    told.stack = StackSummary.from_list([frame for frame in told.stack if frame.filename == path])
    nested: list[Any] = [told.__cause__, told.__context__, *(getattr(told, "exceptions", None) or ())]
    for other in nested:
        if other is not None:
            _trim(other, path, seen)
