"""What `doctor` tries: the engine's own canaries, a write without a grant, the state folder."""

from __future__ import annotations

import stat
import tempfile
from pathlib import Path

from osprey_executor.config import Config
from osprey_executor.errors import PythonExecutorException, WriteRefused
from osprey_executor.models import Probe
from osprey_executor.pipeline.equipment import EquipmentPool

_CHANNEL = "OSPREY:EXECUTOR:DOCTOR"


async def probe(home: Path, equipment: EquipmentPool, config: Config) -> list[Probe]:
    """Return what was seen; a part that cannot be opened at all is a probe that failed."""
    seen = [_private(home)]
    try:
        parts = await equipment.of(config)
        seen += await parts.engine.probe()
    except PythonExecutorException as error:
        return [*seen, Probe(name=f"{config.execution.execution_method} engine", outcome="failed", detail=str(error))]
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
    return seen


def _private(home: Path) -> Probe:
    mode = stat.S_IMODE(home.stat().st_mode)
    others = mode & 0o077
    return Probe(
        name="state folder closed to other users",
        outcome="failed" if others else "ok",
        detail=f"{home} has mode {mode:04o}" + (f"; remedy: chmod 700 {home}" if others else ""),
    )
