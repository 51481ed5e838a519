"""Notes and programs in the store: where each lies, and what is never kept."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, TypeVar

from pydantic import ValidationError

from osprey_executor.errors import InvalidRequestError, StorageError
from osprey_executor.models import Note, ProvenScript, system_user
from osprey_executor.text import one_line

if TYPE_CHECKING:
    from osprey_executor.memory._store import SqliteStore

MOST_TEXT = 2000
"""Characters of a note."""
MOST_CODE = 64 * 2**10
"""Characters of a kept program."""
MOST = {"note": 200, "proposed": 50, "script": 500}
"""How many of each a person may have."""
_WORDS = {"note": "note", "proposed": "proposal", "script": "note or kept program"}
_MANY = {"note": "notes", "proposed": "proposals", "script": "kept programs"}
_ALL = 1_000_000

Kind = Literal["note", "proposed", "script"]
Item = TypeVar("Item", Note, ProvenScript)


def named(owner: str | None) -> str:
    """Return whose memory is meant; None: that of the user of the system."""
    return system_user() if owner is None else owner


def place(kind: Kind, owner: str) -> tuple[str, str]:
    """Return where the store keeps what is `owner`'s."""
    # The library joins names by dots; in hexadecimal no name of a person is the beginning of another place.
    return kind, "u" + owner.encode("utf-8", "surrogatepass").hex()


def checked(text: str) -> str:
    """Return the text of a note without blanks around it.

    Raises:
        InvalidRequestError: it is empty, too long, or no text.
    """
    text = text.strip()
    if not text:
        raise InvalidRequestError("the note is empty: say in words what is to be known")
    if len(text) > MOST_TEXT:
        raise InvalidRequestError(f"the note has {len(text)} characters; {MOST_TEXT} are kept at most")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidRequestError(f"the note is not text in UTF-8: {one_line(text, 60)}") from None
    return text


def new_note(text: str, owner: str, *, author: str, shared: bool = False, created_at: datetime | None = None) -> Note:
    """Return a note that lies nowhere yet.

    Raises:
        InvalidRequestError: the text is empty, too long, or no text.
    """
    return Note(
        id=f"n-{secrets.token_hex(4)}",
        text=checked(text),
        owner=owner,
        author=author,
        shared=shared,
        created_at=created_at or datetime.now(UTC),
    )


def put(store: SqliteStore, *, kind: Kind, item: Item) -> Item:
    """Keep something new, or another version of it.

    Raises:
        InvalidRequestError: its owner has the most there may be.
    """
    at = place(kind, item.owner)
    if store.get(at, item.id) is None and len(store.search(at, limit=MOST[kind])) == MOST[kind]:
        raise InvalidRequestError(
            f"{one_line(item.owner)} has {MOST[kind]} {_MANY[kind]}, the most there may be: delete one first "
            "(`osprey-executor memory list`)"
        )
    store.put(at, item.id, item.model_dump(mode="json"))
    return item


def has_note(store: SqliteStore, owner: str, id: str) -> bool:
    """Tell whether `owner` has a note of this id; ids of programs are those of their runs, which may look like any."""
    return store.get(place("note", owner), id) is not None


def get(store: SqliteStore, kind: Kind, model: type[Item], owner: str, id: str) -> Item:
    """Return what is `owner`'s under this id.

    Raises:
        InvalidRequestError: there is nothing, whatever others have.
    """
    found = store.get(place(kind, owner), id)
    if found is None:
        listed = f"osprey-executor memory {'pending' if kind == 'proposed' else 'list'}"
        raise InvalidRequestError(
            f"{one_line(owner)} has no {_WORDS[kind]} {one_line(id, 80)!r}; `{listed}` shows them"
        )
    return valid(model, found.value)


def remove(store: SqliteStore, kind: Kind, model: type[Item], owner: str, id: str) -> Item:
    """Delete what is `owner`'s under this id, and return it.

    Raises:
        InvalidRequestError: there is nothing, whatever others have.
    """
    item = get(store, kind, model, owner, id)
    store.delete(place(kind, owner), id)
    return item


def own(store: SqliteStore, kind: Kind, model: type[Item], owner: str) -> list[Item]:
    """Return what is `owner`'s, the oldest first."""
    return _sorted(valid(model, item.value) for item in store.search(place(kind, owner), limit=_ALL))


def visible_to(store: SqliteStore, kind: Kind, model: type[Item], owner: str) -> list[Item]:
    """Return what is `owner`'s, and what others share, the oldest first."""
    shared = [valid(model, item.value) for item in store.search((kind,), filter={"shared": True}, limit=_ALL)]
    return _sorted([*own(store, kind, model, owner), *(item for item in shared if item.owner != owner)])


def _sorted(items: Iterable[Item]) -> list[Item]:
    return sorted(items, key=lambda item: (item.created_at if isinstance(item, Note) else item.kept_at, item.id))


def valid(model: type[Item], value: object) -> Item:
    """Return what a row of the store holds, also as JSON.

    Raises:
        StorageError: it is damaged.
    """
    try:
        return model.model_validate_json(value) if isinstance(value, str) else model.model_validate(value)
    except ValidationError as error:
        raise StorageError(
            f"the memory is damaged: something in memory.sqlite is no {model.__name__} "
            f"({error.error_count()} fields are not as written)"
        ) from error
