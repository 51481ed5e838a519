"""The new root: a tmpfs on which nothing exists but what the specification lists."""

# pathlib costs an import, which every run would pay.
# ruff: noqa: PTH103, PTH108, PTH112, PTH123, PTH211

from __future__ import annotations

import errno
import os

from . import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .spec import JailSpec

_BASES = ("/tmp", "/var/tmp", "/run", "/usr")  # noqa: S108 - only a mount point, in a private namespace
_QUIET = kernel.MS_NOSUID | kernel.MS_NODEV
_SHIELD = kernel.ATTR_RDONLY | kernel.ATTR_NOSUID
_DEVICE_LINKS = (
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
)
_PIECE = 1 << 24
_OF_THE_HOST = ("keys", "key-users", "kallsyms", "timer_list")
"""Files of /proc that no process namespace hides: names of the user's keys, addresses of the kernel, its timers."""


def build_root(spec: JailSpec) -> None:
    """Build the new root, enter it, and let go of the old one. Nothing of it is visible outside this namespace."""
    kernel.mount("", "/", kernel.MS_REC | kernel.MS_PRIVATE)
    # Sources are taken before the base is covered: a source may lie below it.
    trees = [(shielded(source), target) for source, target in spec["binds"]]
    trees += [(kernel.clone_tree(name, _SHIELD | kernel.ATTR_NOEXEC), name) for name in spec["devices"]]
    base = next(path for path in _BASES if os.path.isdir(path))
    options = "size=16m,nr_inodes=65536,mode=0755"
    kernel.mount("tmpfs", base, _QUIET | kernel.MS_NOEXEC, options)
    kernel.take(writable_mounted(base, spec))  # first, as a bind may lie below /tmp
    for tree, target in trees:
        attach(tree, base + target)
    for location, target in (*spec["links"], *_DEVICE_LINKS):
        _parents(base + location)
        os.symlink(target, base + location)
    for path in spec["folders"]:
        os.makedirs(base + path, exist_ok=True)
    for path, content in spec["files"]:
        _parents(base + path)
        _create(base + path, content)
    os.makedirs(base + "/proc", exist_ok=True)
    mount_proc(base)
    os.chdir(base)
    kernel.pivot_root_here()
    make_copies(spec)


def shielded(source: str) -> int:
    """Return a copy of what the host has at `source` that nobody can change: no writing, no set-uid, no devices."""
    return kernel.clone_tree(source, _SHIELD | kernel.ATTR_NODEV)


def attach(tree: int, target: str) -> None:
    """Make a place for `tree` at `target` and put it there; the descriptor is closed."""
    if os.stat(tree).st_mode & 0o170000 == 0o040000:
        os.makedirs(target, mode=0o755, exist_ok=True)
    else:
        _parents(target)
        if not os.path.lexists(target):
            _create(target, b"")
    kernel.attach_tree(tree, target)


def writable_mounted(base: str, spec: JailSpec) -> list[kernel.Step]:
    """Return what mounts below `base` the places that the code may write, each of its own size."""
    exec_flag = kernel.MS_NOEXEC if spec["no_exec"] else 0
    owner = spec["code_id"]
    steps: list[kernel.Step] = []
    for path, size, files, mode in (
        ("/tmp", spec["tmp_size"], 65536, "1777"),  # noqa: S108 - the jail's own
        ("/dev/shm", spec["shm_size"], 4096, "1777"),  # noqa: S108
        (spec["folder"], spec["folder_size"], spec["folder_files"] + 2, "0755"),
    ):
        os.makedirs(base + path, exist_ok=True)
        options = f"size={size},nr_inodes={files},mode={mode},uid={owner},gid={owner}"
        steps += kernel.mounted("tmpfs", base + path, _QUIET | exec_flag, options, path)
    for name, target in spec["links_in_folder"]:
        steps.append(("symlink", os.symlink, (target, base + spec["folder"] + "/" + name)))
    for path in spec["homes"]:
        steps += [("mkdir", os.mkdir, (base + path,)), ("chown", os.chown, (base + path, owner, owner))]
    return steps


def mount_proc(base: str) -> None:
    """Mount /proc of this process namespace below `base`; nothing in it can be written."""
    try:
        kernel.mount("proc", base + "/proc", _QUIET | kernel.MS_NOEXEC | kernel.MS_RDONLY)
    except OSError as error:
        raise OSError(error.errno, error.strerror, "mount /proc") from None


def empty_proc() -> None:
    """Cover what tells of the host in /proc. Below a /proc with covers, no namespace within can mount its own."""
    for name in _OF_THE_HOST:
        try:
            kernel.cover(f"/proc/{name}", "/dev/null")
        except FileNotFoundError:  # this kernel tells nothing of that
            continue


def job_mounted(path: str) -> list[kernel.Step]:
    """Return what mounts a small place for the program and its inputs, which only the monitor fills."""
    options = "size=64m,nr_inodes=65536,mode=0755"
    return [
        *kernel.mounted("tmpfs", path, _QUIET | kernel.MS_NOEXEC, options),
        ("mkdir", os.mkdir, (path + "/inputs",)),
    ]


def write_job(path: str, code: int, inputs: list[tuple[int, str]]) -> None:
    """Copy the program from a descriptor and put shielded trees at `inputs/NAME`; all descriptors are closed."""
    target = os.open(path + "/code.py", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    while os.sendfile(target, code, None, _PIECE):
        pass
    os.close(target)
    os.close(code)
    for tree, name in inputs:
        attach(tree, f"{path}/inputs/{name}")


def make_copies(spec: JailSpec) -> None:
    """Copy what the code wants to find where it may write, unless a small limit leaves no room: it is a courtesy."""
    for source, target in spec["copies"]:
        try:
            with open(source, "rb") as stream:
                content = stream.read()
        except PermissionError:
            continue
        try:
            _create(target, content)
            os.chown(target, spec["code_id"], spec["code_id"])
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            os.unlink(target)


def _parents(path: str) -> None:
    os.makedirs(path.rpartition("/")[0] or "/", mode=0o755, exist_ok=True)


def _create(path: str, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
    finally:
        os.close(descriptor)
