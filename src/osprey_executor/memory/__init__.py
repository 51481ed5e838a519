"""What earlier runs and users have taught: notes in words, and programs that a person has marked as good."""

from osprey_executor.memory._memory import Memory

__all__ = ["Memory"]
