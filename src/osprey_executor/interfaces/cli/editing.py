"""Lets a person change code in their own editor."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import tempfile
from pathlib import Path

from osprey_executor.errors import InvalidRequestError
from osprey_executor.interfaces.cli.sources import read_code
from osprey_executor.text import one_line


def editor_command() -> list[str]:
    """Return the person's editor as a command: `$VISUAL`, `$EDITOR`, or what is found.

    Raises:
        InvalidRequestError: there is none, or it does not exist.
    """
    wanted = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    try:
        command = shlex.split(wanted or "")
    except ValueError as error:
        raise InvalidRequestError(f"$EDITOR cannot be understood ({error}): {one_line(wanted or '')}") from None
    if not command:
        command = [found for name in ("nano", "vi") if (found := shutil.which(name))][:1]
    if not command:
        raise InvalidRequestError("no editor found: set $EDITOR, or give the new code with --code FILE")
    if not shutil.which(command[0]):
        raise InvalidRequestError(
            f"the editor {one_line(command[0])} was not found: set $EDITOR, or give the new code with --code FILE"
        )
    return command


async def edited(code: str) -> str | None:
    """Return `code` as the person left it in their editor; None where it is unchanged.

    Raises:
        InvalidRequestError: no editor, it failed, or what it left is not a program that can be read.
    """
    command = editor_command()
    with tempfile.TemporaryDirectory(prefix="osprey-executor-edit-") as folder:
        path = Path(folder) / "code.py"
        path.write_bytes(code.encode("utf-8", errors="surrogateescape"))
        process = await asyncio.create_subprocess_exec(*command, str(path))
        try:
            status = await process.wait()
        except asyncio.CancelledError:
            process.terminate()
            await process.wait()
            raise
        if status != 0:
            raise InvalidRequestError(
                f"the editor {one_line(command[0])} failed with status {status}; nothing is changed"
            )
        changed = read_code(str(path))
    return None if changed == code else changed
