"""The state of one run in the graph: primitives only, so that a checkpoint needs no types of ours."""

from __future__ import annotations

from typing import TypedDict


class State(TypedDict, total=False):
    """What a node leaves for the next one. Everything larger lies in the run folder."""

    run_id: str
    attempt: int
    """Number of the program at hand, counted from 1."""
    execution: int
    """Number of executions begun."""
    code: str
    written_by: str
    """Generator, `user`, or the person who edited."""
    failures: list[str]
    """Every report of a failure, as JSON with the code that failed."""
    generations: dict[str, str]
    """What generating each attempt took, as JSON by its number."""
    memory: list[str]
    """What of the memory a generator was given, each as JSON."""
    notes: list[str]
    """What the result tells beside what the execution does."""
    generation_failures: int
    execution_failures: int
    attempts: list[str]
    """Every attempt that has ended, as JSON without its code."""
    report: str
    """Analysis of the code, as JSON."""
    isolation: str
    """What contains the code, as JSON."""
    control: str
    """Which machine it talks to, as JSON."""
    card: str
    """The card that waits or was approved, as JSON; empty where nobody was asked."""
    allowed: str
    """Which rule of the site lets the program write to a simulated machine without asking; empty: none does."""
    approver: str
    proof: str
    """How it is known who the approver is."""
    chosen: str
    """The digest that was approved: of the card, or of the envelope on it."""
    outcome_status: str
    """How the last execution ended; empty before the first."""
    effects: str
    status: str
    """How the run ends; empty while it goes on."""
    error: str
    """The last error report, as JSON."""
    timings: dict[str, float]
    next: str
    """The node to go to."""
