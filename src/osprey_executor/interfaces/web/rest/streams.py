"""The events of a run as server-sent events (WHATWG HTML, section 9.2): numbered, so that a reader can go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final

from osprey_executor.errors import PythonExecutorException
from osprey_executor.interfaces.web.answers import to_text
from osprey_executor.models.events import Event, Finished
from osprey_executor.service import result_to_json

_BEAT_SECONDS: Final = 15.0
"""After which a comment tells both sides, and what is between them, that the other one is there."""


async def told(
    events: AsyncGenerator[tuple[int, Event]], closing: asyncio.Event, same: Callable[[], bool] = lambda: True
) -> AsyncGenerator[str]:
    """Yield numbered events as text, until they end, or the service is `closing`, or who reads is not the `same`.

    A reader whose roles are others now asks again, as after any stream that broke, and is told what they may do.
    """
    end = asyncio.ensure_future(closing.wait())
    async with aclosing(events):
        following = asyncio.ensure_future(anext(events))
        try:
            while not end.done():
                await asyncio.wait((following, end), timeout=_BEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if not same():
                    return
                if not following.done():
                    yield ": it goes on\n\n"
                    continue
                try:
                    number, event = following.result()
                except StopAsyncIteration:
                    return
                except PythonExecutorException as error:
                    yield _block("error", to_text({"error": type(error).__name__, "message": str(error)}))
                    return
                yield _block(event.kind, _json(event), number)
                following = asyncio.ensure_future(anext(events))
        finally:
            end.cancel()
            following.cancel()
            await asyncio.wait((following,))


def _json(event: Event) -> str:
    if isinstance(event, Finished):
        return to_text(event.model_dump(mode="json", exclude={"result"}) | {"result": result_to_json(event.result)})
    return to_text(event.model_dump(mode="json"))


def _block(kind: str, data: str, number: int | None = None) -> str:
    # JSON of one line holds no line break, so nothing in it ends the block.
    place = "" if number is None else f"id: {number}\n"
    return f"event: {kind}\n{place}data: {data}\n\n"
