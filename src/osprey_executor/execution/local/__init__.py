"""Code on this machine: in a jail, or where the configuration says so in writing, without one."""

from osprey_executor.execution.local._open import open_local

__all__ = ["open_local"]
