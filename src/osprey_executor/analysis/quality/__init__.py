"""Quality gates: plain mistakes, for the author of a program, found before it runs."""

from osprey_executor.analysis.quality._gates import Gates, flaws
from osprey_executor.analysis.quality._tree import never_ends

__all__ = ["Gates", "flaws", "never_ends"]
