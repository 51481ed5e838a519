"""Searches regular expressions of the site in a process of its own, because one that backtracks cannot be interrupted.

Run by its path, with the standard library only: a JSON document of expressions and a text comes in, and for each
expression one line with the places that fit goes out as soon as they are known.
"""

from __future__ import annotations

import json
import re
import resource
import sys
from itertools import islice
from typing import Any, TextIO, cast

MOST_SECONDS = 2
"""Processor time for all expressions of one program."""
_MOST_BYTES = 1 << 30


def search(job: TextIO, answers: TextIO) -> None:
    """Read one job and answer it line by line."""
    told: dict[str, Any] = json.load(job)
    text: str = told["text"]
    for expression in cast("list[str]", told["expressions"]):
        found = islice(re.finditer(expression, text), told["most"])
        print(json.dumps([match.start() for match in found]), file=answers, flush=True)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    search(sys.stdin, sys.stdout)
