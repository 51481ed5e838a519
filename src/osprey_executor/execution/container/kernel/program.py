"""One process for the program, below a monitor: its output, its link to the service, and the monitor's words."""

from __future__ import annotations

import base64
import marshal
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from .line import Line

_START = "import sys; sys.path.insert(0, sys.argv[1]); from jail.unwalled import main; main()"
_PIECE = 1 << 17


class Program:
    """Started at once, it waits for its code. It speaks to the service over the line of its kernel."""

    def __init__(
        self, root: str, spec: dict[str, Any], loop: Any, line: Line, on_over: Callable[[list[str]], None]
    ) -> None:
        """Start the monitor and below it the guest's worker.

        Args:
            root: folder of the kernel.
            spec: what the monitor is told, where `{root}` stands for that folder, `{prefix}` and `{base}` for Python's.
            loop: the kernel's event loop.
            line: to the service.
            on_over: called once when no process is left and all was read, with the monitor's words.
        """
        self._loop, self._line, self._on_over = loop, line, on_over
        self._control, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._link, link = socket.socketpair()
        outputs = [os.pipe() for _ in range(2)]
        ends = {"control": control.fileno(), "runtime": link.fileno()}
        ends |= {"stdout": outputs[0][1], "stderr": outputs[1][1]}
        told: dict[str, Any] = {**_placed(spec, root), **ends, "executable": sys.executable}
        told["argv"] = [sys.executable, *told["argv"]]
        told["rules"] = [(path, rights) for path, rights in told["rules"] if os.path.exists(path)]
        told["filters"] = [base64.b64decode(program) for program in told["filters"]]
        folders = dict.fromkeys([os.path.dirname(sys.executable), "/usr/local/bin", "/usr/bin", "/bin"])
        told["environment"] = {"PATH": ":".join(folders), **told["environment"]}
        reading, writing = os.pipe()
        os.write(writing, marshal.dumps(told))
        os.close(writing)
        self._monitor = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _START, os.path.join(root, "room"), str(reading)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={},
            pass_fds=[reading, *ends.values()],
        )
        for descriptor in (reading, ends["stdout"], ends["stderr"]):
            os.close(descriptor)
        control.close()
        link.close()
        self._to_send = bytearray()
        self._words: list[str] = []
        self._open: dict[int, Callable[[bytes], dict[str, Any]]] = {
            self._control.fileno(): lambda piece: {},
            self._link.fileno(): lambda piece: {"link": 1, "b": _text(piece)},
            outputs[0][0]: lambda piece: {"out": 1, "b": _text(piece)},
            outputs[1][0]: lambda piece: {"out": 2, "b": _text(piece)},
        }
        self._unread: set[int] = set(self._open)
        for descriptor in self._open:
            os.set_blocking(descriptor, False)

    def listen(self) -> None:
        """Read what was left unread: at first all, later while the line was full."""
        for descriptor in self._unread:
            self._loop.add_reader(descriptor, self._read, descriptor)
        self._unread.clear()

    def begin(self) -> None:
        """Have the monitor watch from now on, and listen: nothing of a process that is discarded is heard."""
        self._say(b"begin")
        self.listen()

    def end(self) -> None:
        """Order the end of every process, and hear of it."""
        self.listen()
        try:
            self._control.shutdown(socket.SHUT_WR)
        except OSError:  # it is over
            pass

    def write(self, data: bytes) -> None:
        """Send bytes to the program; they wait here while it does not read."""
        if self._link.fileno() in self._open:
            self._to_send += data
            self._send()

    def discard(self) -> None:
        """End it, and be quiet about it."""
        for descriptor in list(self._open):
            self._loop.remove_reader(descriptor)
        self._loop.remove_writer(self._link.fileno())
        self._close()
        self._monitor.wait()

    def _say(self, word: bytes) -> None:
        try:
            self._control.send(word)
        except OSError:  # it is over, and its end is about to be read
            pass

    def _read(self, descriptor: int) -> None:
        if self._line.full:
            self._loop.remove_reader(descriptor)
            self._unread.add(descriptor)
            return
        try:
            piece = os.read(descriptor, _PIECE)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if descriptor == self._control.fileno() and piece:
            self._words.append(piece.decode("utf-8", "replace"))
            return
        if piece:
            self._line.put(self._open[descriptor](piece))
            return
        self._loop.remove_reader(descriptor)
        if descriptor == self._link.fileno():
            self._loop.remove_writer(descriptor)
        del self._open[descriptor]
        if descriptor == self._control.fileno():
            _end_orphans()
        if descriptor not in (self._control.fileno(), self._link.fileno()):
            os.close(descriptor)
        if not self._open:
            self._close()
            self._monitor.wait()
            self._on_over(self._words)

    def _send(self) -> None:
        try:
            while self._to_send:
                del self._to_send[: self._link.send(self._to_send[:_PIECE])]
        except BlockingIOError:
            self._loop.add_writer(self._link.fileno(), self._send)
            return
        except OSError:  # the program is gone
            self._to_send.clear()
        self._loop.remove_writer(self._link.fileno())

    def _close(self) -> None:
        own = (self._control.fileno(), self._link.fileno())
        for descriptor in self._open:
            if descriptor not in own:
                os.close(descriptor)
        self._open.clear()
        self._unread.clear()
        self._control.close()
        self._link.close()


def _end_orphans() -> None:
    """Kill what is left of a program that has ended its own monitor; it has become this process's child."""
    for _ in range(100):
        try:
            with open(f"/proc/self/task/{os.getpid()}/children") as stream:
                children = stream.read().split()
        except OSError:
            return
        if not children:
            return
        for child in children:
            try:
                os.kill(int(child), signal.SIGKILL)
                os.waitpid(int(child), 0)
            except (ProcessLookupError, ChildProcessError):
                continue


def _placed(value: Any, root: str) -> Any:
    if isinstance(value, str):
        for name, place in (("root", root), ("prefix", sys.prefix), ("base", sys.base_prefix)):
            value = value.replace(f"{{{name}}}", place)
        return value
    if isinstance(value, dict):
        return {key: _placed(item, root) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [_placed(item, root) for item in value]  # pyright: ignore[reportUnknownVariableType]
    return value


def _text(piece: bytes) -> str:
    return base64.b64encode(piece).decode("ascii")
