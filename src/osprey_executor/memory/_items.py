"""Notes and programs in the store: where each lies, and what is never kept."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
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
_FULL = {
    "note": "delete one first (`osprey-executor memory list`)",
    "proposed": "accept or reject one first (`osprey-executor memory pending`, `osprey-executor memory reject ID`)",
    "script": "delete one first (`osprey-executor memory list`)",
}
_OWN = "SELECT prefix, key, CAST(value AS BLOB) FROM store WHERE prefix = ?"
_SHARED = """
SELECT prefix, key, CAST(value AS BLOB) FROM store WHERE prefix GLOB ? AND prefix <> ?
AND CASE WHEN json_valid(CAST(value AS TEXT)) THEN json_extract(CAST(value AS TEXT), '$.shared') = 1 END
"""

Row = tuple[str, str, bytes]
"""Place, key and JSON: read as it is, because the library gives up at the first row that is damaged."""
Kind = Literal["note", "proposed", "script"]
Item = TypeVar("Item", Note, ProvenScript)


class FullError(InvalidRequestError):
    """A person has the most there may be of something."""


def named(owner: str | None) -> str:
    """Return whose memory is meant; None: that of the user of the system.

    Raises:
        InvalidRequestError: it is no text.
    """
    name = system_user() if owner is None else owner
    if not is_text(name):
        raise InvalidRequestError(f"the owner is not text in UTF-8: {one_line(name, 60)}")
    return name


def is_text(text: str) -> bool:
    """Tell whether a text can be kept: half a character, as of a name of a file that is no UTF-8, cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


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
    if not is_text(text):
        raise InvalidRequestError(f"the note is not text in UTF-8: {one_line(text, 60)}")
    return text


def new_note(text: str, owner: str, *, author: str, shared: bool = False, created_at: datetime | None = None) -> Note:
    """Return a note that lies nowhere yet.

    Raises:
        InvalidRequestError: the text is empty, too long, or no text, or the time is none.
    """
    at = created_at or datetime.now(UTC)
    try:
        at = at if at.tzinfo else at.astimezone()  # without a zone it is local time
    except (ValueError, OverflowError, OSError) as error:
        raise InvalidRequestError(f"created_at {at} is no local time of this machine: {error}") from None
    return Note(
        id=f"n-{secrets.token_hex(4)}",
        text=checked(text),
        owner=owner,
        author=author,
        shared=shared,
        created_at=at,
    )


def put(store: SqliteStore, *, kind: Kind, item: Item) -> Item:
    """Keep something new, or another version of it.

    Raises:
        InvalidRequestError: its owner has the most there may be (FullError), or a field is no text.
    """
    for name, value in item:
        if isinstance(value, str) and not is_text(value):
            raise InvalidRequestError(f"the {name} is not text in UTF-8: {one_line(value, 60)}")
    at = place(kind, item.owner)
    if _value(store, kind, item.owner, item.id) is None and len(_own_rows(store, kind, item.owner)) >= MOST[kind]:
        raise FullError(f"{one_line(item.owner)} has {MOST[kind]} {_MANY[kind]}, the most there may be: {_FULL[kind]}")
    store.put(at, item.id, item.model_dump(mode="json"))
    return item


def has_note(store: SqliteStore, owner: str, id: str) -> bool:
    """Tell whether `owner` has a note of this id; ids of programs are those of their runs, which may look like any."""
    return _value(store, "note", owner, id) is not None


def get(store: SqliteStore, kind: Kind, model: type[Item], owner: str, id: str) -> Item:
    """Return what is `owner`'s under this id.

    Raises:
        InvalidRequestError: there is nothing, whatever others have.
        StorageError: it is damaged.
    """
    item = valid(model, _found(store, kind, owner, id))
    if item is None:
        raise StorageError(
            f"the {_WORDS[kind]} {one_line(id, 80)!r} of {one_line(owner)} is damaged and cannot be read: delete it "
            f"(`osprey-executor memory {'reject' if kind == 'proposed' else 'delete'} {one_line(id, 80)}`)"
        )
    return item


def remove(store: SqliteStore, kind: Kind, model: type[Item], owner: str, id: str) -> Item | None:
    """Delete what is `owner`'s under this id, and return it; None: it was damaged.

    Raises:
        InvalidRequestError: there is nothing, whatever others have.
    """
    item = valid(model, _found(store, kind, owner, id))
    store.delete(place(kind, owner), id)
    return item


def own(store: SqliteStore, kind: Kind, model: type[Item], owner: str, damaged: list[str]) -> list[Item]:
    """Return what is `owner`'s, the oldest first, and add to `damaged` what cannot be read."""
    return _sorted(readable(model, _own_rows(store, kind, owner), damaged))


def visible_to(store: SqliteStore, kind: Kind, model: type[Item], owner: str, damaged: list[str]) -> list[Item]:
    """Return what is `owner`'s, and what others share, the oldest first, and add to `damaged` what cannot be read."""
    shared = store.conn.execute(_SHARED, (f"{kind}.*", ".".join(place(kind, owner))))
    return _sorted(readable(model, [*_own_rows(store, kind, owner), *shared], damaged))


def all_damaged(store: SqliteStore, owner: str) -> list[str]:
    """Return what cannot be read of what `owner` has and others share."""
    found: list[str] = []
    visible_to(store, "note", Note, owner, found)
    visible_to(store, "script", ProvenScript, owner, found)
    own(store, "proposed", Note, owner, found)
    return found


def readable(model: type[Item], rows: Iterable[Row], damaged: list[str]) -> Iterator[Item]:
    """Yield what rows hold, and add to `damaged` those that cannot be read: one alone keeps nobody from the others."""
    for at, id, value in rows:
        item = valid(model, value)
        if item is None:
            damaged.append(_named_row(at, id))
        else:
            yield item


def _named_row(at: str, id: str) -> str:
    kind, _, owner = at.partition(".u")
    with suppress(ValueError):
        owner = bytes.fromhex(owner).decode()
    word = {"note": "note", "proposed": "proposal"}.get(kind, "kept program")
    return f"{word} {one_line(id, 80)} of {one_line(owner)}"


def _own_rows(store: SqliteStore, kind: Kind, owner: str) -> list[Row]:
    return store.conn.execute(_OWN, (".".join(place(kind, owner)),)).fetchall()


def _value(store: SqliteStore, kind: Kind, owner: str, id: str) -> bytes | None:
    if not is_text(id):
        return None
    row = store.conn.execute(f"{_OWN} AND key = ?", (".".join(place(kind, owner)), id)).fetchone()
    return row[2] if row else None


def _found(store: SqliteStore, kind: Kind, owner: str, id: str) -> bytes:
    value = _value(store, kind, owner, id)
    if value is None:
        listed = f"osprey-executor memory {'pending' if kind == 'proposed' else 'list'}"
        raise InvalidRequestError(
            f"{one_line(owner)} has no {_WORDS[kind]} {one_line(id, 80)!r}; `{listed}` shows them"
        )
    return value


def _sorted(items: Iterable[Item]) -> list[Item]:
    return sorted(items, key=lambda item: (item.created_at if isinstance(item, Note) else item.kept_at, item.id))


def valid(model: type[Item], value: bytes) -> Item | None:
    """Return what a row of the store holds; None: it is damaged."""
    try:
        return model.model_validate_json(value)
    except ValidationError:
        return None
