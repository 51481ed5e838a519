"""The folder of a run: `<home>/runs/<run_id>`. All that is known of a run lies here, readable without this package."""

from __future__ import annotations

from pathlib import Path

from osprey_executor.errors import StorageError
from osprey_executor.models import (
    ControlSystemReport,
    PythonExecutionRequest,
    RunResult,
)
from osprey_executor.results import _files
from osprey_executor.results.amend import amend
from osprey_executor.results.attempts import AttemptFolder
from osprey_executor.results.finish import finish
from osprey_executor.results.load import load_manifest, load_result
from osprey_executor.results.manifest import Manifest
from osprey_executor.results.requests import input_digests, load_request, save_request
from osprey_executor.text import one_line


class RunFolder:
    """Reads and writes the record of one run.

    Making one touches nothing: `create` makes the folder. Every method raises `StorageError` with one clear sentence
    when a file cannot be written, or is missing, unreadable or damaged.
    """

    def __init__(self, home: Path, run_id: str) -> None:
        if not run_id or run_id in (".", "..") or "/" in run_id or "\x00" in run_id:
            raise StorageError(f"{one_line(run_id, 100)!r} cannot be the name of a run folder")
        self.run_id = run_id
        self.path = home.absolute() / "runs" / run_id

    @classmethod
    def create(cls, home: Path, run_id: str) -> RunFolder:
        """Make the folder, mode 0700; one that is there already stays.

        Raises:
            StorageError: it cannot be made.
        """
        folder = cls(home, run_id)
        _files.make_folder(folder.path)
        for name in ("inputs", "attempts"):
            _files.make_folder(folder.path / name)
        return folder

    @property
    def journal(self) -> Path:
        """Where the broker journals writes."""
        return self.path / "journal.jsonl"

    def rehearsal_journal(self, number: int) -> Path:
        """Return the journal of execution `number`, a rehearsal: what it tried to write, none of which was sent."""
        return self.path / f"rehearsal-{number}.jsonl"

    def save_request(self, request: PythonExecutionRequest) -> dict[str, str]:
        """Keep the request, its context and copies of its inputs; return the SHA-256 of each input.

        Raises:
            InvalidRequestError: an input cannot be read or is no regular file, the inputs are too large together, or
                the context cannot be encoded.
            StorageError: the request cannot be written.
        """
        return save_request(self.path, request)

    def load_request(self) -> PythonExecutionRequest:
        """Return the request as it was saved; its inputs are the copies.

        Raises:
            StorageError: it cannot be read or is damaged.
        """
        return load_request(self.path)

    def inputs(self) -> dict[str, Path]:
        """Return the copies of the inputs by name.

        Raises:
            StorageError: the request cannot be read.
        """
        return {name: self.path / "inputs" / name for name in input_digests(self.path)}

    def input_digests(self) -> dict[str, str]:
        """Return the SHA-256 that each input had when it was copied.

        Raises:
            StorageError: the request cannot be read.
        """
        return input_digests(self.path)

    def execution_folder(self, number: int) -> Path:
        """Return a new, empty folder for what execution `number` leaves; `AttemptFolder.save_outcome` takes it over.

        Figures that an earlier execution showed are removed.

        Raises:
            StorageError: it cannot be made.
        """
        _files.remove_tree(self.path / "figures")
        path = self.path / "executions" / str(number)
        _files.remove_tree(path)
        return _files.make_folder(path)

    def save_figure(self, number: int, png: bytes | bytearray) -> Path:
        """Keep a figure of the execution that goes on, in place of an earlier one, for whoever watches; not durable.

        Raises:
            StorageError: it cannot be written.
        """
        path = self.path / "figures" / f"figure-{number:03d}.png"
        _files.write(path, png)
        return path

    def shown_figures(self) -> list[Path]:
        """Return the figures of the execution that goes on, or did when its process died."""
        return sorted((self.path / "figures").glob("figure-*.png"), key=lambda path: (len(path.name), path.name))

    def attempt(self, number: int) -> AttemptFolder:
        """Return the folder of an attempt, counted from 1."""
        return AttemptFolder(self.path / "attempts" / str(number))

    def make_durable(self) -> None:
        """Return when everything in the folder would outlive a loss of power, not only the end of this process.

        Raises:
            StorageError: it cannot be written to the disk.
        """
        _files.make_durable(self.path)

    def remove(self) -> None:
        """Remove the folder with all in it; links in it are removed, not followed.

        Raises:
            StorageError: it cannot be removed.
        """
        _files.remove_tree(self.path)

    def finish(self, result: RunResult, *, control_system: ControlSystemReport | None = None) -> RunResult:
        """Complete the record: promote the last attempt, write notebooks and manifest. Done twice it is the same.

        Args:
            result: how the run ended; code, results, output and files are taken from the folder.
            control_system: which machine it talked to.

        Raises:
            StorageError: something cannot be written.
        """
        return finish(self.path, result, control_system=control_system)

    def amend(self, result: RunResult) -> None:
        """Tell in the record what became known after the end: effects, writes and notes of `result`."""
        amend(self.path, result)

    def load_result(self) -> RunResult:
        """Return the result of a finished run.

        Raises:
            StorageError: the run is not finished, or a file is missing or damaged; the message names it.
        """
        return load_result(self.path)

    def manifest(self) -> Manifest:
        """Return the manifest of a finished run.

        Raises:
            StorageError: the run is not finished, or its manifest is damaged.
        """
        return load_manifest(self.path)
