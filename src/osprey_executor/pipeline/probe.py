"""What `doctor` tries: the engine's own canaries, a write without a grant, gateways, the state folder."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from osprey_executor.access import Approvers
from osprey_executor.config import Config
from osprey_executor.errors import PythonExecutorException, WriteRefused
from osprey_executor.models import LimitsReport, Probe
from osprey_executor.pipeline.equipment import EquipmentPool
from osprey_executor.pipeline.gateway_probe import probe_gateways

_CHANNEL = "OSPREY:EXECUTOR:DOCTOR"


async def probe(home: Path, equipment: EquipmentPool, config: Config, approvers: Approvers) -> list[Probe]:
    """Return what was seen; a part that cannot be opened at all is a probe that failed."""
    seen = [_private(home)]
    try:
        parts = await equipment.of(config)
        seen += await parts.engine.probe()
    except PythonExecutorException as error:
        return [*seen, Probe(name=f"{config.execution.execution_method} engine", outcome="failed", detail=str(error))]
    seen.append(_switch(await parts.broker.stopped()))
    if config.audit.heads is not None:
        seen.append(_heads(config.audit.heads))
    if words := approvers.words(parts.broker.report):
        outcome = "unavailable" if words.startswith("advisory") else "ok"
        seen.append(Probe(name="approval by something that programs lack", outcome=outcome, detail=words))
    if (limits := parts.broker.limits()) is not None:
        seen.append(_limits(limits.report))
    with tempfile.TemporaryDirectory() as folder:
        session = parts.broker.session(run_id="doctor", permit=None, journal=Path(folder) / "journal.jsonl")
        name = "write to a channel without an approval"
        try:
            await session.write({_CHANNEL: 1.0})
        except WriteRefused as refused:
            seen.append(Probe(name=name, outcome="ok", detail=str(refused)))
        except PythonExecutorException as error:
            seen.append(Probe(name=name, outcome="failed", detail=f"not refused, but: {error}"))
        else:
            seen.append(Probe(name=name, outcome="failed", detail="the broker let it through"))
        seen += await probe_gateways(config, parts, session)
    return seen


def _heads(heads: Path) -> Probe:
    name = "heads of the audit trail"
    try:
        os.close(os.open(heads, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644))
    except OSError as error:
        detail = f"{heads} cannot be appended to ({error.strerror}), so nothing outside vouches for what happens"
        return Probe(name=name, outcome="failed", detail=detail)
    return Probe(name=name, outcome="ok", detail=f"{heads} can be appended to")


def _switch(stopped: str | None) -> Probe:
    name = "kill switch"
    if stopped is None:
        return Probe(name=name, outcome="ok", detail="off, and it can be looked at")
    remedy = "`osprey-executor allow-writes` takes that of the state folder back"
    return Probe(name=name, outcome="failed", detail=f"it is on, so nothing is written: {stopped}; {remedy}")


def _limits(report: LimitsReport) -> Probe:
    name = "limits database"
    if report.problem is not None:
        detail = f"nothing is written, as it cannot be used: {report.problem}"
        return Probe(name=name, outcome="failed", detail=detail)
    return Probe(name=name, outcome="ok", detail=f"{report.path}: {report.counted}")


def _private(home: Path) -> Probe:
    """Look at the state folder as another user would: nothing of it may be read, and nothing put into it."""
    open_to_others = [path for path in home.iterdir() if stat.S_IMODE(path.lstat().st_mode) & 0o077]
    mode = stat.S_IMODE(home.stat().st_mode)
    if mode & 0o022:
        remedy = f"others may write to {home} (mode {mode:04o}); remedy: chmod go-w {home}"
    elif open_to_others and mode & 0o011:
        remedy = f"others may open {open_to_others[0]}; remedy: chmod -R go= {home}"
    else:
        return Probe(name="state folder closed to others", outcome="ok", detail=f"{home} has mode {mode:04o}")
    return Probe(name="state folder closed to others", outcome="failed", detail=remedy)
