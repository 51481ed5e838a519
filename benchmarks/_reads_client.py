"""One EPICS library in a process of its own, for `_reads.py`: `python _reads_client.py pyepics|aioca|p4p`.

Each line of input is `bulk` or a number of single reads; each line of output the seconds that one of them took, in the
median.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from statistics import median

from _reads_ioc import NAMES

Read = Callable[[], Awaitable[object]]


def pyepics() -> tuple[Read, Read]:
    """Return its bulk read and its single one, of a channel that it has found before."""
    import epics

    one = epics.PV(NAMES[0], auto_monitor=False)
    one.wait_for_connection()

    async def bulk() -> object:
        return epics.caget_many(NAMES)

    async def single() -> object:
        return one.get(use_monitor=False)

    return bulk, single


def aioca() -> tuple[Read, Read]:
    """The same of aioca."""
    import aioca

    return lambda: aioca.caget(NAMES), lambda: aioca.caget(NAMES[0])


def p4p() -> tuple[Read, Read]:
    """The same of p4p."""
    from p4p.client.thread import Context

    context = Context("pva", useenv=True)

    async def bulk() -> object:
        return context.get(NAMES)

    async def single() -> object:
        return context.get(NAMES[0])

    return bulk, single


async def main(library: str) -> None:
    """Answer until standard input ends."""
    kept = os.dup(1)
    os.dup2(2, 1)
    bulk, single = {"pyepics": pyepics, "aioca": aioca, "p4p": p4p}[library]()
    for line in sys.stdin:
        word = line.strip()
        read, times = (bulk, 1) if word == "bulk" else (single, int(word))
        taken: list[float] = []
        for _ in range(times):
            start = time.perf_counter()
            await read()
            taken.append(time.perf_counter() - start)
        os.write(kept, f"{median(taken)}\n".encode())
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
