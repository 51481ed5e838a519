"""Leaves matplotlib's list of fonts in the working folder."""

from __future__ import annotations

import pathlib
import shutil

import matplotlib
from matplotlib import font_manager

assert font_manager.fontManager.ttflist
for path in pathlib.Path(matplotlib.get_cachedir()).glob("fontlist*.json"):
    shutil.copyfile(path, path.name)
