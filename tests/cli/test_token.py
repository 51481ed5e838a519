"""At a terminal the token of an approver is typed, and nobody sees it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from osprey_executor import PythonExecutionRequest, PythonExecutorService
from osprey_executor.access import People
from osprey_executor.models import Role

from .terminal import terminals

# Next to a machine that is called real and without containment, every program is asked about; nobody answers there.
CONFIG: dict[str, Any] = {
    "execution": {"isolation": "none"},
    "control_system": {"type": "epics", "epics": {"address_list": ["127.0.0.1:9"]}},
}


async def test_the_token_is_asked_for_after_the_word_and_is_not_shown(home: Path) -> None:
    token = People(home).add("ben", [Role.APPROVER])
    async with PythonExecutorService.from_config(CONFIG, home=home) as service:
        run_id = (await service.run(PythonExecutionRequest(user_query="nothing", code="results = {}"))).run_id
    with terminals(str(Path(sys.executable).with_name("osprey-executor"))) as opened:
        for typed, code, said in (
            ("osprey-wrong", 4, "that is nobody's token"),
            ("", 4, "needs the token of an approver (ben)"),
            (token, 0, "ben (known by token)"),
        ):
            tty = opened("approve", run_id, columns=200)
            tty.answer("Type approve to run exactly this: ", "approve")
            tty.answer(r"Token of an approver \(it is not shown\): ", typed)
            assert tty.end() == code, tty.screen
            assert said in tty.screen
            assert not typed or typed not in tty.screen
