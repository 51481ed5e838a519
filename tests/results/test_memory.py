"""Large results cost the service a small multiple of their size, not ten times as much."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from osprey_executor.results.decoder import decode
from osprey_executor.results.encoder import encode
from osprey_executor.text import one_line

SIZE = 60 * 2**20
RECORD = """
import json, resource, sys
from datetime import UTC, datetime
from pathlib import Path
import numpy
from osprey_executor.interfaces.cli.streams import write_json
from osprey_executor.interfaces.cli.summary import short
from osprey_executor.models import Outcome, PythonExecutionRequest, RunResult, RunStatus
from osprey_executor.results import RunFolder, result_to_json

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

def record(number, results):
    folder = RunFolder.create(Path(sys.argv[1]), str(number))
    folder.save_request(PythonExecutionRequest(user_query="t", code="pass"))
    attempt = folder.attempt(1)
    attempt.save_code("pass")
    attempt.save_outcome(Outcome(status=RunStatus.SUCCEEDED, results=results, has_results=True))
    del results
    result = RunResult(run_id="r", status=RunStatus.SUCCEEDED, folder=folder.path, created_at=datetime.now(UTC))
    folder.finish(result)
    result = folder.load_result()
    shown = short(result.results.get("large"))
    write_json(result_to_json(result))
    return shown

record(1, {"small": numpy.zeros(2)})
before = peak()
shown = record(2, {"large": eval(sys.argv[2])})
print(json.dumps([peak() - before, shown]), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("value", "most"),
    [
        (f"'é' * ({SIZE} // 2)", 4.5),  # JSON in ASCII takes six bytes for each of its two: that text alone is three
        (f"b'x' * {SIZE}", 2.4),
        (f"numpy.arange({SIZE} // 8, dtype=float)", 2.6),
    ],
)
def test_the_record_of_large_results(tmp_path: Path, value: str, most: float) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RECORD, str(tmp_path), value],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=True,
        timeout=100,
    )
    grown, shown = json.loads(done.stderr)
    assert len(shown) <= 120
    assert grown < most * SIZE


@pytest.mark.parametrize("text", ["x" * 70_000, "é" * 70_000, "\ud800" + "x" * 70_000])
def test_long_text_is_a_blob(text: str) -> None:
    document, blobs = encode({"text": text, "short": "é"})
    assert len(json.dumps(document)) < 200
    assert decode(document, [bytearray(blob) for blob in blobs]) == {"text": text, "short": "é"}


@pytest.mark.parametrize("text", ["a" * 500, "\r\n" * 500, "\u202e" * 50, "a\r\nb", "é" * 199, "e" + "\u0301" * 300])
def test_a_line_is_cut_as_if_all_had_been_looked_at(text: str) -> None:
    assert one_line(text + "\x1b" * 10_000) == one_line(text + "\x1b" * 10_000_000)
    assert len(one_line(text)) <= 200
