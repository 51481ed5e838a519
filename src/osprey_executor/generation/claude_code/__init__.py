"""`claude_code`: Claude Code reads the facility's own scripts, confined to copies of them, and writes the program."""

from osprey_executor.generation.claude_code._settings import claude_generator_config
from osprey_executor.generation.claude_code.generator import ClaudeCodeGenerator

__all__ = ["ClaudeCodeGenerator", "claude_generator_config"]
