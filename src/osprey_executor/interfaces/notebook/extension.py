"""Loads and unloads the extension of IPython."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

_REMOVES: dict[int, Callable[[], None]] = {}
# With `atexit` it would be too late: Python ends pools of threads before, and closing a service needs them. What is
# registered last is called first; pools register when they are imported, and so they must be before us.
_POOLS = ThreadPoolExecutor
_at_exit: Any = getattr(threading, "_register_atexit", atexit.register)


def load(shell: Any) -> None:
    """Let a notebook have `%%osprey`."""
    from osprey_executor.interfaces.notebook.magic import register

    if id(shell) not in _REMOVES:
        _REMOVES[id(shell)] = register(shell)
        _at_exit(unload, shell)


def unload(shell: Any) -> None:
    """Take `%%osprey` away, and close what it has opened."""
    if (remove := _REMOVES.pop(id(shell), None)) is not None:
        remove()
