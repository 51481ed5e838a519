"""The pins install on the oldest Python that the project promises."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parent.parent


def test_every_pin_admits_the_oldest_python() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    oldest = project["requires-python"].removeprefix(">=") + ".0"
    names = re.findall(r"^([A-Za-z0-9._-]+)==", (ROOT / "requirements" / "dev.txt").read_text(), re.MULTILINE)
    assert len(names) > 100
    refusing: list[str] = []
    for name in names:
        try:
            wanted = metadata(name).get("Requires-Python")
        except PackageNotFoundError:
            continue  # a pin for another platform
        if wanted and oldest not in SpecifierSet(wanted):
            refusing.append(f"{name} wants {wanted}")
    assert refusing == []
