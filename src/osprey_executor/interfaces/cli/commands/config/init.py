"""`config init`: a first configuration, asked for or given by options."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osprey_executor.text import one_line

if TYPE_CHECKING:
    from osprey_executor.config.init import Choice
    from osprey_executor.interfaces.cli.screen import Screen


def init(
    provider: Annotated[str | None, typer.Option(help="Who serves the model: anthropic, openai, ...")] = None,
    model: Annotated[str | None, typer.Option(help="Name of the model, as the provider writes it.")] = None,
    key_variable: Annotated[str | None, typer.Option(help="Environment variable that holds the key.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Address of an OpenAI-compatible server.")] = None,
    output: Annotated[Path, typer.Option(metavar="FILE", help="File to write.")] = Path("config.yml"),
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> int:
    """Write a commented configuration file for one model.

    At a terminal it asks for what is not given. The file holds the name of the key's variable, never the key.
    """
    import os

    from osprey_executor.config.init import detect, render
    from osprey_executor.errors import ConfigurationError
    from osprey_executor.interfaces.cli.screen import Screen

    if output.exists() and not force:
        raise ConfigurationError(f"{output} exists: give --force to replace it, or --output FILE for another")
    screen = Screen.open()
    choices = detect(os.environ)
    if provider is None or model is None:
        if not screen.interactive:
            raise ConfigurationError(
                "there is no terminal to ask at: give --provider and --model, --key-variable and --base-url as needed"
            )
        provider, base_url = _ask_provider(screen, choices, provider, base_url)
        model, key_variable = _ask_rest(provider, choices, model, key_variable)
    _write(output, render(provider, model, key_variable=key_variable, base_url=base_url), force=force)
    screen.tell(f"Written: {output.absolute()}")
    screen.tell(
        "Machine: mock, whose readings are invented; control_system.type in the file changes it to simulator or epics."
    )
    screen.tell("Next: osprey-executor config check, then osprey-executor run 'plot a sine'")
    return 0


def _ask_provider(
    screen: Screen, choices: tuple[Choice, ...], provider: str | None, base_url: str | None
) -> tuple[str, str | None]:
    """Return the provider and its URL; a name that was mistyped is asked again, not its URL for ever."""
    if provider is None:
        _offer(screen, choices)
    while True:
        name = provider or _ask("Provider", choices[0].provider)
        known = next((choice for choice in choices if choice.provider == name), None)
        if base_url is not None or (known and not known.base_url):
            return name, base_url
        if known:
            return name, _ask("Base URL", known.base_url)
        offered = [choice.provider for choice in choices]
        near = get_close_matches(name.lower(), offered, n=1, cutoff=0.6)
        meant = f" Did you mean {near[0]}?" if near else ""
        screen.tell(
            f"{one_line(name, 60)} is none of {', '.join(offered)}.{meant} Another server needs the URL of its "
            "OpenAI-compatible interface, such as http://localhost:8000/v1; empty goes back to the provider."
        )
        if url := _ask("Base URL", ""):
            return name, url
        provider = None


def _offer(screen: Screen, choices: tuple[Choice, ...]) -> None:
    screen.tell("Who serves the model? A name from this list, or any other OpenAI-compatible server:")
    for choice in choices:
        key = (
            f"${choice.key_variable} is {'set' if choice.key_is_set else 'not set'}"
            if choice.key_variable
            else "no key"
        )
        screen.tell(f"  {choice.provider:<10} {key}", style="green" if choice.key_is_set else None)


def _ask_rest(
    provider: str, choices: tuple[Choice, ...], model: str | None, key_variable: str | None
) -> tuple[str, str | None]:
    known = next((choice for choice in choices if choice.provider == provider), None)
    model = model or _ask("Model", known.model_id if known else None)
    if key_variable is None and known is not None and known.key_variable:
        key_variable = _ask("Environment variable that holds the key", known.key_variable)
    elif key_variable is None and known is None:
        key_variable = _ask("Environment variable that holds the key (empty: none is needed)", "") or None
    return model, key_variable


def _ask(question: str, default: str | None) -> str:
    return str(typer.prompt(question, default=default, err=True, show_default=bool(default))).strip()


def _write(path: Path, text: str, *, force: bool) -> None:
    from osprey_executor.errors import ConfigurationError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigurationError(f"{path} exists: give --force to replace it") from None
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror or error}") from None
