"""Engines: they run a program in isolation and tell, beyond the program's reach, how it ended."""

from osprey_executor.execution._engine import Engine, KnowsModules
from osprey_executor.execution._events import EngineEvent, FigureDrawn, OutputChunk, ProgressReport
from osprey_executor.execution._open import engine_problem, open_engine
from osprey_executor.models import Outcome, Program

__all__ = [
    "Engine",
    "EngineEvent",
    "FigureDrawn",
    "KnowsModules",
    "Outcome",
    "OutputChunk",
    "Program",
    "ProgressReport",
    "engine_problem",
    "open_engine",
]
