"""Code in kernels of a Jupyter server, each for one program alone."""

from osprey_executor.execution.container._open import open_container
from osprey_executor.execution.container._start import start_container
from osprey_executor.execution.container.own import ContainerLimits, OwnContainer

__all__ = ["ContainerLimits", "OwnContainer", "open_container", "start_container"]
