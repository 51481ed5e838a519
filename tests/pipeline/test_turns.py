"""A bounded number of programs at once, a bounded queue, first come, first served; a person takes no place."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from osprey_executor import Approve, PythonExecutorService, Reject, RunStatus
from osprey_executor.errors import ErrorCategory, ExecutionCancelledError, ServiceBusyError
from osprey_executor.models import ApprovalCard, MachineEffects
from osprey_executor.models.events import Event, Finished, Output, Queued
from osprey_executor.storage import RunStore

from .conftest import WRITE, OpenService, own

HOLD = "import time\nprint('up', flush=True)\ntime.sleep(100)"


@pytest.fixture
async def one(open_service: OpenService) -> AsyncGenerator[PythonExecutorService]:
    """A service that runs one program at a time and lets one more wait."""
    async with open_service(execution__max_concurrent_runs=1, execution__max_queued_runs=1) as opened:
        yield opened


class Follower:
    """A run that is followed in a task of its own."""

    def __init__(self, service: PythonExecutorService, code: str) -> None:
        self.events: list[Event] = []
        self._came = asyncio.Condition()
        self.task = asyncio.create_task(self._follow(service, code))

    @property
    def run_id(self) -> str:
        return self.events[0].run_id

    async def _follow(self, service: PythonExecutorService, code: str) -> RunStatus:
        async for event in service.stream(own(code)):
            async with self._came:
                self.events.append(event)
                self._came.notify_all()
        assert isinstance(self.events[-1], Finished)
        return self.events[-1].result.status

    async def until(self, kind: type[object]) -> None:
        async with self._came:
            await self._came.wait_for(lambda: any(isinstance(event, kind) for event in self.events))

    async def stop(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


async def test_one_beyond_waits_and_one_beyond_that_is_refused_before_anything_is_begun(
    one: PythonExecutorService,
) -> None:
    first = Follower(one, HOLD)
    await first.until(Output)
    second = Follower(one, "results = {'x': 1}")
    await second.until(Queued)
    with pytest.raises(ServiceBusyError, match="max_queued_runs") as refused:
        await one.run(own("pass"))
    assert refused.value.category is ErrorCategory.INFRASTRUCTURE
    assert len(await one.runs()) == 2
    assert not any(getattr(event, "stage", None) == "execution" for event in second.events)
    await one.cancel(first.run_id)
    assert await second.task is RunStatus.SUCCEEDED
    kinds = [event.kind for event in second.events]
    assert kinds.index("queued") < kinds.index("finished")
    assert (await one.run(own("pass"))).status is RunStatus.SUCCEEDED
    await first.stop()


async def test_the_queue_is_no_part_of_the_time_limit(open_service: OpenService) -> None:
    async with open_service(execution__max_concurrent_runs=1, execution__timeout=5) as service:
        slow = own("import time\ntime.sleep(2.6)")
        results = await asyncio.gather(*(service.run(slow) for _ in range(3)))
    assert [result.status for result in results] == [RunStatus.SUCCEEDED] * 3
    # Those that waited longest waited longer than they were allowed to run.
    assert max(result.timings.waiting for result in results) > 5


async def test_first_come_first_served(open_service: OpenService) -> None:
    async with open_service(execution__max_concurrent_runs=1) as service:
        first = Follower(service, HOLD)
        await first.until(Output)
        order: list[str] = []
        waiting: list[Follower] = []
        for name in "abcd":
            follower = Follower(service, "pass")
            await follower.until(Queued)
            follower.task.add_done_callback(lambda _, name=name: order.append(name))
            waiting.append(follower)
        await service.cancel(first.run_id)
        await asyncio.gather(*(follower.task for follower in waiting))
        await asyncio.sleep(0)
        await first.stop()
    assert order == list("abcd")


async def test_runs_begun_at_once_have_names_of_their_own(
    open_service: OpenService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The four digits of an id are few: among a hundred runs of one second two take the same ones."""
    tokens = iter(["aaaa", "aaaa", "aaaa", "bbbb", "cccc"])
    monkeypatch.setattr("osprey_executor.pipeline.executor._new_run_id", lambda: f"20261123-151200-{next(tokens)}")
    async with open_service() as service:
        results = await asyncio.gather(*(service.run(own("pass")) for _ in range(3)))
    assert {result.run_id[-4:] for result in results} == {"aaaa", "bbbb", "cccc"}
    assert {result.status for result in results} == {RunStatus.SUCCEEDED}


async def test_a_queued_run_can_be_cancelled(one: PythonExecutorService) -> None:
    first = Follower(one, HOLD)
    await first.until(Output)
    second = Follower(one, "pass")
    await second.until(Queued)
    cancelled = await one.cancel(second.run_id)
    assert (cancelled.status, [attempt.status for attempt in cancelled.attempts]) == (RunStatus.CANCELLED, [None])
    assert await second.task is RunStatus.CANCELLED
    third = Follower(one, "pass")
    await third.until(Queued)
    await third.stop()
    assert [run.state for run in await one.runs()] == ["cancelled", "cancelled", "running"]
    await first.stop()


async def test_a_wait_for_a_person_takes_no_place(one: PythonExecutorService) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def decide(card: ApprovalCard) -> Approve:
        asked.set()
        await answer.wait()
        return Approve(card.digest)

    programs = [WRITE, WRITE.replace("MAG:1:SP", "MAG:2:SP")]
    waiting = [asyncio.create_task(one.run(own(code), decide=decide)) for code in programs]
    await asked.wait()
    left = await one.run(own(WRITE))
    assert (await one.run(own("pass"))).status is RunStatus.SUCCEEDED
    first = Follower(one, HOLD)
    await first.until(Output)
    second = Follower(one, HOLD)
    await second.until(Queued)
    # An approval would need the engine: nothing is decided. A person can always say no.
    with pytest.raises(ServiceBusyError):
        await one.decide(left.run_id, Approve(left.digest or ""))
    assert (await one.decide(left.run_id, Reject("not now"))).status is RunStatus.REJECTED
    await second.stop()
    await first.stop()
    answer.set()
    assert [result.status for result in await asyncio.gather(*waiting)] == [RunStatus.SUCCEEDED] * 2


async def test_a_replay_waits_for_its_turn_too(one: PythonExecutorService) -> None:
    result = await one.run(own("results = {'x': 1}"))
    first = Follower(one, HOLD)
    await first.until(Output)
    replay = asyncio.create_task(one.replay(result.run_id))
    await asyncio.sleep(0)
    with pytest.raises(ServiceBusyError):
        await one.run(own("pass"))
    await first.stop()
    assert (await replay).results == {"x": 1}


async def test_an_approval_is_redeemed_at_its_turn_and_not_before(one: PythonExecutorService, home: Path) -> None:
    left = await one.run(own(WRITE))
    first = Follower(one, HOLD)
    await first.until(Output)
    approved = asyncio.create_task(one.decide(left.run_id, Approve(left.digest or "")))
    await _told(home / "runs" / left.run_id / "events.jsonl", '"queued"')
    async with RunStore.open(home) as store:
        assert await store.decided(left.run_id) is not None
        assert await store.unfinished_execution(left.run_id) is None
    await one.cancel(first.run_id)
    assert (await approved).effects is MachineEffects.WRITTEN
    await first.stop()


async def _told(log: Path, what: str) -> None:
    while what not in await asyncio.to_thread(log.read_text):
        await asyncio.sleep(0.05)


async def test_a_service_that_is_closed_ends_its_runs_and_says_so(open_service: OpenService, home: Path) -> None:
    """One executes, one waits for its turn, one for a person; one is cancelled by its own caller at the same time."""
    asked, undecided = asyncio.Event(), asyncio.Event()

    async def decide(card: ApprovalCard) -> Approve:
        asked.set()
        await undecided.wait()
        return Approve(card.digest)

    async with open_service(execution__max_concurrent_runs=1, execution__max_queued_runs=5) as service:
        waiting = asyncio.create_task(service.run(own(WRITE), decide=decide))
        await asyncio.wait_for(asked.wait(), 20)
        executing, queued, given_up = (asyncio.create_task(service.run(own(HOLD))) for _ in range(3))
        await asyncio.sleep(0.7)  # by then one of them executes
        given_up.cancel()
    tasks = (waiting, executing, queued, given_up)
    ended = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)
    assert [type(error) for error in ended] == [ExecutionCancelledError] * 3 + [asyncio.CancelledError]
    assert "the service was closed" in str(ended[0])
    async with RunStore.open(home) as store:
        assert {run.state for run in await store.summaries()} == {RunStatus.CANCELLED}
