"""What an evaluation has found, task by task and in all."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class TaskReport(BaseModel):
    """One run of one task."""

    model_config = ConfigDict(frozen=True)

    id: str
    repeat: int
    """Counted from 1."""
    passed: bool
    answered: bool = True
    """False: the provider of the generator gave no answer, so nothing is said of what it can do."""
    attempts: int
    """Programs that were generated; with one alone there was no repair."""
    problems: tuple[str, ...] = ()
    """What was wrong with the last."""
    seconds: float = 0.0
    """Of work: without the wait for a turn."""
    tokens: int | None = None
    cost: float | None = None
    """In US dollars; None: not known."""
    run_id: str = ""

    @property
    def first_try(self) -> bool:
        """Whether the first program did it."""
        return self.passed and self.attempts == 1


class GeneratorReport(BaseModel):
    """All runs of one generator."""

    model_config = ConfigDict(frozen=True)

    name: str
    """As it is configured."""
    label: str
    """With its model: `basic (anthropic/claude-...)`."""
    tasks: tuple[TaskReport, ...]
    stopped: str = ""
    """Why not all of it was run; empty: it was."""
    misconfigured: bool = False
    """Whether it was stopped by what a person must mend in the configuration: a key or an extra that is not there."""

    @property
    def complete(self) -> bool:
        """Whether all of it was run, and each time with an answer of the generator."""
        return not self.stopped and all(task.answered for task in self.tasks)

    @property
    def first_try(self) -> int:
        """How many the first program did."""
        return sum(task.first_try for task in self.tasks)

    @property
    def passed(self) -> int:
        """How many were done in the end."""
        return sum(task.passed for task in self.tasks)

    @property
    def seconds(self) -> float:
        """Of work, in the mean of a task."""
        return sum(task.seconds for task in self.tasks) / max(1, len(self.tasks))

    @property
    def cost(self) -> float | None:
        """In US dollars, of all; None: one of them is not known."""
        costs = [task.cost for task in self.tasks]
        return sum(cost for cost in costs if cost is not None) if None not in costs and costs else None


class Report(BaseModel):
    """An evaluation."""

    model_config = ConfigDict(frozen=True)

    suite: str
    repeats: int
    generators: tuple[GeneratorReport, ...]
