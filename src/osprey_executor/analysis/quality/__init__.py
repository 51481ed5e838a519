"""Quality gates: plain mistakes, for the author of a program, found before it runs."""

from osprey_executor.analysis.quality._gates import Gates, flaws
from osprey_executor.analysis.quality._loops import caught_by, inside, is_exit, never_ends, suppressed_by

__all__ = ["Gates", "caught_by", "flaws", "inside", "is_exit", "never_ends", "suppressed_by"]
