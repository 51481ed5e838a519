"""A result as one JSON object, for `--json`."""

from __future__ import annotations

from typing import Any

from osprey_executor.models import RunResult
from osprey_executor.results.jsonable import to_json


def result_to_json(result: RunResult) -> dict[str, Any]:
    """Return the fields of `result` as JSON: paths and times as strings, no NaN, big values summarised."""
    fields = result.model_dump(mode="json", exclude={"results"})
    return {name: to_json(result.results) if name == "results" else fields[name] for name in type(result).model_fields}
