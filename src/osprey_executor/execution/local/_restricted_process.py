"""One restricted process as the service sees it: as a jail, but with folders of the host to be cleared afterwards."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from osprey_executor.execution.local._cgroup import RunGroup
from osprey_executor.execution.local._clearing import clear
from osprey_executor.execution.local._jail_process import JailProcess
from osprey_executor.execution.local._refusals import explain_restricted
from osprey_executor.execution.local._sandbox import Exceeded

if TYPE_CHECKING:
    from osprey_executor.execution.local.jail.restricted_spec import RestrictedSpec

_WHATS = ("memory", "processes", "folder", "files", "tmp", "deep", "closed")


class RestrictedProcess(JailProcess):
    """A monitor and all below it."""

    _module = "restricted"

    def __init__(self, spec: RestrictedSpec, *, linked: bool, group: RunGroup | None = None) -> None:
        """Start it; see `JailProcess`."""
        self._paths = (spec["folder"], spec["tmp"])
        try:
            folder = os.open(spec["folder"], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            if group is not None:
                group.leave()
            raise
        try:
            super().__init__(spec, linked=linked, group=group)
        except BaseException:
            os.close(folder)
            raise
        self._folder = folder

    def close(self) -> None:
        """Let go of everything, and free what the code wrote; only after `ended`."""
        super().close()
        for folder in self._paths:
            clear(folder)

    @property
    def closes_at_once(self) -> bool:
        """Folders of the host take their time."""
        return False

    def _kill(self) -> None:
        """Leave the monitor alone: only it can end what it has adopted, and it does nothing else by now."""

    def _note(self, message: str) -> None:
        kind, _, rest = message.partition(" ")
        number, _, what = rest.partition(" ")
        if kind == "limit":
            self._exceeded = Exceeded(next(name for name in _WHATS if name == number), int(what))
        elif kind == "refused":
            self._refusal = explain_restricted(int(number), what)
        elif kind != "ordered":
            super()._note(message)
