"""The process of a detached run: begins it, says its id through a pipe, and sees it to its end or to its card."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, NoReturn

from osprey_executor.errors import ExecutionCancelledError
from osprey_executor.interfaces.cli.early import leaving

if TYPE_CHECKING:
    from osprey_executor.interfaces.cli.work import Work
    from osprey_executor.models.events import Event


def main() -> NoReturn:
    """Run the order on standard input; until the run has begun, errors are told like those of any command."""
    as_json = "--json" in sys.argv
    leaving.guard(as_json=as_json)
    # Not at the top: what this imports takes long enough for a signal to come.
    from osprey_executor.interfaces.cli.failures import report
    from osprey_executor.interfaces.cli.streams import prepare_streams

    prepare_streams()
    try:
        code = _run(int(sys.argv[1]), as_json=as_json)
    except Exception as error:
        code = report(error, as_json=as_json)
    sys.exit(code)


def _run(answer: int, *, as_json: bool) -> int:
    from osprey_executor.interfaces.cli.detach import Order
    from osprey_executor.interfaces.cli.exits import Exit, of_status
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.work import with_service
    from osprey_executor.models import PythonExecutionRequest

    os.set_inheritable(answer, False)
    order = Order.from_json(sys.stdin.buffer.read())
    request = PythonExecutionRequest(user_query=order.task, code=order.code, inputs=order.inputs)

    async def body(work: Work) -> int:
        result = await work.follow(_saying_so(work.service.stream(request), answer))
        return Exit.INTERRUPTED if result is None else of_status(result.status, result.error)

    return with_service(body, Screen.open(as_json=as_json), order.config)


async def _saying_so(events: AsyncGenerator[Event], answer: int) -> AsyncGenerator[Event]:
    """Yield the events; with the first one, say the id of the run and let go of who started it.

    Who started it may have gone away meanwhile, as by Ctrl-C: then nobody knows of the run, and it is cancelled.
    """
    begun = False
    async with aclosing(events) as stream:
        async for event in stream:
            if not begun:
                begun = True
                try:
                    os.write(answer, f"{event.run_id}\n".encode())
                except BrokenPipeError:
                    raise ExecutionCancelledError("whoever started the run has gone away") from None
                os.close(answer)
                _forget_the_streams()
            yield event


def _forget_the_streams() -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    sys.stdout.flush()
    sys.stderr.flush()
    for descriptor in range(3):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


if __name__ == "__main__":
    main()
