"""A service of the same shape as the real one, so that what the terminal shows is tested without a sandbox.

The task says what happens: `write` asks a person, `hang` goes on for ever, `fail` fails, `settled` is decided by
somebody else after a moment.
"""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import AsyncGenerator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from osprey_executor.errors import InvalidDecision, InvalidRequestError, RunNotFoundError
from osprey_executor.models import (
    ApprovalCard,
    Approve,
    Attempt,
    ControlSystemReport,
    Decision,
    Edit,
    Effect,
    ErrorReport,
    Finding,
    IsolationReport,
    MachineEffects,
    Outcome,
    Probe,
    PythonExecutionRequest,
    Reject,
    RunResult,
    RunStatus,
    RunSummary,
    Settled,
    Settlement,
    Severity,
    Stage,
    Timings,
    Unsettled,
    Usage,
    Verdict,
    Write,
    WriteTarget,
)
from osprey_executor.models.events import (
    ApprovalRequested,
    AttemptFailed,
    Event,
    Finished,
    Output,
    Progress,
    StageStarted,
)

RUN = "20261123-151200-3f9a"
DIGEST = "ab" * 32
CODE = """\
from osprey_executor import runtime

for step in range(3):
    runtime.write_channel('SR:HCM:01:SP', 0.1 * step)
"""
FOLDER = Path("/tmp/osprey-executor/runs") / RUN
ISOLATION = IsolationReport(level="full", engine="local", proven=True, mechanisms=("namespaces", "seccomp"))


def card(code: str = CODE, digest: str = DIGEST) -> ApprovalCard:
    now = datetime.now(UTC)
    return ApprovalCard(
        run_id=RUN,
        digest=digest,
        headline="Writes to SR:HCM:01:SP on a virtual accelerator",
        requester="operator",
        task="measure the orbit response",
        generator="mock (scripted)",
        code=code,
        findings=(
            Finding(
                rule="control/runtime-write",
                line=4,
                column=5,
                severity=Severity.WARNING,
                effect=Effect.CONTROL_WRITE,
                message="writes to the control system",
            ),
        ),
        effects=frozenset({Effect.CONTROL_WRITE}),
        verdict=Verdict.ASK,
        reason="it writes to the control system",
        writes=(WriteTarget(channel="SR:HCM:01:SP", value="0.1 * step", line=4),),
        isolation=ISOLATION,
        control_system=ControlSystemReport(type="simulator", writes_enabled=True),
        unknowns=("which values it will write",),
        created_at=now,
        expires_at=now + timedelta(hours=24),
    )


def result(status: RunStatus, **more: Any) -> RunResult:
    fields: dict[str, Any] = {
        "run_id": RUN,
        "status": status,
        "task": "measure the orbit response",
        "requester": "operator",
        "folder": FOLDER,
        "code": CODE,
        "generator": "mock (scripted)",
        "isolation": ISOLATION,
        "timings": Timings(total=12.34),
        "created_at": datetime.now(UTC) - timedelta(minutes=5),
        "digest": DIGEST,
    }
    return RunResult(**(fields | more))


def success(**more: Any) -> RunResult:
    return result(
        RunStatus.SUCCEEDED,
        effects=MachineEffects.WRITTEN,
        writes=tuple(Write(channel="SR:HCM:01:SP", value=str(step), confirmed=True) for step in range(3)),
        results={"rms_x_before_um": 466.0, "rms_x_after_um": 177.25, "note": "done\x1b[2J"},
        stdout="step 1\n",
        figures=(FOLDER / "figures/figure-001.png",),
        notebook_path=FOLDER / "notebook.ipynb",
        attempts=(Attempt(number=1, code=CODE, status=RunStatus.SUCCEEDED),),
        **more,
    )


def failure() -> RunResult:
    return result(
        RunStatus.FAILED,
        error=ErrorReport(
            stage=Stage.EXECUTION,
            type="ZeroDivisionError",
            message="division by zero",
            line=2,
            source_line="    1 / 0",
            traceback='  File "code.py", line 7, in <module>\n    f()\n  File "code.py", line 2, in f\n    1 / 0\nZero',
        ),
    )


IN_THE_WAY = ("writes are stopped by \x1b[31mann",)


class FakeService:
    config: Any = None
    log: Path | None = None

    @classmethod
    def from_config(cls, config: Any = None) -> Self:
        made = cls()
        made.config = config
        return made

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def stream(
        self,
        request: PythonExecutionRequest,
        *,
        decide: Any = None,
        approver: str | None = None,
        credential: Any = None,
    ) -> AsyncGenerator[Event]:
        task = os.environ.get("FAKE_TASK", request.user_query)
        yield StageStarted(run_id=RUN, stage=Stage.GENERATION, attempt=1)
        if task == "broken":
            raise ZeroDivisionError("a bug of ours")
        if task == "retry":
            yield AttemptFailed(run_id=RUN, error=failure().error, attempt=1)  # type: ignore[arg-type]
            yield StageStarted(run_id=RUN, stage=Stage.GENERATION, attempt=2)
        yield StageStarted(run_id=RUN, stage=Stage.ANALYSIS, attempt=1)
        shown = card()
        while task in ("write", "settled"):
            yield ApprovalRequested(run_id=RUN, card=shown)
            decision = await self._decided(shown, decide, settled=task == "settled")
            if self.log:
                self.log.write_text(repr(decision))
            if decision is None:
                yield Finished(run_id=RUN, result=result(RunStatus.AWAITING_APPROVAL))
                return
            if isinstance(decision, Edit):
                shown = card(decision.code, "cd" * 32)
                continue
            async for event in self._go_on(decision, approver or "operator"):
                yield event
            return
        async for event in self._executed(task, approver):
            yield event

    async def decide_stream(self, run_id: str, decision: Decision, *, credential: Any = None) -> AsyncGenerator[Event]:
        if isinstance(decision, Approve) and decision.digest != DIGEST:
            raise InvalidDecision("the digest is not that of the card that waits")
        if isinstance(decision, Edit):
            yield Finished(run_id=RUN, result=result(RunStatus.AWAITING_APPROVAL, digest="cd" * 32, code=decision.code))
            return
        async for event in self._go_on(decision, "operator"):
            yield event

    async def pending(self) -> list[ApprovalCard]:
        return [card()]

    async def in_the_way(self, card: ApprovalCard) -> tuple[str, ...]:
        return IN_THE_WAY

    async def card(self, run_id: str) -> ApprovalCard:
        if not RUN.startswith(run_id):
            raise RunNotFoundError(f"there is no run {run_id}")
        return card()

    async def runs(self, limit: int = 50) -> list[RunSummary]:
        now = datetime.now(UTC)
        many = [(status.value, "measure \x1b[31mthe orbit") for status in RunStatus] + [("running", "x" * 200)]
        return [
            RunSummary(
                run_id=f"{RUN[:-1]}{n}",
                state=state,
                task=task,
                created_at=now - timedelta(minutes=n * 50),
                folder=FOLDER,
            )
            for n, (state, task) in enumerate(many)
        ][:limit]

    async def result(self, run_id: str) -> RunResult:
        if not RUN.startswith(run_id):
            raise RunNotFoundError(f"there is no run {run_id}")
        return result(RunStatus.AWAITING_APPROVAL)

    async def cancel(self, run_id: str) -> RunResult:
        if self.log:
            self.log.write_text("cancelled")
        return result(RunStatus.CANCELLED)

    async def replay(self, run_id: str) -> Outcome:
        return Outcome(
            status=RunStatus.SUCCEEDED,
            results={"x": 1},
            has_results=True,
            usage=Usage(wall_seconds=1.5),
            isolation=ISOLATION,
        )

    async def unsettled(self, run_id: str) -> Settlement:
        if not RUN.startswith(run_id):
            return Settlement(run_id=run_id, effects=MachineEffects.WRITTEN)
        lost = Unsettled(
            number=1,
            run_id=RUN,
            machine="epics 127.0.0.1",
            channel="SR:HCM:01:SP",
            previous="0.1",
            value="0.2",
            since=datetime.now(UTC) - timedelta(minutes=50),
            present="0.2",
            outcome=Settled.WRITTEN,
        )
        away = {
            "number": 2,
            "channel": "SR:\x1b[2J:SP",
            "present": None,
            "unreadable": "no\x1b[1m answer",
            "previous": None,
        }
        gone = lost.model_copy(update={**away, "outcome": Settled.UNKNOWN})
        return Settlement(run_id=RUN, writes=(lost, gone))

    async def settle(self, seen: Settlement, *, credential: Any = None) -> Settlement:
        if self.log:
            self.log.write_text("settled")
        return seen.model_copy(update={"by": "operator", "at": datetime.now(UTC), "effects": MachineEffects.WRITTEN})

    async def watch(self, run_id: str) -> AsyncGenerator[Event]:
        if not RUN.startswith(run_id):
            raise InvalidRequestError(f"there is no run {run_id}")
        async for event in self._executed("ok", None):
            yield event

    async def doctor(self) -> list[Probe]:
        return [
            Probe(name="read a host file", outcome="ok", detail="[Errno 2] No such file or directory: '/etc/shadow'"),
            Probe(name="open a TCP connection", outcome="ok", detail="[Errno 101] Network is unreachable"),
            Probe(
                name="limit memory with a cgroup",
                outcome="unavailable",
                detail="no systemd user session; rlimits are used",
            ),
            *([Probe(name="trace another process", outcome="failed", detail="ptrace answered")] if self.config else []),
        ]

    async def _decided(self, shown: ApprovalCard, decide: Any, *, settled: bool) -> Decision | None:
        if decide is None:
            return None

        async def ask() -> Decision | None:
            answer = decide(shown)
            return await answer if inspect.isawaitable(answer) else answer

        asked = asyncio.create_task(ask())
        try:
            await asyncio.wait({asked}, timeout=1.0 if settled else None)
        finally:
            if not asked.done():
                asked.cancel("carol approved it in another process")
                with suppress(asyncio.CancelledError):
                    await asked
        return Approve(shown.digest) if settled else asked.result()

    async def _go_on(self, decision: Decision, by: str) -> AsyncGenerator[Event]:
        if isinstance(decision, Reject):
            error = ErrorReport(
                stage=Stage.APPROVAL, type="ExecutionRejectedError", message=f"rejected by {by}: {decision.reason}"
            )
            yield Finished(run_id=RUN, result=result(RunStatus.REJECTED, approver=by, error=error))
            return
        async for event in self._executed("ok", by):
            yield event

    async def _executed(self, task: str, by: str | None) -> AsyncGenerator[Event]:
        yield StageStarted(run_id=RUN, stage=Stage.EXECUTION, attempt=1)
        yield Output(run_id=RUN, stream="stdout", text="measuring the response \x1b[2J of\n16 correctors")
        for step in range(5):
            yield Progress(run_id=RUN, fraction=step / 4, message=f"corrector {step} of 4")
            await asyncio.sleep(0.05)
        yield Output(run_id=RUN, stream="stderr", text="a warning\n")
        while task == "hang":
            await asyncio.sleep(1)
        yield StageStarted(run_id=RUN, stage=Stage.COLLECTION, attempt=1)
        yield Finished(run_id=RUN, result=failure() if task == "fail" else success(approver=by))
