"""The checks of isolation can fail: against an engine that contains nothing, each one does.

The attacks are harmless where they succeed; what they leave lies below pytest's own temporary folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# To an ordinary user the kernel itself refuses these, with or without an engine.
NEED_ROOT = {
    "test_a_call_is_refused[bpf]",
    "test_a_call_is_refused[new-file-system]",
    "test_a_device_cannot_be_made[S_IFBLK]",
    "test_a_device_cannot_be_made[S_IFCHR]",
    "test_memory_cannot_be_read",
    "test_no_setting_of_the_machine_can_be_written[/proc/sys]",
    "test_no_setting_of_the_machine_can_be_written[/sys]",
    "test_nobody_becomes_root",
    "test_sockets_below_the_protocols[packet]",
    "test_sockets_below_the_protocols[raw]",
}


def outcomes(chosen: str, tmp_path: Path) -> dict[str, str]:
    """Run tests of the suite in a process of their own; return how each one ended."""
    suite = str(Path(__file__).with_name("bare_conformance.py"))
    command = [sys.executable, "-m", "pytest", suite, "-k", chosen, "-rA", "--tb=no"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'suite'}"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    ended: dict[str, str] = {}
    for line in done.stdout.splitlines():
        word, _, rest = line.partition(" ")
        if word in ("PASSED", "FAILED", "ERROR", "SKIPPED"):
            ended[rest.split(" - ")[0].rpartition("::")[2]] = word
    return ended


@pytest.mark.timeout(320)
def test_every_check_of_isolation_fails_where_nothing_is_isolated(tmp_path: Path) -> None:
    ended = outcomes("TestIsolation or TestNothingInherited", tmp_path)
    held = {name for name, word in ended.items() if word != "FAILED"}
    assert held <= (set() if os.geteuid() == 0 else NEED_ROOT)
    assert len(ended) >= 46


@pytest.mark.timeout(320)
def test_checks_of_artifacts_fail_where_files_are_copied_blindly(tmp_path: Path) -> None:
    """All but those that would leave something elsewhere, or a lot, and one that a blind copy passes."""
    spared = "elsewhere or hundred_thousand or deep_nesting or sparse or look_the_same"
    ended = outcomes(f"TestHostileArtifacts and not ({spared})", tmp_path)
    held = {name for name, word in ended.items() if word != "FAILED"}
    assert held <= (set() if os.geteuid() == 0 else NEED_ROOT)
    assert len(ended) >= 15
