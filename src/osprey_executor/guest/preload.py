"""What a fork server does once for all programs, and what each of them gets anew.

A program must not see that it was forked: the packages imported in advance appear only when it imports them, and what
would be the same in two runs is renewed.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import importlib
import io
import os
import sys
import warnings
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Callable, Dict, Generator, Tuple

_Exit = Tuple[str, Callable[..., Any], Tuple[Any, ...], Dict[str, Any]]
"""Who wants what to be called when Python ends."""

_SET_MKL_THREADS = "MKL_Set_Num_Threads"
_MKL = "libmkl_rt"
_RENEWED_HERE = ("random", "threading", "logging", "concurrent.futures.thread")


class Preloaded:
    """Packages that are imported once and hidden, and the state that no two programs may share."""

    def __init__(self, names: list[str]) -> None:
        """Import what is there of `names`.

        While this runs, libraries must be kept from starting threads: `MKL_NUM_THREADS=1` and the like. OpenBLAS may
        start its own, as many as it shall have: it ends them before a fork and starts them again when there is work.
        """
        self._hooks: list[Callable[[], Any]] = []
        at_exit: list[_Exit] = []
        with warnings.catch_warnings(), _listening(self._hooks), _noting_exits(at_exit):
            warnings.simplefilter("ignore")
            for name in names:
                _try(lambda name=name: importlib.import_module(name))
            _try(_draw_once)
        _end_threads()
        for clear in [hook for hook in self._hooks if getattr(hook, "__name__", "") == "cache_clear"]:
            clear()  # at once and for all: matplotlib's fonts, whose files no fork may share
            self._hooks.remove(clear)
        self._random = [sys.modules[name].seed for name in ("random",) if name in sys.modules]
        if "numpy.random" in sys.modules:
            self._random.append(_seeder_of(sys.modules["numpy.random"]))
        hidden = _Hidden(names, at_exit, _thread_setters())
        sys.meta_path.insert(0, hidden)
        _renew_streams()

    def renew(self) -> None:
        """Draw what the next forked process begins with, while nobody waits."""
        for seed in self._random:
            seed()
        process: Any = sys.modules.get("multiprocessing.process")
        if process is not None:
            process.current_process().authkey = os.urandom(32)
        tempfile: Any = sys.modules.get("tempfile")
        if tempfile is not None:
            # It renews itself when the process id changes; in a jail it is always the same.
            tempfile._name_sequence = None

    def begin(self) -> None:
        """Do in a forked process what only it can do for itself."""
        threading: Any = sys.modules.get("threading")
        if threading is not None and hasattr(threading.main_thread(), "_set_native_id"):
            threading.main_thread()._set_native_id()
        for hook in self._hooks:
            hook()


@contextlib.contextmanager
def _listening(hooks: list[Callable[[], Any]]) -> Generator[None, None, None]:
    """Note what packages register to run in a forked child; for the program's own forks it is registered as well.

    Those of the standard library repair locks that other threads may hold, and the state of `random`: see `Preloaded`.
    """
    register = os.register_at_fork

    def noted(**calls: Any) -> None:
        register(**calls)
        caller = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
        if caller.f_globals.get("__name__") not in _RENEWED_HERE and "after_in_child" in calls:
            hooks.insert(0, calls["after_in_child"])

    os.register_at_fork = noted
    try:
        yield
    finally:
        os.register_at_fork = register


@contextlib.contextmanager
def _noting_exits(at_exit: list[_Exit]) -> Generator[None, None, None]:
    """Note what packages want to be called at the end, which is for programs that import one of them."""
    register = atexit.register

    def noted(call: Any, *args: Any, **kwargs: Any) -> Any:
        caller = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
        at_exit.append((_top(caller.f_globals.get("__name__", "")), call, args, kwargs))
        return call

    atexit.register = noted
    try:
        yield
    finally:
        atexit.register = register


class _Hidden:
    """Finds packages that were imported in advance, all of them when the program imports the first.

    What those want to be called at the end is called then, too. A module beside them that wants to be called, such as
    `logging`, is hidden as well, and found alone if the program imports that one first.
    """

    def __init__(self, names: list[str], at_exit: list[_Exit], setters: list[Callable[[int], Any]]) -> None:
        tops = dict.fromkeys(map(_top, names))
        beside = dict.fromkeys(who for who, *_ in at_exit)
        self._modules = {name: sys.modules.pop(name) for name in (*tops, *beside) if name in sys.modules}
        self._beside = [name for name in beside if name not in tops]
        self._at_exit, self._setters = at_exit, setters

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name not in self._modules:
            return None
        module = self._modules.pop(name)
        if name in self._beside:
            self._register([one for one in self._at_exit if one[0] == name])
        else:
            self._show_all()
        return ModuleSpec(name, _Ready(module))  # type: ignore[arg-type]

    def _show_all(self) -> None:
        """Put all there but the one that is being imported: the import system would else load it again."""
        sys.meta_path.remove(self)
        threads = int(os.environ.get("MKL_NUM_THREADS", "1"))
        if threads > 1:
            for setter in self._setters:
                setter(threads)
        self._register(list(self._at_exit))
        for name, module in self._modules.items():
            sys.modules.setdefault(name, module)

    def _register(self, exits: list[_Exit]) -> None:
        for one in exits:
            self._at_exit.remove(one)
            _, call, args, kwargs = one
            atexit.register(call, *args, **kwargs)


def _top(name: str) -> str:
    return name.partition(".")[0]


class _Ready:
    """The loader of a module that needs no loading."""

    def __init__(self, module: ModuleType) -> None:
        self._module, self._spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec


_MT_WORDS = 624


def _seeder_of(numpy_random: Any) -> Callable[[], Any]:
    """Return what seeds numpy's random state anew: in place where it lies as expected, which is ten times as fast."""
    numpy_random.seed()
    try:
        generator = numpy_random.mtrand._rand._bit_generator
        words, position = generator.state["state"]["key"], generator.state["state"]["pos"]
        place = (ctypes.c_uint32 * (_MT_WORDS + 1)).from_address(generator.ctypes.state_address)
        if list(place) != [*map(int, words), position]:
            return numpy_random.seed
    except Exception:  # another numpy than we know
        return numpy_random.seed

    def seed() -> None:
        ctypes.memmove(place, os.urandom(4 * _MT_WORDS), 4 * _MT_WORDS)
        place[_MT_WORDS] = _MT_WORDS  # all words are to be stirred before the first is drawn

    return seed


def _draw_once() -> None:
    """Draw a figure: the first one of a process loads fonts and renderers."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return
    figure: Any = pyplot.figure()
    figure.add_subplot().plot([0, 1], label="x")
    figure.legend()
    figure.savefig(io.BytesIO(), format="png")
    pyplot.close("all")


def _renew_streams() -> None:
    """Open standard output and error for pipes, as which each program finds them.

    The present ones remember what stood there when this Python started.
    """
    reading, pipe = os.pipe()
    os.close(reading)  # what an import still says to the old ones is for nobody
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(pipe, number)
        # Not closed: the descriptor belongs to the process.
        stream: Any = open(number, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        stream.buffer.raw.name = "<{}>".format(name)
        setattr(sys, name, stream)
        setattr(sys, "__{}__".format(name), stream)
    os.close(pipe)


def _end_threads() -> None:
    """Have libraries that end their threads before a fork do so."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def _thread_setters() -> list[Callable[[int], Any]]:
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as stream:
        paths = {line.split(maxsplit=5)[-1].strip() for line in stream if _MKL in line}
    libraries = [ctypes.CDLL(path) for path in sorted(paths)]
    return [getattr(library, _SET_MKL_THREADS) for library in libraries if hasattr(library, _SET_MKL_THREADS)]


def _try(call: Callable[[], Any]) -> None:
    """A package that is missing or broken is the program's to find out."""
    try:
        call()
    except Exception:
        return
