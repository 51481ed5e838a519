"""Who writes the code: the protocol of a generator, those that are built in, and how one is chosen."""

from osprey_executor.generation._meter import Meter, meter, metered
from osprey_executor.generation._online import ChecksOnline, check_generator
from osprey_executor.generation._protocol import CodeGenerator
from osprey_executor.generation._registry import (
    available_generators,
    create_code_generator,
    generator_faults,
    generator_label,
)
from osprey_executor.generation._scripts import BEHAVIORS
from osprey_executor.generation.basic import BasicLLMCodeGenerator
from osprey_executor.generation.claude_code import ClaudeCodeGenerator, claude_generator_config
from osprey_executor.generation.hybrid import HybridCodeGenerator
from osprey_executor.generation.mock import MockCodeGenerator

__all__ = [
    "BEHAVIORS",
    "BasicLLMCodeGenerator",
    "ChecksOnline",
    "ClaudeCodeGenerator",
    "CodeGenerator",
    "HybridCodeGenerator",
    "Meter",
    "MockCodeGenerator",
    "available_generators",
    "check_generator",
    "claude_generator_config",
    "create_code_generator",
    "generator_faults",
    "generator_label",
    "meter",
    "metered",
]
