"""What the guest says of a limit is named only where it fits the limits that were set."""

from __future__ import annotations

from typing import Any

import pytest

from osprey_executor.execution._exhausted import Exhausted, name_exhausted
from osprey_executor.execution._guest_frames import Malformed
from osprey_executor.execution._guest_report import guest_error
from osprey_executor.models import Limits

MIB = 1 << 20
LIMITS = Limits(memory=256 * MIB, folder=8 * MIB, tmp=4 * MIB, files=100, processes=24, open_files=64)


@pytest.mark.parametrize(
    ("limit", "of", "named"),
    [
        ("memory", 0, "memory limit 256 MiB exceeded (limits.memory)"),
        ("shm", 128 * MIB, "memory limit 256 MiB exceeded (limits.memory), of which /dev/shm may hold half"),
        ("folder", 8 * MIB, "folder limit 8 MiB exceeded (limits.folder)"),
        ("file_size", 8 * MIB, "folder limit 8 MiB exceeded (limits.folder) by one file"),
        ("tmp", 4 * MIB + 4096, "tmp limit 4 MiB exceeded (limits.tmp)"),
        ("files", 102, "file limit 100 exceeded (limits.files)"),
        ("processes", 25, "process limit 24 exceeded (limits.processes)"),
        ("open_files", 64, "open file limit 64 exceeded (limits.open_files)"),
        ("folder", 500 * MIB, None),  # the disk of a service without a jail is full, which is no limit of the run
        ("tmp", 0, None),
        ("shm", 64 * MIB, None),
        ("file_size", 4 * MIB, None),
        ("open_files", 1024, None),
        ("processes", 23, None),
    ],
)
def test_a_claim_is_named_where_it_fits(limit: str, of: int, named: str | None) -> None:
    assert name_exhausted(Exhausted(limit, of), LIMITS) == named


@pytest.mark.parametrize(
    "told", [[], "memory", {}, {"limit": "memory"}, {"limit": "wall", "of": 1}, {"limit": "tmp", "of": True}, {"of": 1}]
)
def test_a_claim_that_is_none_breaks_the_protocol(told: Any) -> None:
    with pytest.raises(Malformed):
        guest_error({"type": "E", "message": "m", "exhausted": told})


def test_no_claim_is_no_limit() -> None:
    assert name_exhausted(guest_error({"type": "E", "message": "m"}).exhausted, LIMITS) is None
