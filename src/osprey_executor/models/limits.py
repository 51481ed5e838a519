"""What one run may use."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_UNITS = {"": 1, "b": 1, "k": 2**10, "kib": 2**10, "m": 2**20, "mib": 2**20, "g": 2**30, "gib": 2**30}
_DECIMAL = {"kb": 10**3, "mb": 10**6, "gb": 10**9}


def _size(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    digits = value.strip().rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
    unit = value.strip()[len(digits) :].strip().lower()
    scale = {**_UNITS, **_DECIMAL}.get(unit)
    if scale is None:
        raise ValueError(f"{value!r} is not a size: write bytes, or a number with KiB, MiB, GiB, kB, MB or GB")
    size = float(digits) * scale
    if not math.isfinite(size):
        raise ValueError(f"{value!r} is not a finite size")
    return int(size)


# No value leaves the range of the C types that the kernel takes it in, whatever it is multiplied by on the way.
Size = Annotated[int, BeforeValidator(_size), Field(gt=0, le=2**50)]
"""A number of bytes; `"512 MiB"` is accepted too."""
Seconds = Annotated[float, Field(gt=0, le=10**7)]
"""A time in seconds, four months at most."""
Count = Annotated[int, Field(gt=0, le=10**6)]


def show_size(size: int) -> str:
    """Return a size in the largest unit that divides it well: `1 GiB`, `1.5 MiB`, `700 B`."""
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= scale:
            return f"{size / scale:.4g} {unit}"
    return f"{size} B"


class Limits(BaseModel):
    """Limits of one run. Times are in seconds, sizes in bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    timeout: Seconds = 600.0
    """Wall time of the whole run."""
    cpu_time: Seconds | None = None
    """CPU time of all processes together; by default four times the wall time."""
    memory: Size = 2 * 2**30
    """Memory of the whole tree of processes."""
    processes: Count = 256
    """Processes and threads."""
    open_files: Annotated[Count, Field(ge=32)] = 1024
    output: Size = 10 * 2**20
    """Standard output and standard error, each."""
    folder: Size = 2**30
    """All files in the working folder together."""
    files: Count = 10_000
    """Number of files and folders in the working folder."""
    tmp: Size = 256 * 2**20
    """The private /tmp."""
    results: Size = 64 * 2**20
    """Encoded results and figures together."""
