"""Why a person should be asked, in one sentence: the lines that write, then the lines that nobody can judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from osprey_executor.analysis.catalogue import REACHES_NOTHING


def why_asked(writing: Mapping[int, str], doubtful: Mapping[int, str]) -> str:
    """Return the reason from what lines say that write, and lines that may do anything; one of them is not empty."""
    parts: list[str] = []
    if writing:
        parts.append(_writing(writing))
    if doubtful:
        first, *others = sorted(doubtful)
        parts.append(f"line {first}: {doubtful[first]}" + (f"; see also {_lines(others)}" if others else ""))
    return "; ".join(parts)


def _writing(said: Mapping[int, str]) -> str:
    lines = sorted(said)
    if len(lines) == 1:
        return f"line {lines[0]}: {said[lines[0]]}"
    futile = sum(REACHES_NOTHING in message for message in said.values())
    reason = f"{_lines(lines)} write channels"
    if futile:
        share = "all" if futile == len(lines) else str(futile)
        reason += f", {share} of them through what {REACHES_NOTHING}; use osprey_executor.runtime.write_channel"
    return reason


def _lines(lines: Sequence[int]) -> str:
    if len(lines) == 1:
        return f"line {lines[0]}"
    if len(lines) == 2:
        return f"lines {lines[0]} and {lines[1]}"
    return f"line {lines[0]} and {len(lines) - 1} other lines"
