"""The record of one attempt: the program as it ran, and all that came of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from osprey_executor.errors import ResultsError
from osprey_executor.models import (
    AnalysisReport,
    ErrorReport,
    IsolationReport,
    MachineEffects,
    Outcome,
    Plan,
    Reading,
    Refusal,
    RunStatus,
    Usage,
    Write,
)
from osprey_executor.results import _files, _json_files
from osprey_executor.results._names import Names, below
from osprey_executor.results._values import load_values, save_values
from osprey_executor.results.manifest import Inside
from osprey_executor.results.reads import load_reads, save_reads
from osprey_executor.text import one_line

MOST_TEXT = 2**30
"""Of code, output and documents that are read back; the engine's limits are far below."""
_MOST_NOTES = 20


class OutcomeRecord(BaseModel):
    """`outcome.json`. What is large lies in files beside it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: RunStatus
    has_results: bool = False
    effects: MachineEffects = MachineEffects.NONE
    writes: tuple[Write, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    figures: tuple[Inside, ...] = ()
    """Relative to the folder of the attempt, like the artifacts."""
    artifacts: tuple[Inside, ...] = ()
    error: ErrorReport | None = None
    notes: tuple[str, ...] = ()
    partial: bool = False
    usage: Usage = Usage()
    isolation: IsolationReport = IsolationReport()
    reads: Annotated[int, Field(ge=0)] = 0


class AttemptFolder:
    """`attempts/<number>` of a run folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def has_outcome(self) -> bool:
        """Whether the program ran and its outcome was kept."""
        return (self.path / "outcome.json").is_file()

    @property
    def rehearsal(self) -> AttemptFolder:
        """The folder of the rehearsal that asked for an approval."""
        return AttemptFolder(self.path / "rehearsal")

    def save_plan(self, plan: Plan) -> None:
        """Keep what the rehearsal of this folder would have written.

        Raises:
            StorageError: it cannot be written.
        """
        _json_files.write(self.path / "plan.json", plan.model_dump(mode="json"))

    def plan(self) -> Plan:
        """Return what the rehearsal of this folder would have written.

        Raises:
            StorageError: it cannot be read or is damaged.
        """
        path = self.path / "plan.json"
        try:
            return Plan.model_validate(_json_files.read(path, most_bytes=MOST_TEXT))
        except ValidationError as error:
            raise _files.damaged(path, "it is not a plan") from error

    def save_code(self, code: str | bytes, report: AnalysisReport | None = None) -> None:
        """Keep the program byte for byte, and what the analysis said of it.

        Raises:
            StorageError: it cannot be written.
        """
        source = code if isinstance(code, bytes) else code.encode("utf-8", "backslashreplace")
        _files.write(self.path / "code.py", source, mode=0o400)
        if report is not None:
            _json_files.write(self.path / "analysis.json", report.model_dump(mode="json"))

    def code(self) -> bytes:
        """Return the program.

        Raises:
            StorageError: it cannot be read.
        """
        return _files.read(self.path / "code.py", most_bytes=MOST_TEXT)

    def save_exchanges(self, exchanges: Sequence[tuple[str, str]]) -> None:
        """Keep what models were asked for this attempt, and what they answered.

        Raises:
            StorageError: it cannot be written.
        """
        for number, (prompt, answer) in enumerate(exchanges, 1):
            _files.write_text(self.path / "prompts" / f"{number}-prompt.md", prompt)
            _files.write_text(self.path / "prompts" / f"{number}-answer.md", answer)

    def save_outcome(
        self,
        outcome: Outcome,
        *,
        root: Path | None = None,
        reads: Sequence[Reading] = (),
        writes: Sequence[Write] = (),
        refusals: Sequence[Refusal] = (),
        effects: MachineEffects = MachineEffects.NONE,
    ) -> Outcome:
        """Keep an outcome, moving its figures and artifacts in; an earlier outcome of this attempt is replaced.

        Args:
            outcome: as the engine gave it.
            root: the folder that the engine was given, below which its artifacts are; None: only their names are kept.
            reads: what the program read, in order.
            writes: what was written.
            refusals: what was refused.
            effects: on the machine.

        Returns:
            The outcome with its files where they are now.

        Raises:
            StorageError: something cannot be written.
        """
        notes = list(outcome.notes)
        for name in ("outcome.json", "results.json"):
            _files.remove_file(self.path / name)
        _files.write_text(self.path / "stdout.txt", outcome.stdout)
        _files.write_text(self.path / "stderr.txt", outcome.stderr)
        numbered = [(path, PurePosixPath(f"figure-{n:03d}.png")) for n, path in enumerate(outcome.figures, 1)]
        figures = self._take("figures", numbered, notes)
        artifacts = self._take("artifacts", [(path, below(path, root)) for path in outcome.artifacts], notes)
        if outcome.has_results:
            try:
                save_values(self.path / "results.json", outcome.results)
            except ResultsError as error:
                notes.append(str(error))
        left_out = save_reads(self.path / "reads.jsonl", reads)
        if left_out:
            notes.append(f"{left_out} readings were too large for the record; a replay ends before them")
        kept = outcome.model_copy(
            update={
                "figures": tuple(self.path / name for name in figures),
                "artifacts": tuple(self.path / name for name in artifacts),
                "notes": tuple(notes),
            }
        )
        record = OutcomeRecord(
            status=kept.status,
            has_results=(self.path / "results.json").is_file(),
            effects=effects,
            writes=tuple(writes),
            refusals=tuple(refusals),
            figures=figures,
            artifacts=artifacts,
            error=without_code(kept.error),
            notes=kept.notes,
            partial=kept.partial,
            usage=kept.usage,
            isolation=kept.isolation,
            reads=len(reads) - left_out,
        )
        # Last: whoever finds it finds all that it names, also after a loss of power where the machine was touched.
        if effects is not MachineEffects.NONE:
            _files.make_durable(self.path)
        _json_files.write(self.path / "outcome.json", record.model_dump(mode="json"))
        if effects is not MachineEffects.NONE:
            _files.make_durable(self.path)
        return kept

    def record(self) -> OutcomeRecord:
        """Return `outcome.json`.

        Raises:
            StorageError: it cannot be read or is damaged.
        """
        path = self.path / "outcome.json"
        try:
            return OutcomeRecord.model_validate(_json_files.read(path, most_bytes=MOST_TEXT))
        except ValidationError as error:
            raise _files.damaged(path, "it is not the record of an outcome") from error

    def outcome(self, record: OutcomeRecord | None = None) -> Outcome:
        """Return the outcome with its results decoded and its files in this folder.

        Args:
            record: `outcome.json`, if it was read already.

        Raises:
            StorageError: a file cannot be read or is damaged; the message names it.
        """
        record = record or self.record()
        return Outcome(
            status=record.status,
            results=self._results(record),
            has_results=record.has_results,
            stdout=_files.read_text(self.path / "stdout.txt", most_bytes=MOST_TEXT),
            stderr=_files.read_text(self.path / "stderr.txt", most_bytes=MOST_TEXT),
            figures=tuple(self.path / name for name in record.figures),
            artifacts=tuple(self.path / name for name in record.artifacts),
            error=record.error,
            notes=record.notes,
            partial=record.partial,
            usage=record.usage,
            isolation=record.isolation,
        )

    def _results(self, record: OutcomeRecord) -> dict[str, Any]:
        return load_values(self.path / "results.json") if record.has_results else {}

    def reads(self) -> tuple[Reading, ...]:
        """Return what the program read, in order.

        Raises:
            StorageError: the record of it cannot be read or is damaged.
        """
        return load_reads(self.path / "reads.jsonl")

    def _take(self, kind: str, files: Sequence[tuple[Path, PurePosixPath]], notes: list[str]) -> tuple[str, ...]:
        _files.remove_tree(self.path / kind)
        names = Names()
        taken: list[str] = []
        lost: list[str] = []
        for source, wanted in files:
            name = str(PurePosixPath(kind) / names.keep(wanted))
            try:
                _files.move(source, self.path / name)
            except OSError as error:
                lost.append(f"{one_line(str(wanted), 100)} was left out: {_files.cause_of(error)}")
            else:
                taken.append(name)
        notes += lost[:_MOST_NOTES]
        if len(lost) > _MOST_NOTES:
            notes.append(f"{len(lost) - _MOST_NOTES} more {kind} were left out")
        return tuple(taken)


def without_code(error: ErrorReport | None) -> ErrorReport | None:
    """Return the report without the program, which has its own file."""
    return error.model_copy(update={"code": None}) if error else None
