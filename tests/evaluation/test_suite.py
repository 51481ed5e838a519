"""A suite is read strictly: whatever is wrong in the file is told with its line and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from osprey_executor.errors import ConfigurationError
from osprey_executor.evaluation import load_suite, shipped_suite

GOOD = """\
name: ours
machine: mock
tasks:
  - id: add
    task: add one and one
    checks:
      - {result: sum, equals: 2}
"""


def load(folder: Path, text: str) -> object:
    """Read a suite of this text."""
    file = folder / "suite.yml"
    file.write_text(text)
    return load_suite(file)


def test_a_good_one(tmp_path: Path) -> None:
    load(tmp_path, GOOD)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("name: ours\n", "", "suite.yml: name: is missing"),
        ("machine: mock", "machine: epics", "line 2: machine: should be 'simulator', 'mock' or 'configured'"),
        ("machine: mock", "machines: mock", "line 2: machines: is not a key; did you mean machine?"),
        ("    task: add one and one\n", "", "line 4: tasks.0.task: is missing"),
        ("    task: add one and one", "    tasks: add", "line 5: tasks.0.tasks: is not a key; did you mean task?"),
        ("id: add", "id: Add one", "line 4: tasks.0.id: String should match pattern"),
        ("equals: 2", "equal: 2", "line 7: tasks.0.checks.0.equal: is not a key; did you mean equals?"),
        ("{result: sum, equals: 2}", "{result: sum}", "line 7: tasks.0.checks.0: must have exactly one of equals,"),
        ("{result: sum, equals: 2}", "{equals: 2}", "line 7: tasks.0.checks.0: equals needs `result`"),
        ("{result: sum, equals: 2}", "{result: sum, figures: 1}", "line 7: tasks.0.checks.0: figures stands alone"),
        ("{result: sum, equals: 2}", "{result: sum, near: 2}", "line 7: tasks.0.checks.0: near and within go together"),
        ("{result: sum, equals: 2}", "{result: sum, between: [1, x]}", "line 7: tasks.0.checks.0.between.1: "),
        ("    checks:\n      - {result: sum, equals: 2}\n", "    checks: []\n", "line 4: tasks.0: has no checks"),
        (
            "    checks:\n",
            "    inputs: {a/b: text}\n    checks:\n",
            "line 4: tasks.0: the request cannot be used: inputs",
        ),
        (GOOD.partition("tasks:")[2], " []\n", "suite.yml: has no tasks"),
        ("tasks:\n", "tasks: none\nx:\n", "line 3: tasks: must be a list"),
        ("name: ours", "name: [", "suite.yml line"),
    ],
)
def test_what_is_wrong_has_its_line_and_key(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert GOOD.count(old) == 1
    with pytest.raises(ConfigurationError) as error:
        load(tmp_path, GOOD.replace(old, new))
    assert told in str(error.value)


def test_two_tasks_alike(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="has two tasks of the id add"):
        load(tmp_path, GOOD + GOOD.partition("tasks:\n")[2])


def test_what_is_no_suite_at_all(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"suite\.yml cannot be read: No such file"):
        load_suite(tmp_path / "suite.yml")
    (tmp_path / "suite.yml").write_bytes(b"name: \xff")
    with pytest.raises(ConfigurationError, match="not text in UTF-8"):
        load_suite(tmp_path / "suite.yml")


def test_twenty_tasks_come_with_it_each_with_solution_and_mistake() -> None:
    suite = shipped_suite()
    assert len(suite.tasks) == 20
    assert [task.id for task in suite.tasks if not task.solution or not task.mistake] == []
    assert [task.id for task in suite.tasks if task.writes] == ["set-corrector", "three-bump", "small-steps"]
