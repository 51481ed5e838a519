"""Files that are no configuration end in one clear sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.config.conftest import Load

from osprey_executor.config import Config, load_config
from osprey_executor.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("approval:\n  mode: all_code\n  mode: disabled\n", "line 3: approval.mode stands twice, first in line 2"),
        ("- a\n- b\n", "line 1: the top level is a list"),
        ("just words\n", "line 1: the top level is a single value"),
        ("execution:\n\tisolation: full\n", "line 2: is indented with a tab"),
        ("execution:\n  isolation: [full\n", "is not valid YAML"),
        ("execution: {isolation: full\n", "is not valid YAML"),
        ("a: 1\n---\nb: 2\n", "is not valid YAML"),
        ("execution: !!python/object/apply:os.system ['true']\n", "line 1: holds a YAML tag"),
        ("models: {a: !!python/name:os.system x}\n", "line 1: holds a YAML tag"),
        ("models: {[1, 2]: x}\n", "line 1: a key is a list"),
        ("models: {<<: 3}\n", "`<<` merges a single value"),
        ("execution: *nowhere\n", "is not valid YAML"),
        (b"\xff\xfe\x00binary", "not a text file in UTF-8"),
        (b"ab\x00cd", "binary file"),
        (b"execution:\n  isolation: \x07full\n", "line 2: holds a control character"),
        ("[" * 100_000, "nested too deeply"),
        (b"# " + b"x" * 2**20, "larger than 1 MiB"),
        ("a: 1\nexecution: {timeout: !!int x}\n", "line 2: 'x' is not a value of the YAML type int"),
        ("a: !!bool x\n", "line 1: 'x' is not a value of the YAML type bool"),
        ("a: !!int ''\n", "line 1: '' is not a value of the YAML type int"),
        (f"a: {'9' * 5000}\n", "line 1: '9999.* is not a value of the YAML type int"),
        ("osprey: [execution]\n", "osprey must be a mapping"),
        ("execution: local\n", "execution must be a mapping"),
    ],
)
def test_unusable_file(load: Load, text: str | bytes, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        load(text)
    told = str(caught.value)
    assert "config.yml" in told
    assert "\n" not in told
    assert len(told) < 600


def test_aliases_are_bounded(load: Load) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(ConfigurationError, match="aliases count each time"):
        load("\n".join(lines))


def test_alias_of_itself(load: Load) -> None:
    with pytest.raises(ConfigurationError, match=r"nested too deeply|aliases count"):
        load("models: &m {inner: *m}")


def test_aliases_and_merges_work(load: Load) -> None:
    config = load(
        """
        models:
          one: &one {provider: openai, model_id: a, temperature: 0.5}
          two: {<<: *one, model_id: b}
        """
    )
    assert config.models["two"].model_id == "b"
    assert config.models["two"].temperature == 0.5


def test_dates_are_text(load: Load) -> None:
    assert load("a: 2024-13-45\nexecution: {code_generator: 2024-13-45}\n").execution.code_generator == "2024-13-45"


@pytest.mark.parametrize("text", ["", "# nothing\n", "osprey:\n", "execution:\n", "\ufeffexecution: {}\n"])
def test_empty_file_is_the_defaults(load: Load, text: str) -> None:
    assert load(text.encode()).execution == Config().execution


def test_folder_missing_and_unreadable(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is a folder"):
        load_config(tmp_path)
    with pytest.raises(ConfigurationError, match=r"does not exist.*config init"):
        load_config(tmp_path / "none.yml")
    with pytest.raises(ConfigurationError, match="cannot be read: File name too long"):
        load_config(tmp_path / ("x" * 300))
    (tmp_path / "closed.yml").write_text("")
    (tmp_path / "closed.yml").chmod(0)
    if os.geteuid() != 0:
        with pytest.raises(ConfigurationError, match="may not be read"):
            load_config(tmp_path / "closed.yml")


def test_endless_file_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="larger than 1 MiB"):
        load_config(Path("/dev/zero"))
