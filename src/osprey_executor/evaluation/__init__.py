"""How well generators do: suites of tasks with checks, run again and again, counted."""

from osprey_executor.evaluation._evaluate import evaluate
from osprey_executor.evaluation._report import GeneratorReport, Report, TaskReport
from osprey_executor.evaluation._scripted import self_test
from osprey_executor.evaluation._suite import Suite, load_suite, shipped_suite

__all__ = [
    "GeneratorReport",
    "Report",
    "Suite",
    "TaskReport",
    "evaluate",
    "load_suite",
    "self_test",
    "shipped_suite",
]
