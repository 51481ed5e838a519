"""What is sent into a fresh kernel: all of ours that it needs, as one cell. Nothing need be installed there."""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.resources
import io
import zipfile
from collections.abc import Iterator

COMM = "osprey-executor"
"""Name of the comm on which the relay in the kernel is opened."""
_CELL = """
def _osprey_executor_begin(bundle):
    import atexit, base64, importlib, io, sys, tempfile, zipfile
    from IPython import get_ipython
    root = tempfile.mkdtemp(prefix="osprey-kernel-")
    zipfile.ZipFile(io.BytesIO(base64.b64decode(bundle))).extractall(root)
    sys.path.insert(0, root + "/own")
    relay = importlib.import_module("osprey_executor_kernel.relay")
    sys.path.remove(root + "/own")
    atexit.register(relay.remove, root)
    kept = []
    def opened(comm, message):
        kept.append(relay.Relay(comm, root, message["content"]["data"]))
    get_ipython().kernel.comm_manager.register_target({comm!r}, opened)
_osprey_executor_begin({bundle!r})
"""
_JAIL = (
    *("__init__", "confine", "family", "folders", "kernel", "landlock", "restricted_spec", "spec", "tree"),
    *("unwalled", "watch"),
)


@functools.cache
def cell() -> str:
    """Return the code of the one cell that a kernel is given."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in _files():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return _CELL.format(comm=COMM, bundle=base64.b64encode(packed.getvalue()).decode("ascii"))


@functools.cache
def digest() -> str:
    """Return the SHA-256 of all that is sent."""
    return hashlib.sha256(b"".join(name.encode() + b"\0" + content for name, content in _files())).hexdigest()


def _files() -> Iterator[tuple[str, bytes]]:
    package = importlib.resources.files("osprey_executor")
    jail = package.joinpath("execution", "local", "jail")
    for item in sorted(package.joinpath("guest").iterdir(), key=lambda item: item.name):
        if item.name.endswith(".py"):
            yield f"lib/osprey_executor/{item.name}", item.read_bytes()
    for name in _JAIL:
        yield f"room/jail/{name}.py", jail.joinpath(f"{name}.py").read_bytes()
    for item in sorted(package.joinpath("execution", "container", "kernel").iterdir(), key=lambda item: item.name):
        if item.name.endswith(".py"):
            yield f"own/osprey_executor_kernel/{item.name}", item.read_bytes()
