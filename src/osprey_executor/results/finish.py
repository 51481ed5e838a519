"""The end of a run becomes its record: last attempt promoted, notebooks, list of files, manifest."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osprey_executor.models import (
    Attempt,
    ControlSystemReport,
    MachineEffects,
    Outcome,
    RunResult,
    RunStatus,
    Usage,
)
from osprey_executor.results import _files, _json_files
from osprey_executor.results._files import Kept
from osprey_executor.results._values import share_values
from osprey_executor.results.attempts import AttemptFolder, OutcomeRecord, without_code
from osprey_executor.results.banner import Shown
from osprey_executor.results.helper import write_helper
from osprey_executor.results.manifest import AttemptEntry, FileEntry, Manifest
from osprey_executor.results.notebook import write_notebook

_NOT_LISTED = frozenset({"manifest.json", "events.jsonl", "executions"})


@dataclass(frozen=True)
class _Kept:
    """What lies in the folder of one attempt, read once."""

    folder: AttemptFolder
    code: str
    record: OutcomeRecord | None
    """None: it never ran, and has no outcome."""
    outcome: Outcome | None


def finish(folder: Path, result: RunResult, *, control_system: ControlSystemReport | None = None) -> RunResult:
    """Complete the record of a run and return its result with everything where it lies now.

    The record of a run that touched the machine outlives a loss of power, too.

    Raises:
        StorageError: something cannot be written.
    """
    _files.remove_tree(folder / "executions")
    kept = {number: _read(folder, number) for number in attempt_numbers(folder)}
    final = max(kept, default=None)
    result = result.model_copy(update={"folder": folder, "attempts": _attempts(kept, result)})
    if final is not None:
        result = _promote(folder, kept[final], result)
        write_helper(folder, result)
        for number, attempt in kept.items():
            write_notebook(attempt.folder.path / "notebook.ipynb", _shown(number, attempt, result))
        shown = Shown(run=result, code=result.code or "", attempt=final, of_attempts=len(kept), final=True)
        write_notebook(folder / "notebook.ipynb", shown)
        result = result.model_copy(update={"notebook_path": folder / "notebook.ipynb"})
    manifest = _manifest(folder, result, final, control_system)
    durable = result.effects is not MachineEffects.NONE
    if durable:  # before the manifest, which says that the record is complete
        _files.make_durable(folder)
    _json_files.write(folder / "manifest.json", manifest.model_dump(mode="json"))
    if durable:
        _files.make_durable(folder)
    return result


def _read(folder: Path, number: int) -> _Kept:
    kept = AttemptFolder(folder / "attempts" / str(number))
    record = kept.record() if kept.has_outcome else None
    return _Kept(
        folder=kept,
        code=kept.code().decode("utf-8", "backslashreplace"),
        record=record,
        outcome=kept.outcome(record) if record else None,
    )


def attempt_numbers(folder: Path) -> list[int]:
    """Return the numbers of the attempts that have a program, in order."""
    try:
        names = [path.name for path in (folder / "attempts").iterdir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _files.storage_error(folder / "attempts", "read", error) from error
    numbers = sorted(int(name) for name in names if name.isascii() and name.isdigit())
    return [number for number in numbers if (folder / "attempts" / str(number) / "code.py").is_file()]


def _attempts(kept: Mapping[int, _Kept], result: RunResult) -> tuple[Attempt, ...]:
    told = {attempt.number: attempt for attempt in result.attempts}
    attempts: list[Attempt] = []
    for number, each in kept.items():
        attempt = told.get(number) or Attempt(number=number, code=each.code)
        if each.record:
            # What was judged after the run (a missing result) stands before what the engine said.
            attempt = attempt.model_copy(
                update={"status": attempt.status or each.record.status, "error": attempt.error or each.record.error}
            )
        notebook = each.folder.path / "notebook.ipynb"
        attempts.append(attempt.model_copy(update={"code": each.code, "notebook_path": notebook}))
    # Attempts without a program (a generator that failed) have no folder, but are told.
    attempts += [attempt for number, attempt in told.items() if number not in kept]
    return tuple(sorted(attempts, key=lambda attempt: attempt.number))


def _promote(folder: Path, kept: _Kept, result: RunResult) -> RunResult:
    place, record, outcome = kept.folder.path, kept.record, kept.outcome
    for name in ("results.json", "code.py"):
        _files.remove_file(folder / name)
    for name in ("results.blobs", "figures", "artifacts"):
        _files.remove_tree(folder / name)
    _files.share(place / "code.py", folder / "code.py")
    error = result.error.model_copy(update={"code": kept.code}) if result.error else None
    result = result.model_copy(update={"code": kept.code, "error": error})
    if record is None or outcome is None:
        empty: dict[str, Any] = {"results": {}, "stdout": "", "stderr": "", "figures": (), "artifacts": ()}
        return result.model_copy(update=empty)
    if record.has_results:
        share_values(place / "results.json", folder / "results.json")
    for name in (*record.figures, *record.artifacts):
        _files.share(place / name, folder / name)
    return result.model_copy(
        update={
            "results": outcome.results,
            "stdout": outcome.stdout,
            "stderr": outcome.stderr,
            "figures": tuple(folder / name for name in record.figures),
            "artifacts": tuple(folder / name for name in record.artifacts),
            "writes": result.writes or record.writes,
            "refusals": result.refusals or record.refusals,
            "notes": tuple(dict.fromkeys((*result.notes, *record.notes))),
            "partial": result.partial or record.partial,
            "usage": record.usage if result.usage == Usage() else result.usage,
        }
    )


def _shown(number: int, kept: _Kept, result: RunResult) -> Shown:
    attempt = next(each for each in result.attempts if each.number == number)
    record, outcome = kept.record, kept.outcome
    update: dict[str, Any] = {
        "status": attempt.status or (RunStatus.FAILED if attempt.error else result.status),
        "error": attempt.error,
        "results": outcome.results if outcome else {},
        "stdout": outcome.stdout if outcome else "",
        "stderr": outcome.stderr if outcome else "",
        "figures": outcome.figures if outcome else (),
        "artifacts": outcome.artifacts if outcome else (),
        "writes": record.writes if record else (),
        "refusals": record.refusals if record else (),
        "effects": record.effects if record else MachineEffects.NONE,
        "notes": record.notes if record else (),
        "usage": record.usage if record else Usage(),
    }
    return Shown(
        run=result.model_copy(update=update),
        code=attempt.code,
        attempt=number,
        of_attempts=len(result.attempts),
        final=False,
    )


def _manifest(
    folder: Path, result: RunResult, final: int | None, control_system: ControlSystemReport | None
) -> Manifest:
    def inside(path: Path | None) -> str | None:
        return str(path.relative_to(folder)) if path else None

    attempts = tuple(
        AttemptEntry(
            number=attempt.number,
            status=attempt.status,
            error=without_code(attempt.error),
            generation=attempt.generation,
            notebook=inside(attempt.notebook_path),
        )
        for attempt in result.attempts
    )
    return Manifest(
        run_id=result.run_id,
        task=result.task,
        requester=result.requester,
        generator=result.generator,
        status=result.status,
        effects=result.effects,
        approver=result.approver,
        proof=result.proof,
        digest=result.digest,
        isolation=result.isolation,
        control_system=control_system,
        analysis=result.analysis,
        refusals=result.refusals,
        writes=result.writes,
        error=without_code(result.error),
        memory=result.memory,
        notes=result.notes,
        partial=result.partial,
        usage=result.usage,
        timings=result.timings,
        created_at=result.created_at,
        finished_at=result.finished_at,
        attempts=attempts,
        final_attempt=final,
        figures=tuple(str(path.relative_to(folder)) for path in result.figures),
        artifacts=tuple(str(path.relative_to(folder)) for path in result.artifacts),
        notebook=inside(result.notebook_path),
        files=tuple(_listed(folder)),
    )


def _listed(folder: Path) -> Iterator[FileEntry]:
    known: dict[tuple[int, int], Kept] = {}
    for path in _walk(folder):
        try:
            state = path.lstat()
        except OSError as error:
            raise _files.storage_error(path, "read", error) from error
        if not stat.S_ISREG(state.st_mode):
            continue
        # A file with two names is read once.
        name = (state.st_dev, state.st_ino)
        if name not in known:
            known[name] = _files.digest_of_file(path)
        yield FileEntry(path=str(path.relative_to(folder)), size=known[name].size, sha256=known[name].sha256)


def _walk(folder: Path) -> Iterator[Path]:
    for place, names, files in os.walk(folder):
        here = Path(place)
        if here == folder:
            names[:] = [name for name in names if name not in _NOT_LISTED]
            files = [name for name in files if name not in _NOT_LISTED and not name.endswith(".lock")]
        names.sort()
        yield from (here / name for name in sorted(files) if not _files.is_unfinished(name))
