"""The way of a task through the rooms, as a LangGraph graph, and the executor that drives runs along it."""

from osprey_executor.pipeline.decide import Decide
from osprey_executor.pipeline.executor import Executor

__all__ = ["Decide", "Executor"]
