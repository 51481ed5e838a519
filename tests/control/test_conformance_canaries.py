"""The suite for connectors finds each fault, where it is to be found."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

EXPECTED = {
    "KnowsAnyName": {"TestReading::test_an_unknown_channel_is_named"},
    "MixesCalls": {"TestReading::test_calls_at_once_do_not_mix"},
    "TellsNoTimeZone": {"TestReading::test_a_sample_tells_all_that_there_is_to_know"},
    "TellsAPlainReading": {"TestReading::test_a_sample_tells_all_that_there_is_to_know"},
    "ForgetsWrites": {"TestWriting::test_each_value_is_confirmed_and_read_back"},
    "DoesNotReadBack": {"TestWriting::test_each_value_is_confirmed_and_read_back"},
    "DoubtsEverything": {"TestWriting::test_a_write_to_nobody_is_certain_not_to_have_happened"},
    "MonitorsOnce": {
        "TestMonitoring::test_a_change_comes_and_the_newest_is_not_lost",
        "TestMonitoring::test_two_monitors_of_a_channel_are_apart",
    },
    "HasSilentCommands": {"TestCalls::test_a_command_answers_or_there_are_none"},
    "HasAPast": {"TestHistory::test_values_have_times_in_order", "TestHistory::test_a_bin_gives_one_value_each"},
    "HasAnUnorderedPast": {"TestHistory::test_values_have_times_in_order"},
    "CannotBeLost": {"TestLoss::test_a_lost_server_is_told"},
}


def test_each_fault_is_found(tmp_path: Path) -> None:
    file = Path(__file__).with_name("broken_conformance.py")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            str(file),
            "-rA",
            "--tb=no",
            "-p",
            "no:cacheprovider",
            "-k",
            "not ForgetsWrites or TestWriting",
        ],
        cwd=file.parents[2],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    failed: defaultdict[str, set[str]] = defaultdict(set)
    for name, fault in re.findall(r"^FAILED \S+?::(\S+)\[(\w+)\]", done.stdout, re.MULTILINE):
        failed[fault].add(name)
    assert {fault: EXPECTED[fault] - failed[fault] for fault in EXPECTED} == {fault: set() for fault in EXPECTED}
    assert len(re.findall(r"^PASSED ", done.stdout, re.MULTILINE)) > 100
