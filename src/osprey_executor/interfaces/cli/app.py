"""The Typer application: all commands by name, and the frame that no error escapes as a traceback."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer
from typer.main import get_command

from osprey_executor.errors import StorageError
from osprey_executor.interfaces.cli.commands import (
    analyze,
    approve,
    audit,
    cancel,
    config,
    container,
    demo,
    doctor,
    edit,
    eval,
    generate,
    keeping,
    limits,
    mcp,
    memory,
    pending,
    rehearse,
    reject,
    replay,
    restore,
    run,
    runs,
    serve,
    settle,
    show,
    simulator,
    stop_writes,
    users,
    watch,
)
from osprey_executor.interfaces.cli.commands.options import ConfigFile, help_of
from osprey_executor.interfaces.cli.exits import Exit
from osprey_executor.interfaces.cli.failures import report, tell
from osprey_executor.interfaces.cli.streams import prepare_streams, write_out

_NAME = "osprey-executor"

app = typer.Typer(
    name=_NAME,
    help="Turns a task in words into Python that is analysed, approved by a person, run in isolation and recorded.",
    epilog="Exit codes: 0 succeeded, 1 the code failed, 2 usage or configuration, 3 awaiting approval, 4 rejected or "
    "refused, 5 timed out, 6 engine unavailable, 7 outcome unknown, 8 cancelled, 130 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command, panel in (
    (demo.demo, "Start here"),
    (run.run, "Start here"),
    (analyze.analyze, "Start here"),
    (rehearse.rehearse, "Start here"),
    (pending.pending, "Decide"),
    (approve.approve, "Decide"),
    (edit.edit, "Decide"),
    (reject.reject, "Decide"),
    (settle.settle, "Decide"),
    (runs.runs, "Look after runs"),
    (show.show, "Look after runs"),
    (watch.watch, "Look after runs"),
    (cancel.cancel, "Look after runs"),
    (replay.replay, "Look after runs"),
    (restore.restore, "Look after runs"),
    (keeping.prune, "Look after runs"),
    (keeping.backup, "Look after runs"),
    (doctor.doctor, "Set up"),
    (serve.serve, "Set up"),
    (mcp.mcp, "Set up"),
    (simulator.simulator, "Set up"),
):
    app.command(help=help_of(command), rich_help_panel=panel)(command)
for name, command in (("stop-writes", stop_writes.stop_writes), ("allow-writes", stop_writes.allow_writes)):
    app.command(name, help=help_of(command), rich_help_panel="Decide")(command)
app.command("eval", help=help_of(eval.evaluate), rich_help_panel="Set up")(eval.evaluate)
app.add_typer(config.app, name="config", rich_help_panel="Set up")
app.add_typer(container.app, name="container", rich_help_panel="Set up")
app.add_typer(generate.app, name="generate", rich_help_panel="Set up")
app.add_typer(audit.app, name="audit", rich_help_panel="Look after runs")
app.add_typer(users.app, name="users", rich_help_panel="Set up")
app.add_typer(limits.app, name="limits", rich_help_panel="Set up")
app.add_typer(memory.app, name="memory", rich_help_panel="Look after runs")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"{_NAME} {version(_NAME)}")
        raise typer.Exit


@app.callback()
def _options(  # pyright: ignore[reportUnusedFunction] - Typer calls it
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    config: ConfigFile = None,
) -> None:
    if config is None:
        return
    chosen = _defaults(context.command, str(config))
    name = context.invoked_subcommand
    if name is not None and not chosen.get(name):
        raise typer.BadParameter(f"{name} takes none: each run has its own configuration", param_hint="--config")
    context.default_map = chosen  # so where it stands after the command, that one wins


def _defaults(command: Any, config: str) -> dict[str, Any]:
    """Return the default of `--config` for every command below `command` that has it."""
    below: dict[str, Any] = getattr(command, "commands", {})
    if not below:
        return {"config": config} if any(one.name == "config" for one in command.params) else {}
    return {name: _defaults(one, config) for name, one in below.items()}


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code."""
    prepare_streams()
    code = _guarded(list(sys.argv[1:] if arguments is None else arguments))
    with contextlib.suppress(StorageError):  # what Typer itself has printed, as help, and nobody could take
        write_out(lambda: None)
    sys.exit(code)


def _guarded(arguments: list[str]) -> int:
    as_json = "--json" in arguments
    try:
        return int(get_command(app).main(arguments, prog_name=_NAME, standalone_mode=False) or 0)
    except typer.TyperException as error:
        context: typer.Context | None = getattr(error, "ctx", None)
        hint = f" (see {context.command_path if context else _NAME} --help)"
        return tell(type(error).__name__, error.format_message() + hint, Exit.USAGE, as_json=as_json)
    except (KeyboardInterrupt, typer.Abort):
        return tell("Interrupted", "interrupted", Exit.INTERRUPTED, as_json=as_json)
    except Exception as error:  # the last resort: a person gets a sentence, the details go to a file
        return report(error, as_json=as_json)
