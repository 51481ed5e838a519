"""Runs one program, byte for byte from its file, as Python runs a script, and hands over what it leaves.

Nothing here is a boundary. The program shares this process and can find the nonce that `finish` carries if it searches
for it, and so lie about its own results; it cannot tell the service how it ended: the monitor outside does that.
"""

from __future__ import annotations

import _thread
import atexit
import builtins
import functools
import linecache
import os
import socket
import sys
import threading
from types import ModuleType
from typing import Any, Callable, NamedTuple, NoReturn

from . import runtime
from .alias import install_alias
from .channel import Channel
from .codec import EncodedResults, decode, encode_results
from .context import Context
from .figures import FigureKeeper
from .framing import Outbox, start_of
from .report import describe, print_error, remember_source
from .shown import class_name, safe_str

PROTOCOL = 1
_ABSENT = object()
_PIECE = 1 << 16
_exit_code: Callable[[BaseException], Any] = vars(SystemExit)["code"].__get__
_exit = os._exit  # pyright: ignore[reportPrivateUsage]


class _Ending(NamedTuple):
    """How the program ended: the exit code that Python would give, and what went wrong."""

    code: int
    error: dict[str, Any] | None = None


def main() -> None:
    """Take one program from the service over the socket of $OSPREY_RUNTIME_FD, run it, and end this process."""
    Worker().connect(int(os.environ.pop("OSPREY_RUNTIME_FD")))()()


class Worker:
    """What runs one program. A fork server makes it once and each child connects its own copy."""

    def __init__(self) -> None:
        """Prepare this interpreter."""
        self._figures = FigureKeeper()
        install_alias(runtime)
        for stream in (sys.stdout, sys.stderr):
            reconfigure = getattr(stream, "reconfigure", None)
            if reconfigure is not None:
                reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)

    def connect(self, descriptor: int) -> Callable[[], Callable[[], NoReturn]]:
        """Prepare the link; return what greets the service, which returns what takes the program, runs it and ends.

        Both are for the program's own process, which may be forked from this one.

        Args:
            descriptor: where the socket to the service is, or will be.
        """
        channel = self._channel(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, descriptor))

        def serve() -> NoReturn:
            _exit(_serve(channel, self._figures))

        def greet() -> Callable[[], NoReturn]:
            sys.path.append(os.getcwd())
            channel.greet(_HELLO)
            return serve

        return greet

    def rehearse(self, times: int) -> None:
        """Run a program of our own: Python finds its way faster a second time, and forks know what it has learnt."""
        _flush_c()
        kept = sys.argv, sys.modules["__main__"]
        for _ in range(times):
            near, far = socket.socketpair()
            with near, far:
                service = Outbox(far)
                limits = {"results": 1 << 20, "document": 1 << 20}
                service.send({"op": "start", "code_path": _REHEARSED, "nonce": "", "context": {}, "limits": limits})
                channel = self._channel(near)
                channel.greet(_HELLO)
                _serve(channel, self._figures, rehearsal=True)
        sys.argv, sys.modules["__main__"] = kept
        linecache.cache.pop(_REHEARSED)
        _kept.clear()

    def _channel(self, sock: socket.socket) -> Channel:
        channel = Channel(sock)
        self._figures.connect(channel)
        return channel


_HELLO = start_of({"op": "hello", "protocol": PROTOCOL, "python": sys.version.split()[0]}, ())
_REHEARSED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "rehearsed.py")


def _serve(channel: Channel, figures: FigureKeeper, rehearsal: bool = False) -> int:
    start, blobs = channel.receive()
    path: str = start["code_path"]
    finish = _finisher(channel, start.pop("nonce"))
    try:
        source = _read(path)
        context = Context.of(decode(start["context"], blobs)) if start["context"] else Context()
        module = _main_module(channel, path, source, context, start["limits"])
    except Exception as error:
        return finish(_Ending(1, describe(error, error.__traceback__, path)), None, [])
    ending = _run(module, source, path)
    if not rehearsal:
        _wait_for_threads()
    if not channel.mine():
        return _leave(ending.code)
    figures.finish()
    limits = {**start["limits"], "results": max(0, start["limits"]["results"] - figures.sent)}
    ending, encoded = _collect(module, ending, limits)
    if not rehearsal:
        _leave(ending.code)
    return finish(ending, encoded, figures.notes)


def _read(path: str) -> bytes:
    """Return what a file holds; without a stream, which costs a process that was just forked more than the file."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        pieces = [os.read(file, os.fstat(file).st_size + 1)]
        while pieces[-1]:
            pieces.append(os.read(file, _PIECE))
        return b"".join(pieces)
    finally:
        os.close(file)


def _main_module(channel: Channel, path: str, source: bytes, context: Context, limits: dict[str, int]) -> ModuleType:
    """Make this process look to the program as if Python had been started with it."""
    runtime.connect(channel, context, path, limits)
    remember_source(path, source)
    sys.argv = [path]
    module = ModuleType("__main__")
    module.__dict__.update(__file__=path, __builtins__=builtins, __cached__=None, context=context)
    # The module of `python -c` must live on: its frames still run in its globals.
    _kept.append(sys.modules["__main__"])
    sys.modules["__main__"] = module
    return module


_kept: list[ModuleType] = []


def _run(module: ModuleType, source: bytes, path: str) -> _Ending:
    try:
        exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)  # noqa: S102
    except SystemExit as error:
        return _asked_to_end(error, path)
    except BaseException as error:
        _more_room()
        tb = sys.exc_info()[2]
        told = describe(error, tb, path)
        print_error(error, tb, path)
        return _Ending(1, told)
    _more_room()
    return _Ending(0)


def _asked_to_end(error: SystemExit, path: str) -> _Ending:
    code = _exit_code(error)
    number = int.__int__(code) if issubclass(type(code), int) else None
    if code is None or number == 0:
        return _Ending(0)
    told = describe(error, sys.exc_info()[2], path)
    if number is not None:
        told["message"] = "the program ended itself with exit code {}".format(number)
        return _Ending(number & 0xFF or 1, told)
    text = told["message"] = safe_str(code, 10_000)
    _quietly(lambda: sys.stderr.write(text + "\n"))
    return _Ending(1, told)


def _collect(module: ModuleType, ending: _Ending, limits: dict[str, int]) -> tuple[_Ending, EncodedResults | None]:
    results: Any = module.__dict__.get("results", _ABSENT)
    if results is _ABSENT:
        return ending, None
    if issubclass(type(results), dict):
        return ending, _encoded(results, limits)
    if ending.error is not None:
        return ending, None
    message = "`results` must be a dict of named values, but it is a {}".format(class_name(results))
    return _Ending(1, {"type": "ResultsError", "message": message, "traceback": None, "line": None}), None


def _encoded(results: Any, limits: dict[str, int]) -> EncodedResults:
    try:
        return encode_results(results, limits)
    except BaseException as error:
        return EncodedResults({}, [], ["results are left out: {} while they were read".format(class_name(error))])


def _finisher(channel: Channel, nonce: str) -> Callable[[_Ending, EncodedResults | None, list[str]], int]:
    """Return the one function that may end the run. The nonce lives in it alone."""

    def finish(ending: _Ending, encoded: EncodedResults | None, notes: list[str]) -> int:
        header = {
            "op": "finish",
            "nonce": nonce,
            "results": encoded is not None,
            "problems": [*(encoded.problems if encoded else ()), *notes],
            "error": ending.error,
        }
        try:
            channel.send(header, encoded.frames() if encoded else ())
        except BaseException as error:
            message = "the results could not be handed over: {}\n".format(safe_str(error, 500))
            _quietly(lambda: os.write(2, message.encode("utf-8", "backslashreplace")))
            return ending.code or 1
        channel.close()
        return ending.code

    return finish


def _wait_for_threads() -> None:
    """Do what Python does first when it ends; without threads there is nothing to wait for, and it takes a while."""
    if _thread._count():  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue, reportUnknownMemberType]
        _quietly(getattr(threading, "_shutdown", _nothing))


def _leave(code: int) -> int:
    """Do what Python does before it ends, short of taking the interpreter down."""
    _quietly(getattr(atexit, "_run_exitfuncs"))  # noqa: B009  (private in the stubs; what Python itself calls)
    for stream in (sys.stdout, sys.stderr):
        _quietly(getattr(stream, "flush", _nothing))
    for stream, replaced in ((sys.__stdout__, sys.stdout), (sys.__stderr__, sys.stderr)):
        if stream is not replaced:
            _quietly(getattr(stream, "flush", _nothing))
    _quietly(_flush_c)
    return code


def _flush_c() -> None:
    """Flush what extension modules wrote with C's stdio."""
    _fflush()(None)


@functools.lru_cache(maxsize=None)
def _fflush() -> Any:
    import ctypes

    return ctypes.CDLL(None).fflush


def _more_room() -> None:
    """Give our own code room to work, whatever recursion limit the program left."""
    _quietly(lambda: sys.setrecursionlimit(max(sys.getrecursionlimit(), 1000)))


def _quietly(call: Callable[[], Any]) -> None:
    try:
        call()
    except BaseException:
        return


def _nothing() -> None:
    return None
