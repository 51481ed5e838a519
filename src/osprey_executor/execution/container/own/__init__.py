"""Containers of our own: made, started, proven and ended by `osprey-executor container`, with podman or docker."""

from osprey_executor.execution.container.own._container import OwnContainer
from osprey_executor.execution.container.own._hardened import FOLDER
from osprey_executor.execution.container.own._record import ContainerLimits, Record, read_record

__all__ = ["FOLDER", "ContainerLimits", "OwnContainer", "Record", "read_record"]
