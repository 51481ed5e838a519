"""The command line on the real service: processes, sandbox, state folder, terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from osprey_executor.models import RunResult

from .terminal import PROMPT, Open, terminals

COMMAND = str(Path(sys.executable).with_name("osprey-executor"))
STEP = "from osprey_executor import runtime\nruntime.write_channel('SR:HCM:01:SP', 0.25)\nresults = {'done': True}\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a configuration that allows writes to the mock machine."""
    here = tmp_path / "here"
    here.mkdir()
    (here / "writes.yml").write_text("control_system: {type: mock, writes_enabled: true}\n")
    (here / "step.py").write_text(STEP)
    monkeypatch.chdir(here)
    return here


@pytest.fixture
def terminal() -> Iterator[Open]:
    with terminals(COMMAND) as opened:
        yield opened


def call(*arguments: str, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    ended = subprocess.run(
        [COMMAND, *arguments],
        input=stdin,
        capture_output=True,
        env={**os.environ, **environment},
        timeout=100,
        check=False,
    )
    assert b"this should not have happened" not in ended.stderr
    return ended


def document(ended: subprocess.CompletedProcess[bytes]) -> Any:
    return json.loads(ended.stdout)


def test_success_is_one_object(folder: Path) -> None:
    (folder / "data.csv").write_text("1,2")
    code = b"""\
import sys
print('noise')
results = {'data': open('inputs/data.csv').read(), 'nan': float('nan')}
sys.exit(0)
"""
    ended = call("run", "sum", "--code", "/dev/stdin", "--input", "data.csv", "--json", stdin=code)
    assert ended.returncode == 0
    said = document(ended)
    assert set(said) >= set(RunResult.model_fields)
    assert (said["status"], said["effects"], said["generator"]) == ("succeeded", "none", "user")
    assert said["results"]["data"] == "1,2"
    assert said["code"] == code.decode()
    assert b"noise" in ended.stderr


NO_SERVER = "execution: {execution_method: container, container: {jupyter_port: 1}}"


@pytest.mark.parametrize(
    ("code", "config", "returned", "told"),
    [
        ("1 / 0", "", 1, b"division by zero"),
        ("def f(:", "", 1, b"CodeSyntaxError"),
        ("import time; time.sleep(60)", "execution: {timeout: 1}", 5, b"Timed out"),
        ("import time; time.sleep(60)", NO_SERVER, 6, b"no Jupyter server answers"),
        (STEP, "", 4, b"writes_enabled is false"),
        (STEP, "control_system: {writes_enabled: true}", 3, b"Waiting for approval"),
        ("x = 1", "execution: {timeout: never}", 2, b"config.yml"),
        ("x = 1", "a: [", 2, b"config.yml"),
    ],
)
def test_exit_codes(folder: Path, code: str, config: str, returned: int, told: bytes) -> None:
    (folder / "config.yml").write_text(config)
    ended = call("run", "--code", "-", stdin=code.encode())
    assert ended.returncode == returned
    assert told in ended.stdout + ended.stderr


def test_a_task_needs_a_generator(folder: Path) -> None:
    ended = call("run", "plot a sine")
    assert ended.returncode == 2
    assert b"config init" in ended.stderr
    assert len(ended.stderr.splitlines()[-1]) < 300
    (folder / "config.yml").write_text("execution: {code_generator: nope}")
    assert call("run", "plot a sine").returncode == 2


def test_a_state_folder_that_cannot_be_is_one_sentence() -> None:
    ended = call("run", "--code", "-", "--json", stdin=b"x = 1", OSPREY_EXECUTOR_HOME="/dev/null/state")
    assert ended.returncode == 2
    assert document(ended)["error"]["type"] == "StorageError"
    assert call("runs", OSPREY_EXECUTOR_HOME="/dev/null/state").returncode == 2


def test_the_mock_generator_says_what_it_is(folder: Path) -> None:
    (folder / "config.yml").write_text("execution: {code_generator: mock}")
    ended = call("run", "anything", "--json")
    assert ended.returncode == 0
    assert document(ended)["generator"] == "mock (scripted)"


def waiting_run() -> dict[str, Any]:
    ended = call("run", "--code", "step.py", "--config", "writes.yml", "--json")
    assert ended.returncode == 3
    assert document(ended)["status"] == "awaiting_approval"
    return dict(document(ended))


def test_approval_from_another_process() -> None:
    run = waiting_run()
    (card,) = document(call("pending", "--json"))
    assert (card["run_id"], card["digest"]) == (run["run_id"], run["digest"])
    assert b"SR:HCM:01:SP" in call("show", run["run_id"]).stdout
    assert call("approve", run["run_id"]).returncode == 2
    assert call("approve", run["run_id"], "--digest", "ab" * 32).returncode == 2
    ended = call("approve", run["run_id"][:-1], "--digest", run["digest"], "--json")
    assert ended.returncode == 0
    said = document(ended)
    assert (said["status"], said["effects"], said["results"]) == ("succeeded", "written", {"done": True})
    assert call("approve", run["run_id"], "--digest", run["digest"]).returncode == 2
    assert call("watch", run["run_id"]).returncode == 0
    replayed = call("replay", run["run_id"], "--json")
    assert (replayed.returncode, document(replayed)["effects"]) == (0, "none")
    assert [one["state"] for one in document(call("runs", "--json"))] == ["succeeded"]


def test_rejection_editing_and_cancelling() -> None:
    run = waiting_run()["run_id"]
    edited = call("edit", run, "--code", "-", "--json", stdin=STEP.replace("0.25", "0.1").encode())
    assert edited.returncode == 3
    assert "0.1" in document(edited)["code"]
    rejected = call("reject", run, "--reason", "too strong", "--json")
    assert (rejected.returncode, document(rejected)["status"]) == (0, "rejected")
    assert "too strong" in document(rejected)["error"]["message"]
    other = waiting_run()["run_id"]
    assert document(call("cancel", other, "--json"))["status"] == "cancelled"
    assert call("pending").stdout == b""


def test_a_person_approves_the_card(terminal: Open) -> None:
    tty = terminal("run", "--code", "step.py", "--config", "writes.yml")
    tty.child.expect("SR:HCM:01:SP")
    tty.answer(PROMPT, "")
    tty.answer(PROMPT, "approve")
    assert tty.end() == 0
    assert "written: 1 write to 1 channel, confirmed" in tty.screen


def test_a_decision_in_another_process_takes_the_question_away(terminal: Open) -> None:
    tty = terminal("run", "--code", "step.py", "--config", "writes.yml")
    tty.child.expect(PROMPT)
    (card,) = document(call("pending", "--json"))
    ended = call("approve", card["run_id"], "--digest", card["digest"], "--json")
    assert (ended.returncode, document(ended)["status"]) == (0, "succeeded")
    assert tty.end() == 0
    assert "Decide (" not in tty.screen


def test_ctrl_c_cancels_the_run(terminal: Open, folder: Path) -> None:
    (folder / "slow.py").write_text("import time\nprint('begun', flush=True)\ntime.sleep(90)\n")
    tty = terminal("run", "--code", "slow.py")
    tty.child.expect("begun")
    (run,) = document(call("runs", "--json"))
    shown = call("show", run["run_id"])
    assert (shown.returncode, b"running" in shown.stdout) == (0, True)
    assert document(call("show", run["run_id"], "--json"))["state"] == "running"
    tty.child.sendintr()
    assert tty.end() == 130
    assert [one["state"] for one in document(call("runs", "--json"))] == ["cancelled"]


def test_the_doctor_sees_refusals() -> None:
    ended = call("doctor", "--json")
    assert ended.returncode == 0
    assert {probe["outcome"] for probe in document(ended)} <= {"ok", "unavailable"}


@pytest.mark.timeout(300)
def test_two_demos_at_once_approve_themselves_and_correct_the_orbit() -> None:
    command = [COMMAND, "demo", "--json", "--restore"]
    demos = [
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    for demo in demos:
        out, err = demo.communicate(timeout=240)
        assert demo.returncode == 0, err.decode()
        said = json.loads(out)
        assert (said["approver"], said["generator"]) == ("demo", "mock (scripted)")
        assert said["results"]["rms_x_after_um"] < said["results"]["rms_x_before_um"] / 2
        assert said["figures"]
        assert b"approved by this command as `demo`" in err
        assert b"32 channels get back what they held. Succeeded." in err
        assert Path(said["notebook_path"]).exists()
