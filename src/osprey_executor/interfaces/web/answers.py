"""JSON that any client can read, whatever text and numbers a program left."""

from __future__ import annotations

import json
import math
from typing import Any, cast

from fastapi.responses import JSONResponse


def to_text(document: Any) -> str:
    """Return a document as a line of ASCII: no lone surrogate spoils it, and no NaN, which JSON has no word for."""
    try:
        return json.dumps(document, allow_nan=False, separators=(",", ":"))
    except ValueError:
        return json.dumps(_finite(document), allow_nan=False, separators=(",", ":"))


class Answer(JSONResponse):
    """An answer in JSON."""

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return to_text(content).encode("ascii")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_finite(item) for item in cast("list[Any]", value)]
    return value
