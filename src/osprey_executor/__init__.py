"""The Python Execution Service: language models write Python, people approve it, a sandbox runs it.

Names are loaded at their first use, so that importing the package costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from osprey_executor.generation import CodeGenerator
    from osprey_executor.models import Approve, Edit, PythonExecutionRequest, Reject, RunResult, RunStatus
    from osprey_executor.service import PythonExecutorService

_HOMES = {
    "Approve": "models",
    "CodeGenerator": "generation",
    "Edit": "models",
    "PythonExecutionRequest": "models",
    "PythonExecutorService": "service",
    "Reject": "models",
    "RunResult": "models",
    "RunStatus": "models",
}

__all__ = [
    "Approve",
    "CodeGenerator",
    "Edit",
    "PythonExecutionRequest",
    "PythonExecutorService",
    "Reject",
    "RunResult",
    "RunStatus",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(importlib.import_module(f"osprey_executor.{_HOMES[name]}"), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("osprey-executor")
    raise AttributeError(f"module 'osprey_executor' has no attribute {name!r}")


def load_ipython_extension(shell: object) -> None:
    """`%load_ext osprey_executor`: let a notebook have `%%osprey`."""
    importlib.import_module("osprey_executor.interfaces.notebook.extension").load(shell)


def unload_ipython_extension(shell: object) -> None:
    """Take it away again."""
    importlib.import_module("osprey_executor.interfaces.notebook.extension").unload(shell)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
