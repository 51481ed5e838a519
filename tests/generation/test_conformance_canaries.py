"""The suite for generators finds each fault, where it is to be found."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

EXPECTED = {
    "IsNoCoroutine": {"TestContract::test_it_is_a_generator"},
    "GivesFences": {
        "TestContract::test_it_gives_the_source_of_a_program",
        "TestModel::test_the_program_is_what_the_model_wrote",
    },
    "ForgetsErrors": {"TestModel::test_it_asks_in_its_protocol"},
    "ChangesReports": {"TestContract::test_it_changes_neither_request_nor_reports"},
    "InventsPrograms": {
        "TestModel::test_an_answer_without_a_program_is_told",
        "TestFaults::test_a_fault_is_one_clear_sentence",
        "TestFaults::test_no_route_names_the_address",
    },
    "LeaksItsKey": {"TestFaults::test_a_fault_is_one_clear_sentence"},
    "TellsNoAddress": {"TestFaults::test_no_route_names_the_address"},
    "WaitsForEver": {"TestFaults::test_an_answer_that_does_not_come_in_time_is_not_waited_for"},
    "Blocks": {"TestLife::test_it_does_not_keep_the_event_loop_waiting"},
    "KeepsNoCount": {
        "TestBudget::test_it_tells_what_it_used",
        "TestBudget::test_it_asks_nothing_once_the_budget_is_spent",
    },
    "KeepsOneLoop": {"TestLife::test_it_serves_two_event_loops_one_after_the_other"},
    "FollowsRedirects": {"TestFaults::test_a_redirect_is_not_followed"},
    "CannotBeCancelled": {"TestFaults::test_a_cancel_is_a_cancel"},
}


@pytest.mark.timeout(330)  # each fault is a run of its own, and a few of them wait
def test_each_fault_is_found() -> None:
    file = Path(__file__).with_name("broken_conformance.py")
    chosen = [
        f"({fault} and ({' or '.join(name.partition('::')[2] for name in names)}))" for fault, names in EXPECTED.items()
    ]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", str(file), "-rA", "--tb=no", "-p", "no:cacheprovider"),
            *("-k", " or ".join(chosen)),
        ],
        cwd=file.parents[2],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    failed: defaultdict[str, set[str]] = defaultdict(set)
    for name, fault in re.findall(r"^FAILED \S+?::(\w+::\w+)\[(\w+)", done.stdout, re.MULTILINE):
        failed[fault].add(name)
    assert {fault: names - failed[fault] for fault, names in EXPECTED.items() if names - failed[fault]} == {}
