"""The monitor: pid 1 of the jail. It alone tells how the code ended, and when it ends, the kernel ends all others."""

from __future__ import annotations

import _socket
import os
import select

from . import kernel, network, tree
from .confine import become_code
from .root import build_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .spec import JailSpec


def be_monitor(spec: JailSpec) -> None:
    """Build the jail, start the code in it, watch it to its end, and tell. Returns never."""
    try:
        _run(spec)
    except OSError as error:
        refuse(spec["control"], error)
    except BaseException as error:
        say(spec["control"], f"broken {type(error).__name__}: {error}")
    finally:
        os._exit(0)


def say(control: int, message: str) -> None:
    """Send one message to the service; a service that is gone is no reason to stay."""
    try:
        os.write(control, message.encode(errors="replace")[:4000])
    except OSError:
        os._exit(1)


def refuse(control: int, error: OSError) -> None:
    """Tell which call the kernel refused."""
    say(control, f"refused {error.errno or 0} {error.filename or error}")


def _run(spec: JailSpec) -> None:
    os.setsid()
    kernel.die_with_parent()
    kernel.forget_interrupt()
    kernel.hide_memory()
    kernel.unshare(spec["namespaces"] | kernel.CLONE_NEWNS)
    if spec["namespaces"] & kernel.CLONE_NEWNET:
        network.raise_loopback()
    if spec["namespaces"] & kernel.CLONE_NEWUTS:
        _socket.sethostname("sandbox")
    build_root(spec)
    _hand_over_folder(spec)
    code = _start(spec)
    if code is None:
        return
    _give_up_power(spec)
    say(spec["control"], "started")
    say(spec["control"], _watch(spec, code))


def _hand_over_folder(spec: JailSpec) -> None:
    folder = os.open(spec["folder"], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    line = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, os.dup(spec["control"]))
    rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, folder.to_bytes(4, "little"))
    line.sendmsg([b"ready"], [rights])
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


def _give_up_power(spec: JailSpec) -> None:
    if spec["identity_map"]:
        other = spec["monitor_id"]
        os.setgroups([])
        kernel.keep_capabilities()
        os.setresgid(other, other, other)
        os.setresuid(other, other, other)
    # Enough to see how much memory a process of another user shares, and one that hides from its own.
    kernel.drop_capabilities(keep=kernel.CAP_SYS_PTRACE)
    kernel.hide_memory()
    kernel.die_with_parent()


def _watch(spec: JailSpec, code: int) -> str:
    ended = os.pidfd_open(code)
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    poll.register(spec["control"], select.POLLIN)
    while True:
        for descriptor, _ in poll.poll(spec["tick"] * 1000):
            if descriptor != ended:  # the service ordered the end, or is gone
                os._exit(1)
        status = _reap(code)
        if status is not None:
            return f"exit {os.waitstatus_to_exitcode(status)}"
        exceeded = _exceeded(spec)
        if exceeded:
            return exceeded


def _reap(code: int) -> int | None:
    """Bury whatever ended; return the wait status of `code` if it is among them."""
    while True:
        process, status = os.waitpid(-1, os.WNOHANG)
        if process in (0, code):
            return status if process else None


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
