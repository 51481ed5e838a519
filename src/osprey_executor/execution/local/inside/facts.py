"""Prints what the interpreter is and which distributions its environment has, as one line of JSON.

Runs without `site`, so nothing of the environment is executed. The arguments are the prefixes to look at.
"""

# The plainest calls, for any Python from 3.9 on.
# ruff: noqa: PTH208
from __future__ import annotations

import json
import os
import site
import sys

packages: dict[str, str] = {}
for folder in site.getsitepackages(sys.argv[1:]):
    try:
        names = os.listdir(folder)
    except OSError:
        continue
    for name in names:
        stem, dot, kind = name.rpartition(".")
        if dot and kind in ("dist-info", "egg-info"):
            package, _, version = stem.partition("-")
            packages.setdefault(package.lower().replace("_", "-"), version.partition("-py")[0])
told = {
    "version": ".".join(str(part) for part in sys.version_info[:3]),
    "implementation": sys.implementation.name,
    "packages": dict(sorted(packages.items())),
}
sys.stdout.write(json.dumps(told) + "\n")
