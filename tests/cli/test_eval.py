"""`eval`: what it prints, on a real service, with a suite of one task."""

from __future__ import annotations

from pathlib import Path

import pytest

from osprey_executor.interfaces.cli.app import main
from osprey_executor.testing.scripted_provider import ScriptedProvider, Step

from .conftest import Cli, Said

SUITE = """\
name: ours
machine: mock
tasks:
  - id: answer
    task: the answer
    checks:
      - {result: answer, equals: 42}
    solution: "results = {'answer': 42}"
    mistake: "results = {'answer': 41}"
"""


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Call `osprey-executor` on the real service, in a folder with a suite and two scripted generators."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "suite.yml").write_text(SUITE)
    (tmp_path / "right.py").write_text("results = {'answer': 42}")
    (tmp_path / "config.yml").write_text(
        "execution: {code_generator: mock, generators: {mock: {script: right.py}}}\n"
        "models: {python_code_generator: {provider: openai, model_id: m, base_url: 'http://127.0.0.1:9'}}\n"
    )

    def call(*arguments: str) -> Said:
        with pytest.raises(SystemExit) as left:
            main(arguments)
        said = capsys.readouterr()
        assert "Traceback (most recent call last)" not in said.out + said.err
        return Said(int(left.value.code or 0), said.out, said.err)

    return call


def test_a_table_and_what_failed(cli: Cli, tmp_path: Path) -> None:
    said = cli("eval", "--suite", "suite.yml", "--repeats", "2", "--keep", "kept")
    assert said.code == 0
    assert "mock (scripted)" in said.out
    assert said.out.count("2/2 (100 %)") == 2
    assert "failed" not in said.out
    assert said.err.count("mock: answer passed, ") == 2
    assert len(list((tmp_path / "kept" / "runs").iterdir())) == 2


def test_one_document(cli: Cli) -> None:
    (Path("right.py")).write_text("results = {'answer': 41}")
    said = cli("eval", "--suite", "suite.yml", "--json")
    assert said.code == 0
    [told] = said.document["generators"]
    assert {name: told[name] for name in ("name", "first_try", "passed", "of")} == {
        "name": "mock",
        "first_try": 0,
        "passed": 0,
        "of": 1,
    }
    assert told["tasks"][0]["problems"] == ["results: answer is 41, not 42"]


def test_a_generator_that_lacks_its_key(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    Path("config.yml").write_text("models: {python_code_generator: {provider: anthropic, model_id: m}}\n")
    said = cli("eval", "--suite", "suite.yml", "--generator", "basic")
    assert said.code == 2
    assert "ended early: anthropic, model m: there is no key; set ANTHROPIC_API_KEY" in said.out


def test_a_provider_that_refuses_the_key(cli: Cli) -> None:
    with ScriptedProvider() as provider:
        provider.script(Step(status=401))
        Path("config.yml").write_text(
            "models: {python_code_generator: {provider: ours, model_id: small, api_key: wrong, "
            f"base_url: '{provider.url}/v1'}}}}\n"
        )
        said = cli("eval", "--suite", "suite.yml", "--generator", "basic", "--json")
    assert said.code == 6
    [told] = said.document["generators"]
    assert [(task["passed"], task["answered"]) for task in told["tasks"]] == [(False, False)]


@pytest.mark.parametrize(
    ("name", "words"),
    [("nobody", "there is no generator nobody; available are "), ("no_module:Writer", "cannot be loaded: ")],
)
def test_a_generator_that_nobody_knows_is_told_before_anything_is_run(cli: Cli, name: str, words: str) -> None:
    said = cli("eval", "--suite", "suite.yml", "--generator", "mock", "--generator", name)
    assert said.code == 2
    assert words in said.err
    assert "answer passed" not in said.err


def test_the_suite_itself(cli: Cli) -> None:
    assert cli("eval", "--suite", "suite.yml", "--self-test").code == 0
    Path("suite.yml").write_text(SUITE.replace("41", "42"))
    said = cli("eval", "--suite", "suite.yml", "--self-test")
    assert said.code == 1
    assert said.out == "answer: its mistake passes\nThe suite is wrong in 1 place.\n"


def test_a_suite_that_is_none(cli: Cli) -> None:
    Path("suite.yml").write_text(SUITE.replace("machine", "machines"))
    said = cli("eval", "--suite", "suite.yml")
    assert said.code == 2
    assert "suite.yml line 2: machines: is not a key; did you mean machine?" in said.err
