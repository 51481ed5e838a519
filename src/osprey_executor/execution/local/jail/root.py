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
_DEVICE_LINKS = (
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
)


def build_root(spec: JailSpec) -> None:
    """Build the new root, enter it, and let go of the old one. Nothing of it is visible outside this namespace."""
    kernel.mount("", "/", kernel.MS_REC | kernel.MS_PRIVATE)
    # Sources are taken before the base is covered: a source may lie below it.
    shield = kernel.ATTR_RDONLY | kernel.ATTR_NOSUID
    trees = [(kernel.clone_tree(source, shield | kernel.ATTR_NODEV), target) for source, target in spec["binds"]]
    trees += [(kernel.clone_tree(name, shield | kernel.ATTR_NOEXEC), name) for name in spec["devices"]]
    base = next(path for path in _BASES if os.path.isdir(path))
    options = "size=16m,nr_inodes=65536,mode=0755"
    kernel.mount("tmpfs", base, _QUIET | kernel.MS_NOEXEC, options)
    _writable(base, spec)  # first, as a bind may lie below /tmp
    for tree, target in trees:
        _place_for(tree, base + target)
        kernel.attach_tree(tree, base + target)
    for location, target in (*spec["links"], *_DEVICE_LINKS):
        _parents(base + location)
        os.symlink(target, base + location)
    for path in spec["folders"]:
        os.makedirs(base + path, exist_ok=True)
    for path, content in spec["files"]:
        _parents(base + path)
        _create(base + path, content)
    os.makedirs(base + "/proc", exist_ok=True)
    try:
        kernel.mount("proc", base + "/proc", _QUIET | kernel.MS_NOEXEC | kernel.MS_RDONLY)
    except OSError as error:
        raise OSError(error.errno, error.strerror, "mount /proc") from None
    os.chdir(base)
    kernel.pivot_root_here()
    for source, target in spec["copies"]:
        _copy(source, target, _owner(spec))
    kernel.make_read_only("/")


def _writable(base: str, spec: JailSpec) -> None:
    exec_flag = kernel.MS_NOEXEC if spec["no_exec"] else 0
    owner = _owner(spec)
    for path, size, files, mode in (
        ("/tmp", spec["tmp_size"], 65536, "1777"),  # noqa: S108 - the jail's own
        ("/dev/shm", spec["shm_size"], 4096, "1777"),  # noqa: S108
        (spec["folder"], spec["folder_size"], spec["folder_files"] + 2, "0755"),
    ):
        os.makedirs(base + path, exist_ok=True)
        options = f"size={size},nr_inodes={files},mode={mode},uid={owner},gid={owner}"
        kernel.mount("tmpfs", base + path, _QUIET | exec_flag, options, path)
    for name, target in spec["links_in_folder"]:
        os.symlink(target, base + spec["folder"] + "/" + name)
    for path in spec["homes"]:
        os.makedirs(base + path)
        os.chown(base + path, owner, owner)


def _copy(source: str, target: str, owner: int) -> None:
    """Copy a file into what the code may write, unless a small limit leaves no room: it is a courtesy."""
    with open(source, "rb") as stream:
        content = stream.read()
    try:
        _create(target, content)
        os.chown(target, owner, owner)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        os.unlink(target)


def _owner(spec: JailSpec) -> int:
    return spec["code_id"]


def _place_for(tree: int, target: str) -> None:
    if os.stat(tree).st_mode & 0o170000 == 0o040000:
        os.makedirs(target, mode=0o755, exist_ok=True)
    else:
        _parents(target)
        _create(target, b"")


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
