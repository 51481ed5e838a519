"""The command line in a process that signals itself: `MODULE,SIGNAL,...` and then the arguments of the command.

The signal comes when the module is imported, or, for `end`, when the interpreter takes itself down.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from importlib.abc import MetaPathFinder
from typing import Any

from osprey_executor.interfaces import cli

WHERE, NAME = sys.argv[1].split(",")


def send() -> None:
    os.kill(os.getpid(), getattr(signal, NAME))


class Sender(MetaPathFinder):
    def find_spec(self, fullname: str, *_: Any) -> None:
        if fullname == WHERE:
            send()


if WHERE == "end":
    atexit.register(send)
assert WHERE not in sys.modules
sys.meta_path.insert(0, Sender())
sys.argv = ["osprey-executor", *sys.argv[2:]]
cli.main()
