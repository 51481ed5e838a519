"""Code in kernels of a Jupyter server, each for one program alone."""

from osprey_executor.execution.container._open import open_container

__all__ = ["open_container"]
