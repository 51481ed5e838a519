"""`users`: the people of the site, what each may do, and the tokens that they show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from osprey_executor.interfaces.cli.commands.options import Json, help_of

if TYPE_CHECKING:
    from osprey_executor.models import Role
    from osprey_executor.service import People

app = typer.Typer(help="Say who may use the service, and as what; tokens are shown once.", no_args_is_help=True)

_ROLES = "requester, viewer, approver or admin"
Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the person.", show_default=False)]


def add(
    name: Name,
    role: Annotated[list[str], typer.Option(help=f"What they are: {_ROLES}. Repeatable.", show_default=False)],
    as_json: Json = False,
) -> int:
    """Add a person and print their token, which is shown this once."""
    roles = _roles(role)
    return _shown_once(name, _people().add(name, roles), as_json=as_json)


def token(name: Name, as_json: Json = False) -> int:
    """Print a new token of a person, which is shown this once; the old one is void."""
    return _shown_once(name, _people().renew(name), as_json=as_json)


def listed(as_json: Json = False) -> int:
    """List the people and their roles."""
    from rich.table import Table
    from rich.text import Text

    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.streams import write_json

    screen = Screen.open(as_json=as_json)
    people = _people().all()
    if as_json:
        write_json([{"name": one.name, "roles": sorted(one.roles)} for one in people])
        return 0
    if not people:
        screen.tell(f"Nobody yet: osprey-executor users add NAME --role ROLE ({_ROLES})")
        return 0
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("name", no_wrap=True)
    table.add_column("roles")
    for one in people:
        table.add_row(Text(one.name), Text(", ".join(sorted(one.roles))))
    screen.show(table)
    return 0


def roles(
    name: Name,
    role: Annotated[list[str], typer.Argument(metavar="ROLE...", help=f"{_ROLES}.", show_default=False)],
    as_json: Json = False,
) -> int:
    """Give a person other roles, in the place of those that they have; their token stays."""
    given = _roles(role)
    _people().give(name, given)
    return _told({"name": name, "roles": sorted(given)}, f"{name} is now {', '.join(sorted(given))}.", as_json=as_json)


def remove(name: Name, as_json: Json = False) -> int:
    """Remove a person; their token is void at once."""
    _people().remove(name)
    return _told({"name": name, "removed": True}, f"{name} is removed, and their token void.", as_json=as_json)


def _people() -> People:
    from osprey_executor.config import state_folder
    from osprey_executor.service import People

    return People(state_folder())


def _roles(given: list[str]) -> list[Role]:
    from osprey_executor.errors import InvalidRequestError
    from osprey_executor.models import Role

    known = {role.value for role in Role}
    if wrong := [role for role in given if role not in known]:
        raise InvalidRequestError(f"{wrong[0]!r:.100} is no role: give {_ROLES}")
    return [Role(role) for role in given]


def _shown_once(name: str, token: str, *, as_json: bool) -> int:
    import sys

    from osprey_executor.interfaces.cli.streams import write_json, write_out

    if as_json:
        write_json({"name": name, "token": token})
    else:
        sys.stderr.write(f"The token of {name}, which nobody can show again:\n")
        write_out(lambda: sys.stdout.write(f"{token}\n"))
    return 0


def _told(document: dict[str, Any], words: str, *, as_json: bool) -> int:
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.streams import write_json

    if as_json:
        write_json(document)
    else:
        Screen.open(as_json=False).show(words, wrap=False)
    return 0


for command_name, command in (
    ("add", add),
    ("list", listed),
    ("roles", roles),
    ("token", token),
    ("remove", remove),
):
    app.command(command_name, help=help_of(command))(command)
