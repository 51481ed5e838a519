"""`osprey.runtime` as a second name of `osprey_executor.runtime`, so that programs written for Osprey run."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Sequence


class _RuntimeLoader:
    """Gives the module that is there already, unchanged."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec


class _EmptyPackage:
    """Gives `osprey` where no package of that name is installed."""

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        module.__doc__ = "Holds `osprey.runtime`, another name of `osprey_executor.runtime`."


class _RuntimeFinder:
    def __init__(self, runtime: ModuleType) -> None:
        self._runtime = runtime

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: Any = None) -> ModuleSpec | None:
        return _spec(fullname, _RuntimeLoader(self._runtime)) if fullname == "osprey.runtime" else None


class _PackageFinder:
    def find_spec(self, fullname: str, path: Sequence[str] | None, target: Any = None) -> ModuleSpec | None:
        return _spec(fullname, _EmptyPackage(), package=True) if fullname == "osprey" else None


def _spec(name: str, loader: Any, package: bool = False) -> ModuleSpec:
    # Loaders and finders here derive from nothing: importing importlib.abc costs a sixth of the start.
    return ModuleSpec(name, loader, is_package=package)


def install_alias(runtime: ModuleType) -> None:
    """Make `osprey.runtime` importable; the rest of an installed `osprey` stays as it is."""
    sys.meta_path.insert(0, _RuntimeFinder(runtime))
    sys.meta_path.append(_PackageFinder())
