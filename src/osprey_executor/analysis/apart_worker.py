"""The process of `apart`: one job comes in as two lines of JSON, and one report goes out.

It ends with more processor time or memory than the analysis may take, and then says nothing.
"""

from __future__ import annotations

import resource
import sys
from typing import TextIO

from osprey_executor.analysis._analyze import analyzed_here
from osprey_executor.analysis.apart import read_job

MOST_SECONDS = 8
"""Processor time: two seconds to parse what the size allows, and five to follow it."""
_MOST_BYTES = 2 << 30


def answer(job: TextIO, reports: TextIO) -> None:
    """Read one job and answer it."""
    source, site, gates = read_job(job.readline(), job.readline())
    reports.write(analyzed_here(source, site, gates).model_dump_json())


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answer(sys.stdin, sys.stdout)
