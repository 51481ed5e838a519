"""`generate claude-config`: the settings of the generator `claude_code`, with comments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def claude_config(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="File to write.")] = Path(
        "claude_generator_config.yml"
    ),
) -> int:
    """Write the commented settings of the generator claude_code.

    A file that exists stays as it is.
    """
    from osprey_executor.errors import ConfigurationError
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.service import claude_generator_config

    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(claude_generator_config())
    except FileExistsError:
        raise ConfigurationError(f"{output} exists: remove it, or give --output FILE for another") from None
    except OSError as error:
        raise ConfigurationError(f"cannot write {output}: {error.strerror or error}") from None
    screen = Screen.open()
    screen.tell(f"Written: {output.absolute()}")
    screen.tell(
        "Next: name it in config.yml as execution.generators.claude_code.claude_config_path, and set "
        "execution.code_generator to claude_code"
    )
    return 0
