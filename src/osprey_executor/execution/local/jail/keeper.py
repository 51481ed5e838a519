"""The keeper: pid 1 of a fork server's jail. It makes the jails of the runs and alone tells how their code ended.

Three kinds of process stand below it, all its children: the forker, a Python of the target environment that has
imported what programs like to import, and that the keeper trusts with nothing; for each run a monitor, pid 1 of a jail
of its own; and for each run the code, which the forker forks into that jail as its own sibling, so that the keeper,
not the forker, is who the kernel tells its end.
"""

# pathlib costs an import, which every server would pay.
# ruff: noqa: PTH116

from __future__ import annotations

import _socket
import gc
import os
import resource
import select

from . import image, kernel, listening, network, rights, root
from .confine import become_forker
from .furniture import Furniture
from .identity import enter_user_namespace, map_one, map_some
from .monitor import be_spare, own_namespaces, refuse, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .spec import JailSpec, ServerSpec

_SIGKILL = 9
_FAILED = b"failed"


def be_keeper(spec: ServerSpec) -> None:
    """Build the jail that all runs share, start the forker in it, and serve. Returns never."""
    try:
        os.setsid()
        kernel.die_with_parent()
        kernel.forget_interrupt()
        kernel.unshare(spec["namespaces"] | kernel.CLONE_NEWNS)
        if spec["namespaces"] & kernel.CLONE_NEWUTS:
            _socket.sethostname("sandbox")
        proc = _own_proc()
        # What the forker writes while it imports is its own.
        ground: JailSpec = {**spec, "code_id": spec["forker_id"]}  # pyright: ignore[reportAssignmentType]
        root.build_root(ground)
        kernel.make_read_only("/")
        # In a namespace within, the mounts so far can be neither changed nor taken away, whatever power is held there.
        enter_user_namespace(spec, f"/proc/self/fd/{proc}")
        kernel.unshare(kernel.CLONE_NEWNS)
        kernel.die_with_parent()
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # it holds some ten descriptors for each run
        _Keeper(spec, proc).serve()
    except OSError as error:
        refuse(spec["control"], error)
    except BaseException as error:
        say(spec["control"], f"broken {type(error).__name__}: {error}")
    finally:
        os._exit(0)


def _own_proc() -> int:
    """Return a /proc that can be written: below it, the maps of new user namespaces are set."""
    kernel.mount("proc", "/proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
    own = kernel.clone_tree("/proc", 0)
    kernel.unmount("/proc")
    return own


class _Run:
    """One jail: its monitor, its code, and the descriptors that wait to be handed on."""

    def __init__(self, line: _socket.socket, ends: list[int]) -> None:
        self.line = line
        self.ends = ends
        """Gate, standard output, standard error and runtime socket of the code, and the doors of its control groups."""
        self.monitor = self.code = 0
        self.processes = 0
        """Which process namespace is the jail's."""
        self.monitor_fd = self.code_fd = -1
        self.expecting: _socket.socket | None = None
        """Line to a monitor that waits for the process of the code."""
        self.network: network.Network | None = None
        self.exit = ""
        self.cpu = 0.0
        self.memory = 0

    def close_ends(self) -> None:
        for descriptor in self.ends:
            os.close(descriptor)
        self.ends = []


class _Keeper:
    def __init__(self, spec: ServerSpec, proc: int) -> None:
        self._spec, self._proc = spec, f"/proc/self/fd/{proc}"
        self._furniture = Furniture(spec)
        self._service = rights.line_of(spec["control"])
        self._poll = select.poll()
        self._handlers: dict[int, Callable[[], None]] = {}
        self._unborn: list[_Run] = []
        """Runs whose code the forker was asked for, in that order."""
        self._forker: _socket.socket
        self._forker_pid = 0
        self._serving = False
        # Where the service listens for a run, its monitor needs power over the network: then it makes one of its own.
        own = not spec["namespaces"] & kernel.CLONE_NEWNET or spec["listen"]
        self._networks = None if own else network.Networks(spec["gateways"])
        self._clone = kernel.cloning(own_namespaces(spec) & ~(0 if own else kernel.CLONE_NEWNET))

    def serve(self) -> None:
        self._forker, far = rights.pair()
        self._forker_pid = os.fork()
        if self._forker_pid == 0:
            self._forker.close()
            become_forker(self._spec, far.detach())
        far.close()
        gc.collect()
        gc.freeze()
        image.move_memory_into_file(os.memfd_create("image", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
        self._on(os.pidfd_open(self._forker_pid), self._forker_ended)
        self._on(self._forker.fileno(), self._hear_forker)
        self._on(self._service.fileno(), self._hear_service)
        while True:
            for descriptor, _ in self._poll.poll():
                handler = self._handlers.get(descriptor)
                if handler is not None:  # an earlier one of this round may have let it go
                    handler()

    def _on(self, descriptor: int, handler: Callable[[], None]) -> None:
        self._handlers[descriptor] = handler
        self._poll.register(descriptor, select.POLLIN)

    def _off(self, descriptor: int) -> None:
        del self._handlers[descriptor]
        self._poll.unregister(descriptor)

    def _tell(self, message: str) -> None:
        say(self._service.fileno(), message)

    def _forker_ended(self) -> None:
        if not self._serving:  # its last word tells why
            self._hear_forker()
        _, status = os.waitpid(self._forker_pid, 0)
        self._tell(f"ended {os.waitstatus_to_exitcode(status)}")
        os._exit(0)

    def _hear_forker(self) -> None:
        """Take a word of the forker, which runs code of the environment: it is checked, and none ends another run."""
        message, unwanted = rights.receive(self._forker)
        for descriptor in unwanted:
            os.close(descriptor)
        word, _, rest = message.decode(errors="replace").partition(" ")
        if word in ("born", "failed") and self._unborn:
            run = self._unborn.pop(0)
            if word == "failed" or not self._born(run, rest):
                self._kill(run)
        elif word in ("ready", "unfit", "refused") and not self._serving:
            self._serving = True
            self._tell(message.decode(errors="replace"))
        else:
            self._tell("ended by a word that it must not say")
            os._exit(0)

    def _hear_service(self) -> None:
        message, ends = rights.receive(self._service)
        if not message:
            os._exit(0)
        line, (stdout, stderr, runtime, *doors) = rights.line_of(ends[0]), ends[1:]
        if self._spec["identity_map"]:  # else /dev/stdout could not be opened by the code's user
            for output in (stdout, stderr):
                os.fchown(output, self._spec["code_id"], self._spec["code_id"])
        hear, gate = os.pipe2(os.O_CLOEXEC)
        run = _Run(line, [hear, stdout, stderr, runtime, *doors])
        try:
            self._start_monitor(run, gate)
        except OSError as error:
            _send(line, f"refused {error.errno or 0} {error.filename or error}")
            if run.monitor_fd >= 0:
                self._kill(run)
            else:
                run.close_ends()
                line.close()
        finally:
            os.close(gate)

    def _start_monitor(self, run: _Run, gate: int) -> None:
        near, far = rights.pair()
        run.monitor = self._fork_monitor(run)
        if run.monitor == 0:
            doors = run.ends[4:]
            kernel.close_all_but([run.line.fileno(), gate, far.fileno(), *doors])
            self._spec["groups"] = doors
            be_spare(self._spec, self._furniture, run.line, far, gate, networked=self._networks is not None)
        far.close()
        run.monitor_fd = os.pidfd_open(run.monitor)
        self._on(run.monitor_fd, lambda: self._monitor_ended(run))
        if run.network is not None and run.network.listening:
            listening.send_out(run.line, "gateways", run.network.listening)
        process, inside = f"{self._proc}/{run.monitor}", self._spec["code_id"]
        if self._spec["identity_map"]:
            # Who joins has every power over these ids: root is none of them, whatever is visible inside.
            map_some(process, (self._spec["monitor_id"], inside))
        else:
            map_one(process, inside, inside, inside)
        near.send(b"!")
        self._on(near.fileno(), lambda: self._ask_forker(run, near))

    def _fork_monitor(self, run: _Run) -> int:
        if self._networks is None:
            return self._clone()
        try:
            run.network = self._networks.enter()
            child = self._clone()
        except OSError:
            self._networks.leave()
            self._take_back_network(run)
            raise
        if child:
            self._networks.leave()
        return child

    def _take_back_network(self, run: _Run) -> None:
        if self._networks is not None and run.network is not None:
            self._networks.give_back(run.network)
            run.network = None

    def _ask_forker(self, run: _Run, monitor: _socket.socket) -> None:
        kinds, namespaces = rights.receive(monitor)
        self._off(monitor.fileno())
        if not kinds:  # the monitor has told the service why
            monitor.close()
            return
        run.expecting = monitor
        run.processes = os.fstat(namespaces[kinds.split().index(b"pid")]).st_ino
        self._unborn.append(run)
        rights.send(self._forker, kinds, [*namespaces, *run.ends])
        for descriptor in namespaces:
            os.close(descriptor)
        run.close_ends()

    def _born(self, run: _Run, told: str) -> bool:
        """Accept the process that the forker tells of; False: it is not a child of ours in the jail of `run`."""
        try:
            code = int(told)
            os.waitid(os.P_PID, code, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if code == run.monitor or os.stat(f"/proc/{code}/ns/pid").st_ino != run.processes:
                return False
            run.code_fd = os.pidfd_open(code)
        except (OSError, ValueError, OverflowError):
            return False
        run.code = code
        self._on(run.code_fd, lambda: self._code_ended(run))
        try:
            if run.expecting is not None:
                run.expecting.send(b"!")
            rights.send(run.line, b"spare", [run.monitor_fd])
        except OSError:  # the service wants it no more
            self._kill(run)
        return True

    def _code_ended(self, run: _Run) -> None:
        _, status, usage = os.wait4(run.code, 0)
        run.cpu, run.memory = usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024
        self._off(run.code_fd)
        os.close(run.code_fd)
        run.code_fd = -1
        run.exit = f" {os.waitstatus_to_exitcode(status)}"
        self._kill(run)

    def _kill(self, run: _Run) -> None:
        """End all of a jail by its pid 1."""
        if run.monitor_fd >= 0:
            os.kill(run.monitor, _SIGKILL)

    def _monitor_ended(self, run: _Run) -> None:
        # The kernel lets a pid 1 end only when all of its namespace are gone and waited for.
        _, _, usage = os.wait4(run.monitor, 0)
        self._off(run.monitor_fd)
        os.close(run.monitor_fd)
        run.monitor_fd = -1
        _send(run.line, f"gone {run.cpu + usage.ru_utime + usage.ru_stime:.6f} {run.memory}{run.exit}")
        run.line.close()
        run.close_ends()
        if run.expecting is not None:
            run.expecting.close()
        self._take_back_network(run)


def _send(line: _socket.socket, message: str) -> None:
    """Tell the service about one run; it may have lost interest."""
    try:
        line.send(message.encode())
    except OSError:
        return
