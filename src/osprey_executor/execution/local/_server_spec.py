"""From the specification of one jail to that of a fork server, whose jails share what they have in common."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from osprey_executor.execution.local import _environment as place
from osprey_executor.execution.local._seccomp import Filters
from osprey_executor.execution.local.jail.confine import OF_EACH_RUN

if TYPE_CHECKING:
    from osprey_executor.execution.local.jail.spec import JailSpec, ServerSpec

_ROOM = "/sandbox/server"
_JOB = "/sandbox/job"
_START = "import sys; sys.path.insert(0, sys.argv[1]); from jail.forker import main; main()"
_FORKER_AS_ROOT = 65532


def server_spec(base: JailSpec, preload: Sequence[str], filters: Filters | None, room: Path) -> ServerSpec:
    """Return the specification of a server.

    Args:
        base: what each of its jails has.
        preload: modules that are imported in advance.
        filters: seccomp programs; None: that wall is missing.
        room: host folder with the package `jail`.
    """
    orders = {
        "room": _ROOM,
        "library": place.LIBRARY,
        "preload": list(preload),
        "environment": base["environment"],
        "identity_map": base["identity_map"],
        "code_id": base["code_id"],
        "folder": base["folder"],
        "rlimits": [limit for limit in base["rlimits"] if limit[0] in OF_EACH_RUN],
        "filters": [program.hex() for program in filters.forked] if filters is not None else [],
    }
    return {
        **base,
        "binds": [*base["binds"], (str(room), _ROOM)],
        "folders": [_JOB],
        "links": [*base["links"], (place.CODE, f"{_JOB}/code.py"), (place.INPUTS, f"{_JOB}/inputs")],
        "argv": [base["executable"], "-I", "-S", "-B", "-c", _START, _ROOM],
        # One thread each: a fork would lose the others. The programs get back what the environment says.
        "environment": {**base["environment"], **place.thread_limits("1"), **_own_threads(base["environment"])},
        "trees": -1,
        "forker_id": _FORKER_AS_ROOT if base["identity_map"] else base["code_id"],
        "forker_filters": filters.forker if filters is not None else [],
        "job": _JOB,
        "orders": json.dumps(orders).encode(),
    }


def _own_threads(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the number of threads of the one library that ends them itself before a fork, see `guest/preload.py`."""
    name = "OPENBLAS_NUM_THREADS"
    return {name: environment[name]} if name in environment else {}
