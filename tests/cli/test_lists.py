"""Lists on terminals of any width."""

from __future__ import annotations

import pytest

from .conftest import Cli
from .fake_service import RUN


@pytest.mark.parametrize("columns", [20, 40, 80])
def test_the_id_of_a_run_can_be_copied_from_any_terminal(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    rows = cli("runs").out.splitlines()[1:]
    assert [row[: len(RUN)] for row in rows] == [f"{RUN[:-1]}{n}" for n in range(len(rows))]
    assert RUN in cli("pending").out
