"""Values in and out of the sandbox: a JSON document plus blobs, never a pickle.

JSON values stand for themselves; everything else is an object with `$type`. The host has its own implementation of the
same format (`osprey_executor.results`), because it must not trust this one.
"""

from __future__ import annotations

from json import JSONEncoder
from typing import Any, List, Mapping, NamedTuple

from .decoding import decode
from .encoding import UNLIMITED, Encoder
from .shown import class_name

__all__ = ["EncodedResults", "decode", "encode", "encode_results"]

_MOST_PROBLEMS = 50
_to_json = JSONEncoder(allow_nan=False, separators=(",", ":")).encode


class EncodedResults(NamedTuple):
    """`results` ready to be sent, and what a person should know of values that could not be kept as they are."""

    document: Any
    blobs: List[Any]
    problems: List[str]

    def frames(self) -> List[Any]:
        """Return the blobs of a frame: the document as JSON first, then the blobs that it refers to."""
        return [_to_json(self.document).encode("ascii"), *self.blobs]


def encode(value: Any) -> tuple[Any, list[Any]]:
    """Return the document and the blobs of one value.

    Raises:
        ValueError: the value, or one inside it, cannot be encoded; the message says which.
        Exception: whatever the value raises when it is read.
    """
    encoder = Encoder("value", strict=True)
    document = encoder.encode(value)
    if encoder.problems:
        raise ValueError("; ".join(encoder.problems[:5]))
    return document, encoder.blobs


def encode_results(results: Mapping[Any, Any], limits: Mapping[str, int] | None = None) -> EncodedResults:
    """Encode each of `results` on its own. Never raises for what is in them.

    What cannot be encoded, or no longer fits `limits` (`results`: bytes in all; `document`: bytes of JSON), becomes its
    `repr` and a problem, so that one bad value does not cost the others.
    """
    budget = limits or {}
    encoder = Encoder("results", budget.get("results", UNLIMITED), budget.get("document", UNLIMITED))
    document: dict[str, Any] = {}
    try:
        items = list(dict.items(results)) if isinstance(results, dict) else [(key, results[key]) for key in results]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType, reportUnknownMemberType]
    except BaseException as error:
        return EncodedResults({}, [], ["results: its items cannot be read ({})".format(class_name(error))])
    for key, value in items:  # pyright: ignore[reportUnknownVariableType]
        name = encoder.name(key)
        document[name] = encoder.entry(name, value)
    problems = encoder.problems
    if len(problems) > _MOST_PROBLEMS:
        problems = [*problems[:_MOST_PROBLEMS], "and {} more".format(len(problems) - _MOST_PROBLEMS)]
    if any(name.startswith("$") for name in document):
        return EncodedResults(
            {"$type": "dict", "items": [[key, value] for key, value in document.items()]}, encoder.blobs, problems
        )
    return EncodedResults(document, encoder.blobs, problems)
