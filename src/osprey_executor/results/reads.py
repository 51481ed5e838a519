"""What a run read, in order, as lines of JSON: the source of its replay."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from osprey_executor.errors import ResultsError
from osprey_executor.models import Reading
from osprey_executor.results import _files
from osprey_executor.results.decoder import decode
from osprey_executor.results.encoder import encode

MOST_BYTES = 64 * 2**20


def save_reads(path: Path, readings: Iterable[Reading], *, most_bytes: int = MOST_BYTES) -> int:
    """Write the readings, one a line, the blobs of their values in base64.

    Returns:
        How many were left out because the file would have grown beyond `most_bytes`; the file says so too.

    Raises:
        StorageError: the file cannot be written.
    """
    lines: list[bytes] = []
    size = left_out = 0
    for reading in readings:
        line = b"" if left_out else _line(reading)
        size += len(line)
        if left_out or size > most_bytes:
            left_out += 1
        else:
            lines.append(line)
    if left_out:
        lines.append(json.dumps({"left_out": left_out}).encode() + b"\n")
    _files.write(path, b"".join(lines))
    return left_out


def load_reads(path: Path, *, most_bytes: int = 2 * MOST_BYTES) -> tuple[Reading, ...]:
    """Return the readings of a file, in order.

    Raises:
        StorageError: the file cannot be read or is damaged; the message names the line.
    """
    readings: list[Reading] = []
    for number, line in enumerate(_files.read(path, most_bytes=most_bytes).splitlines(), 1):
        try:
            fields: Any = json.loads(line)
            if not isinstance(fields, dict):
                raise ValueError("not an object")
            told = cast(dict[str, Any], fields)
            if "left_out" in told:
                continue
            blobs = [base64.b64decode(blob, validate=True) for blob in told.pop("blobs", [])]
            readings.append(Reading(**{**told, "value": decode(told["value"], blobs)}))
        except (
            ValueError,
            KeyError,
            TypeError,
            RecursionError,
            binascii.Error,
            ValidationError,
            ResultsError,
        ) as error:
            raise _files.damaged(path, f"line {number} is not a reading") from error
    return tuple(readings)


def _line(reading: Reading) -> bytes:
    document, blobs = encode(reading.value)
    fields = {
        "channel": reading.channel,
        "value": document,
        "blobs": [base64.b64encode(blob).decode("ascii") for blob in blobs],
        "units": reading.units,
        "severity": int(reading.severity),
        "timestamp": reading.timestamp.isoformat() if reading.timestamp else None,
    }
    return json.dumps(fields, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"
