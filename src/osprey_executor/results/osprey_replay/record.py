"""Reads what a replay needs from a run folder. Standard library only; the codec is the one that lies in the folder."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .recording import RecordedWrite, Recording

Decode = Callable[[Any, "list[Any]"], Any]


def load_recording(attempt: Path, decode: Decode) -> Recording[Any]:
    """Return the reads, writes and refusals of one attempt."""
    reads: list[tuple[str, Any]] = []
    path = attempt / "reads.jsonl"
    for line in path.read_text("ascii").splitlines() if path.is_file() else []:
        fields: dict[str, Any] = json.loads(line)
        if "channel" in fields:
            blobs = [base64.b64decode(blob) for blob in fields.get("blobs", [])]
            reads.append((fields["channel"], decode(fields["value"], blobs)))
    outcome = load_json(attempt / "outcome.json")
    writes = [
        RecordedWrite(each["channel"], each["value"], None, each["line"], each["confirmed"])
        for each in outcome.get("writes", [])
    ]
    refused = [
        RecordedWrite(each["channel"], each["value"], each["reason"], each["line"], skipped=each.get("skipped", False))
        for each in outcome.get("refusals", [])
    ]
    return Recording(reads, writes, refused)


def load_values(path: Path, decode: Decode) -> dict[str, Any]:
    """Return stored values; none where the file is not there."""
    if not path.is_file():
        return {}
    document, blobs = load_encoded(path)
    return decode(document, blobs)


def load_encoded(path: Path) -> tuple[Any, list[bytes]]:
    """Return document and blobs of stored values."""
    stored = load_json(path)
    return stored["document"], [(path.with_suffix(".blobs") / blob["file"]).read_bytes() for blob in stored["blobs"]]


def load_json(path: Path) -> dict[str, Any]:
    """Return the object of a JSON file; empty where the file is not there."""
    return json.loads(path.read_text("ascii")) if path.is_file() else {}
