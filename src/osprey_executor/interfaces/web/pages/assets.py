"""The style and the script of the pages, which are files of this package."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files


@cache
def content(name: str) -> bytes:
    """Return a file."""
    return files("osprey_executor.interfaces.web.pages").joinpath("static", name).read_bytes()


@cache
def address_of(name: str) -> str:
    """Return where a file is, with a mark of its content, so that a browser never keeps an old one."""
    return f"/static/{name}?{hashlib.sha256(content(name)).hexdigest()[:12]}"
