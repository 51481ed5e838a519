"""The magic `osprey`: runs a cell, shows its card or its result, and decides in the next cell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from IPython.core.error import UsageError

from osprey_executor.errors import InvalidDecision, InvalidRequestError, PythonExecutorException
from osprey_executor.interfaces.notebook.order import USAGE, Order, order_of
from osprey_executor.interfaces.notebook.shown import show_card, show_result
from osprey_executor.interfaces.notebook.worker import Worker
from osprey_executor.models import ApprovalCard, Approve, Decision, Edit, PythonExecutionRequest, Reject, RunStatus

_LEAST_DIGITS = 8


class Osprey:
    """The magic of one notebook. It remembers the last run, which decisions are about."""

    def __init__(self, shell: Any) -> None:
        """Work in a shell of IPython, whose types are partly unknown."""
        self._names: dict[str, Any] = shell.user_ns
        self._workers: dict[Path | None, Worker] = {}
        self._last: tuple[str, Order] | None = None
        """Id of the last run, and what asked for it."""

    def __call__(self, line: str, cell: str | None = None) -> None:
        """Do what a line and its cell ask for."""
        try:
            order = order_of(line)
            if order.decision is not None:
                self._decide(order, cell)
            else:
                self._run(order, cell)
        except PythonExecutorException as error:
            # Without a traceback, and yet an error: "run all" must not go on with what is not there.
            raise UsageError(f"{type(error).__name__}: {error}") from None

    def close(self) -> None:
        """Close what is open."""
        for worker in self._workers.values():
            worker.close()
        self._workers.clear()

    def _run(self, order: Order, cell: str | None) -> None:
        self._names.pop(order.into, None)  # what an earlier run left must not pass for this one's
        task = " ".join(order.words)
        if order.code:
            request = PythonExecutionRequest(
                user_query=task or "a cell of a notebook", code=cell or "", capability_context_data=self._context(order)
            )
        else:
            words = "\n".join(part for part in (task, (cell or "").strip()) if part)
            if not words:
                raise InvalidRequestError(f"say what to do:\n{USAGE}")
            request = PythonExecutionRequest(user_query=words, capability_context_data=self._context(order))
        worker = self._worker(order.config)
        run = worker.do(worker.service.begin(request))
        self._follow(worker, run.run_id, order)

    def _decide(self, order: Order, cell: str | None) -> None:
        if self._last is None:
            raise InvalidRequestError("nothing was run in this notebook yet")
        run_id, earlier = self._last
        worker = self._worker(earlier.config)
        if order.decision != "show":
            decision = _decision(order, cell, worker.do(worker.service.card(run_id)))
            worker.do(worker.service.begin_decision(run_id, decision))
        self._follow(worker, run_id, earlier)

    def _follow(self, worker: Worker, run_id: str, order: Order) -> None:
        """Wait until a run ends or waits for a person, and show that."""
        self._last = run_id, order
        try:
            result = worker.do(_ended(worker, run_id))
        except KeyboardInterrupt:
            result = worker.do(worker.service.cancel(run_id))
        self._names["osprey_run"] = result
        if result.status is RunStatus.AWAITING_APPROVAL:
            show_card(worker.do(worker.service.card(run_id)))
            return
        show_result(result)
        if result.status is RunStatus.SUCCEEDED:
            self._names[order.into] = result.results
        else:
            result.raise_for_status()

    def _context(self, order: Order) -> dict[str, Any]:
        missing = [name for name in order.context if name not in self._names]
        if missing:
            raise InvalidRequestError(f"--context: the notebook has no {', '.join(missing)}")
        return {name: self._names[name] for name in order.context}

    def _worker(self, config: Path | None) -> Worker:
        if config not in self._workers:
            self._workers[config] = Worker(config)
        return self._workers[config]


async def _ended(worker: Worker, run_id: str) -> Any:
    async for event in worker.service.watch(run_id):
        if event.kind == "finished":
            return event.result
    raise asyncio.CancelledError


def _decision(order: Order, cell: str | None, card: ApprovalCard) -> Decision:
    if order.decision == "edit":
        return Edit(cell or "")
    if order.decision == "reject":
        return Reject(" ".join(order.words[1:]))
    digits = order.words[1].lower() if len(order.words) == 2 else ""
    found = [digest for digest in card.digests if len(digits) >= _LEAST_DIGITS and digest.startswith(digits)]
    if len(found) != 1:
        raise InvalidDecision(
            f"approve with the first {_LEAST_DIGITS} digits, at least, of a digest on the card that run {card.run_id} "
            f"waits with: %osprey approve {card.digest[:12]}"
        )
    return Approve(found[0])


def register(shell: Any) -> Callable[[], None]:
    """Let a notebook have the magic; return what takes it away."""
    osprey = Osprey(shell)
    shell.register_magic_function(osprey, magic_kind="line_cell", magic_name="osprey")

    def remove() -> None:
        osprey.close()
        for kind in ("line", "cell"):
            shell.magics_manager.magics[kind].pop("osprey", None)

    return remove
