"""The end of a run becomes its record: last attempt promoted, notebooks, list of files, manifest."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from osprey_executor.models import Attempt, ControlSystemReport, MachineEffects, RunResult, RunStatus, Usage
from osprey_executor.results import _files
from osprey_executor.results._files import Kept
from osprey_executor.results._values import share_values
from osprey_executor.results.attempts import AttemptFolder, without_code
from osprey_executor.results.banner import Shown
from osprey_executor.results.helper import write_helper
from osprey_executor.results.manifest import AttemptEntry, FileEntry, Manifest
from osprey_executor.results.notebook import write_notebook

_NOT_LISTED = frozenset({"manifest.json", "events.jsonl", "executions"})


def finish(folder: Path, result: RunResult, *, control_system: ControlSystemReport | None = None) -> RunResult:
    """Complete the record of a run and return its result with everything where it lies now.

    Raises:
        StorageError: something cannot be written.
    """
    _files.remove_tree(folder / "executions")
    numbers = attempt_numbers(folder)
    final = numbers[-1] if numbers else None
    result = result.model_copy(update={"folder": folder, "attempts": _attempts(folder, numbers, result)})
    if final is not None:
        result = _promote(folder, final, result)
        write_helper(folder, result)
        for number in numbers:
            results = result.results if number == final else None
            shown = _shown(folder, number, result, results)
            write_notebook(folder / "attempts" / str(number) / "notebook.ipynb", shown)
        shown = Shown(run=result, code=result.code or "", attempt=final, of_attempts=len(numbers), final=True)
        write_notebook(folder / "notebook.ipynb", shown)
        result = result.model_copy(update={"notebook_path": folder / "notebook.ipynb"})
    manifest = _manifest(folder, result, final, control_system)
    _files.write_json(folder / "manifest.json", manifest.model_dump(mode="json"))
    return result


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


def _attempts(folder: Path, numbers: list[int], result: RunResult) -> tuple[Attempt, ...]:
    told = {attempt.number: attempt for attempt in result.attempts}
    attempts: list[Attempt] = []
    for number in numbers:
        kept = AttemptFolder(folder / "attempts" / str(number))
        code = kept.code().decode("utf-8", "backslashreplace")
        attempt = told.get(number) or Attempt(number=number, code=code)
        if kept.has_outcome:
            record = kept.record()
            # What was judged after the run (a missing result) stands before what the engine said.
            attempt = attempt.model_copy(
                update={"status": attempt.status or record.status, "error": attempt.error or record.error}
            )
        attempts.append(attempt.model_copy(update={"code": code, "notebook_path": kept.path / "notebook.ipynb"}))
    # Attempts without a program (a generator that failed) have no folder, but are told.
    attempts += [attempt for number, attempt in told.items() if number not in numbers]
    return tuple(sorted(attempts, key=lambda attempt: attempt.number))


def _promote(folder: Path, number: int, result: RunResult) -> RunResult:
    kept = AttemptFolder(folder / "attempts" / str(number))
    for name in ("results.json", "code.py"):
        _files.remove_file(folder / name)
    for name in ("results.blobs", "figures", "artifacts"):
        _files.remove_tree(folder / name)
    _files.share(kept.path / "code.py", folder / "code.py")
    code = kept.code().decode("utf-8", "backslashreplace")
    if not kept.has_outcome:
        empty: dict[str, Any] = {
            "results": {},
            "stdout": "",
            "stderr": "",
            "figures": (),
            "artifacts": (),
            "code": code,
        }
        return result.model_copy(update=empty)
    record, outcome = kept.record(), kept.outcome()
    if record.has_results:
        share_values(kept.path / "results.json", folder / "results.json")
    for name in (*record.figures, *record.artifacts):
        _files.share(kept.path / name, folder / name)
    return result.model_copy(
        update={
            "code": code,
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


def _shown(folder: Path, number: int, result: RunResult, results: dict[str, Any] | None) -> Shown:
    """Return what the notebook of an attempt shows; its results are read where they are not at hand already."""
    kept = AttemptFolder(folder / "attempts" / str(number))
    attempt = next(each for each in result.attempts if each.number == number)
    update: dict[str, Any] = {
        "status": attempt.status or (RunStatus.FAILED if attempt.error else result.status),
        "error": attempt.error,
        "results": {},
        "stdout": "",
        "stderr": "",
        "figures": (),
        "artifacts": (),
        "writes": (),
        "refusals": (),
        "effects": MachineEffects.NONE,
        "notes": (),
        "usage": Usage(),
    }
    if kept.has_outcome:
        record, outcome = kept.record(), kept.outcome(results)
        update |= {
            "results": outcome.results,
            "stdout": outcome.stdout,
            "stderr": outcome.stderr,
            "figures": outcome.figures,
            "artifacts": outcome.artifacts,
            "writes": record.writes,
            "refusals": record.refusals,
            "effects": record.effects,
            "notes": record.notes,
            "usage": record.usage,
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
        digest=result.digest,
        isolation=result.isolation,
        control_system=control_system,
        analysis=result.analysis,
        refusals=result.refusals,
        writes=result.writes,
        error=without_code(result.error),
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
