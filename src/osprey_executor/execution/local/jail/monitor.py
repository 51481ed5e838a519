"""The monitor: pid 1 of a jail. Nothing of the code outlives it, and none of the code's tricks reach it.

It either builds a whole jail and starts the code in it, or furnishes a jail in advance, as a child of the keeper, for
code that the fork server will bring.
"""

from __future__ import annotations

import _socket
import os
import select

from . import groups, kernel, listening, network, rights, root, tree
from .confine import become_code, watching_power_alone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .furniture import Furniture
    from .spec import JailSpec, ServerSpec


def be_monitor(spec: JailSpec) -> None:
    """Build the jail, start the code in it, watch it to its end, and tell. Returns never."""
    line = rights.line_of(spec["control"])
    _be(spec, lambda: _run(spec, line))


def be_spare(
    spec: ServerSpec, furniture: Furniture, line: _socket.socket, keeper: _socket.socket, gate: int, *, networked: bool
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
    spec["control"] = line.fileno()
    _be(spec, lambda: _wait_and_watch(spec, furniture, line, keeper, gate, networked))


def own_namespaces(spec: ServerSpec) -> int:
    """Return those that each jail of a fork server has for itself; the others are the keeper's, for all of them.

    The host's name and the root of control groups are the same in each, and nobody inside has power over either.
    """
    common = kernel.CLONE_NEWUTS | kernel.CLONE_NEWCGROUP
    return (spec["namespaces"] & ~common) | kernel.CLONE_NEWUSER | kernel.CLONE_NEWPID | kernel.CLONE_NEWNS


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


def _run(spec: JailSpec, line: _socket.socket) -> None:
    os.setsid()
    kernel.die_with_parent()
    kernel.forget_interrupt()
    kernel.hide_memory()
    kernel.unshare(spec["namespaces"] | kernel.CLONE_NEWNS)
    _settle_network(spec, line)
    if spec["namespaces"] & kernel.CLONE_NEWUTS:
        _socket.sethostname("sandbox")
    root.build_root(spec)
    root.empty_proc()
    kernel.make_read_only("/")
    _hand_over_folder(spec, line)
    code = _start(spec)
    if code is None:
        return
    kernel.take(watching_power_alone(spec))
    say(spec["control"], "started")
    say(spec["control"], _watch(spec, code))


def _wait_and_watch(
    spec: ServerSpec, furniture: Furniture, line: _socket.socket, keeper: _socket.socket, gate: int, networked: bool
) -> None:
    grouped = groups.enter(spec["groups"])
    keeper.recv(1)  # the keeper has written the maps of our user namespace
    kernel.take(furniture.hiding)
    if not networked:
        _settle_network(spec, line)
    furniture.put()
    _hand_over_folder(spec, line)
    kinds = [kind for kind, flag in kernel.NAMESPACES.items() if flag & own_namespaces(spec)]
    namespaces = [os.open(f"/proc/self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in kinds]
    rights.send(keeper, " ".join(kinds).encode(), namespaces)
    for descriptor in namespaces:
        os.close(descriptor)
    keeper.recv(1)  # the process for the code is there
    keeper.close()
    # Before the program comes, as nobody waits now.
    if spec["groups"] and not (grouped and groups.all_join_us()):
        say(spec["control"], "ungrouped")
    if not _take_program(spec, line):
        return
    kernel.make_read_only(spec["job"])
    kernel.take(furniture.watching_power_alone)
    say(spec["control"], "started")
    os.write(gate, b"!")
    os.close(gate)
    say(spec["control"], _watch(spec, None))


def _settle_network(spec: JailSpec, line: _socket.socket) -> None:
    if spec["namespaces"] & kernel.CLONE_NEWNET:
        network.raise_loopback()
        listening.hand_out(line, "listening", spec["listen"])
        listening.hand_out(line, "gateways", spec["gateways"])


def _take_program(spec: ServerSpec, line: _socket.socket) -> bool:
    """Wait for the program and its inputs and put them where the code looks; False: the service wants no run."""
    message, found = rights.receive(line)
    if not message:
        return False
    names = message.decode("utf-8", "surrogateescape").split("\0")[1:]
    source, trees = found[0], found[1:]
    root.write_job(spec["job"], source, list(zip(trees, names, strict=True)))
    return True


def _hand_over_folder(spec: JailSpec, line: _socket.socket) -> None:
    folder = os.open(spec["folder"], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    rights.send(line, b"ready", [folder])
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
