"""Analysis: source in, findings and effects out. It parses only; nothing of the program is imported or run."""

from osprey_executor.analysis._analyze import Policy, analyze

__all__ = ["Policy", "analyze"]
