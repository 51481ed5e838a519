"""The monitor: pid 1 of a jail. Nothing of the code outlives it, and none of the code's tricks reach it.

It either builds a whole jail and starts the code in it, or furnishes a jail in advance, as a child of the keeper, for
code that the fork server will bring.
"""

from __future__ import annotations

import _socket
import os
import select

from . import groups, kernel, listening, network, rights, root, tree
from .confine import become_code, change_user, watching_power_alone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .furniture import Furniture
    from .spec import JailSpec, ServerSpec


OWN_NAMESPACES = kernel.CLONE_NEWUSER | kernel.CLONE_NEWPID | kernel.CLONE_NEWNS
"""Those that every jail of a fork server has, beside the ones that the specification asks for."""


def be_monitor(spec: JailSpec) -> None:
    """Build the jail, start the code in it, watch it to its end, and tell. Returns never."""
    _be(spec, lambda: _run(spec))


def be_spare(
    spec: ServerSpec, furniture: Furniture, line: int, keeper: _socket.socket, gate: int, *, networked: bool
) -> None:
    """Furnish a jail of the fork server, wait for a program, let it begin, and watch. Returns never.

    Args:
        spec: of the server.
        furniture: of each of its jails.
        line: socket to the service for this one run.
        keeper: says that this process's user namespace is ready, is sent its namespaces, and says that another process
            is in them.
        gate: written to when the program may begin.
        networked: whether the network namespace is ready, and the keeper's.
    """
    spec["control"] = line
    _be(spec, lambda: _wait_and_watch(spec, furniture, keeper, gate, networked))


def say(control: int, message: str) -> None:
    """Send one message to the service; a service that is gone is no reason to stay."""
    try:
        os.write(control, message.encode(errors="replace")[:4000])
    except OSError:
        os._exit(1)


def refuse(control: int, error: OSError) -> None:
    """Tell which call the kernel refused."""
    say(control, f"refused {error.errno or 0} {error.filename or error}")


def _be(spec: JailSpec, work: Callable[[], None]) -> None:
    try:
        work()
    except OSError as error:
        refuse(spec["control"], error)
    except BaseException as error:
        say(spec["control"], f"broken {type(error).__name__}: {error}")
    finally:
        os._exit(0)


def _run(spec: JailSpec) -> None:
    _be_alone()
    kernel.unshare(spec["namespaces"] | kernel.CLONE_NEWNS)
    _settle_namespaces(spec)
    root.build_root(spec)
    root.empty_proc()
    kernel.make_read_only("/")
    _hand_over_folder(spec)
    code = _start(spec)
    if code is None:
        return
    kernel.take(watching_power_alone(spec))
    say(spec["control"], "started")
    say(spec["control"], _watch(spec, code))


def _wait_and_watch(spec: ServerSpec, furniture: Furniture, keeper: _socket.socket, gate: int, networked: bool) -> None:
    grouped = groups.enter(spec["groups"])
    keeper.recv(1)  # the keeper has written the maps of our user namespace
    if spec["identity_map"]:
        change_user(spec["monitor_id"])  # from an id that is not there inside; so no power is lost
    _be_alone()
    _settle_namespaces(spec, networked)
    furniture.put()
    _hand_over_folder(spec)
    kinds = [kind for kind, flag in kernel.NAMESPACES.items() if flag & (spec["namespaces"] | OWN_NAMESPACES)]
    namespaces = [os.open(f"/proc/self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in kinds]
    rights.send(keeper, " ".join(kinds).encode(), namespaces)
    for descriptor in namespaces:
        os.close(descriptor)
    keeper.recv(1)  # the process for the code is there
    keeper.close()
    # Before the program comes, as nobody waits now.
    if spec["groups"] and not (grouped and groups.all_join_us()):
        say(spec["control"], "ungrouped")
    if not _take_program(spec):
        return
    kernel.make_read_only(spec["job"])
    kernel.take(furniture.watching_power_alone)
    say(spec["control"], "started")
    os.write(gate, b"!")
    os.close(gate)
    say(spec["control"], _watch(spec, None))


def _be_alone() -> None:
    os.setsid()
    kernel.die_with_parent()
    kernel.forget_interrupt()
    kernel.hide_memory()


def _settle_namespaces(spec: JailSpec, networked: bool = False) -> None:
    if spec["namespaces"] & kernel.CLONE_NEWNET and not networked:
        network.raise_loopback()
        listening.hand_out(spec["control"], "listening", spec["listen"])
        listening.hand_out(spec["control"], "gateways", spec["gateways"])
    if spec["namespaces"] & kernel.CLONE_NEWUTS:
        _socket.sethostname("sandbox")


def _take_program(spec: ServerSpec) -> bool:
    """Wait for the program and its inputs and put them where the code looks; False: the service wants no run."""
    line = rights.line_of(os.dup(spec["control"]))
    try:
        message, found = rights.receive(line)
    finally:
        line.close()
    if not message:
        return False
    names = message.decode("utf-8", "surrogateescape").split("\0")[1:]
    source, trees = found[0], found[1:]
    root.write_job(spec["job"], source, list(zip(trees, names, strict=True)))
    return True


def _hand_over_folder(spec: JailSpec) -> None:
    folder = os.open(spec["folder"], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    line = rights.line_of(os.dup(spec["control"]))
    rights.send(line, b"ready", [folder])
    line.close()
    os.close(folder)


def _start(spec: JailSpec) -> int | None:
    hear, complain = os.pipe()
    code = os.fork()
    if code == 0:
        os.close(spec["control"])
        become_code(spec, complain)
    os.close(complain)
    for descriptor in (spec["runtime"], spec["stdout"], spec["stderr"]):
        if descriptor >= 0:
            os.close(descriptor)
    words = os.read(hear, 4000)  # empty: the exec closed the other end
    os.close(hear)
    if words:
        number, _, text = words.decode(errors="replace").partition(" ")
        say(spec["control"], f"refused {number} exec {spec['executable']}: {text}")
        return None
    return code


def _watch(spec: JailSpec, code: int | None) -> str:
    """Return how the code ended, or which limit the tree passed; `code` None: the keeper tells the former."""
    poll = select.poll()
    poll.register(spec["control"], select.POLLIN)
    if code is not None:
        poll.register(os.pidfd_open(code), select.POLLIN)
    while True:
        for descriptor, _ in poll.poll(spec["tick"] * 1000):
            if descriptor == spec["control"]:  # the service ordered the end, or is gone
                os._exit(1)
        status = _reap(code)
        if status is not None:
            return f"exit {os.waitstatus_to_exitcode(status)}"
        exceeded = _exceeded(spec)
        if exceeded:
            return exceeded


def _reap(code: int | None) -> int | None:
    """Bury whatever ended; return the wait status of `code` if it is among them."""
    while True:
        try:
            process, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return None
        if process == 0:
            return None
        if process == code:
            return status


def _exceeded(spec: JailSpec) -> str | None:
    if not spec["memory"] and not spec["tasks"] and not spec["cpu"]:
        return None
    memory, tasks = tree.measure()
    if spec["memory"] and memory > spec["memory"]:
        memory = tree.measure_exactly()
        if memory > spec["memory"]:
            return f"limit memory {memory}"
    if spec["tasks"] and tasks > spec["tasks"]:
        return f"limit processes {tasks}"
    if spec["cpu"] and (seconds := tree.cpu_seconds()) > spec["cpu"]:
        return f"limit cpu_time {seconds:.0f}"
    return None
