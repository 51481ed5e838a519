"""The memory of a state folder: each person's notes and proven programs, and those that others share."""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from osprey_executor.errors import InvalidRequestError
from osprey_executor.memory._choice import recalled
from osprey_executor.memory._items import (
    MOST_CODE,
    FullError,
    all_damaged,
    checked,
    get,
    has_note,
    named,
    new_note,
    own,
    place,
    put,
    readable,
    remove,
    visible_to,
)
from osprey_executor.memory._osprey import read_osprey
from osprey_executor.memory._store import Store
from osprey_executor.memory._words import similar
from osprey_executor.models import Imported, Note, ProvenScript, Remembered
from osprey_executor.text import one_line

if TYPE_CHECKING:
    from osprey_executor.memory._store import SqliteStore


class Memory:
    """Notes and proven programs, by owner. What is one person's reaches nobody else unless it is shared.

    Who calls is trusted to name the right owner; default: the user of the system. Any number of these, in any number of
    processes, may work on one state folder.
    """

    def __init__(self, home: Path) -> None:
        self._store = Store(home)

    async def close(self) -> None:
        """Close the file."""
        await self._store.close()

    async def notes(self, owner: str | None = None) -> list[Note]:
        """Return the notes that tasks of `owner` are given, their own and shared ones, the oldest first.

        Raises:
            StorageError: the memory cannot be read.
        """
        name = named(owner)
        return await self._store.look(lambda store: visible_to(store, "note", Note, name, []), [])

    async def scripts(self, owner: str | None = None) -> list[ProvenScript]:
        """Return the programs that tasks of `owner` may be given, their own and shared ones, the oldest first.

        Raises:
            StorageError: the memory cannot be read.
        """
        name = named(owner)
        return await self._store.look(lambda store: visible_to(store, "script", ProvenScript, name, []), [])

    async def proposed(self, owner: str | None = None) -> list[Note]:
        """Return the notes that models have proposed to `owner`; no generator is given them.

        Raises:
            StorageError: the memory cannot be read.
        """
        name = named(owner)
        return await self._store.look(lambda store: own(store, "proposed", Note, name, []), [])

    async def damaged(self, owner: str | None = None) -> list[str]:
        """Return what of all that cannot be read, with its id; the lists leave it out, and its owner can delete it.

        Raises:
            StorageError: the memory cannot be read.
        """
        name = named(owner)
        return await self._store.look(lambda store: all_damaged(store, name), [])

    async def add(
        self, text: str, *, owner: str | None = None, shared: bool = False, created_at: datetime | None = None
    ) -> Note:
        """Add a note by a person.

        Args:
            text: up to 2000 characters.
            owner: whose tasks are given it.
            shared: whether everybody's tasks are.
            created_at: when it was written, local time where it names no zone; default: now.

        Raises:
            InvalidRequestError: the text is empty or too long, or there are too many notes.
            StorageError: the memory cannot be written.
        """
        name = named(owner)
        note = new_note(text, name, author=name, shared=shared, created_at=created_at)
        return await self._store.change(functools.partial(put, kind="note", item=note))

    async def propose(self, text: str, *, author: str, owner: str | None = None) -> Note:
        """Add a note that a model proposes. It waits: no generator is given it before `owner` accepts it.

        Raises:
            InvalidRequestError: the text is empty or too long, or too many proposals wait.
            StorageError: the memory cannot be written.
        """
        note = new_note(text, named(owner), author=one_line(author))
        return await self._store.change(functools.partial(put, kind="proposed", item=note))

    async def accept(self, id: str, *, owner: str | None = None) -> Note:
        """Make a proposal a note, because its owner has read it.

        Raises:
            InvalidRequestError: no such proposal waits, or there are too many notes.
            StorageError: the memory cannot be written.
        """

        def work(store: SqliteStore) -> Note:
            note = put(store, kind="note", item=get(store, "proposed", Note, named(owner), id))
            store.delete(place("proposed", note.owner), id)
            return note

        return await self._store.change(work)

    async def reject(self, id: str, *, owner: str | None = None) -> Note | None:
        """Delete a proposal, and return it; None: it was damaged.

        Raises:
            InvalidRequestError: no such proposal waits.
            StorageError: the memory cannot be written.
        """
        return await self._store.change(lambda store: remove(store, "proposed", Note, named(owner), id))

    async def edit(self, id: str, text: str, *, owner: str | None = None) -> Note:
        """Give a note another text.

        Raises:
            InvalidRequestError: `owner` has no such note, or the text is empty or too long.
            StorageError: the memory cannot be written.
        """

        def work(store: SqliteStore) -> Note:
            note = get(store, "note", Note, named(owner), id)
            return put(store, kind="note", item=note.model_copy(update={"text": checked(text), "author": note.owner}))

        return await self._store.change(work)

    async def delete(self, id: str, *, owner: str | None = None) -> Note | ProvenScript | None:
        """Delete a note, or a kept program, and return it; None: it was damaged. Its run stays as it is.

        Raises:
            InvalidRequestError: `owner` has neither of that id.
            StorageError: the memory cannot be written.
        """

        def work(store: SqliteStore) -> Note | ProvenScript | None:
            name = named(owner)
            if has_note(store, name, id):
                return remove(store, "note", Note, name, id)
            return remove(store, "script", ProvenScript, name, id)

        return await self._store.change(work)

    async def share(self, id: str, *, owner: str | None = None, shared: bool = True) -> Note | ProvenScript:
        """Let everybody's tasks be given a note or a kept program, or no longer.

        Raises:
            InvalidRequestError: `owner` has neither of that id.
            StorageError: the memory cannot be written.
        """

        def work(store: SqliteStore) -> Note | ProvenScript:
            name, now = named(owner), {"shared": shared}
            if has_note(store, name, id):
                note = get(store, "note", Note, name, id)
                return put(store, kind="note", item=note.model_copy(update=now))
            script = get(store, "script", ProvenScript, name, id)
            return put(store, kind="script", item=script.model_copy(update=now))

        return await self._store.change(work)

    async def keep(self, script: ProvenScript) -> ProvenScript:
        """Keep a program that its owner has marked as good.

        Raises:
            InvalidRequestError: it is too long, or there are too many.
            StorageError: the memory cannot be written.
        """
        if len(script.code) > MOST_CODE:
            raise InvalidRequestError(
                f"the program of run {script.id} has {len(script.code)} characters; {MOST_CODE} are kept at most"
            )
        return await self._store.change(functools.partial(put, kind="script", item=script))

    async def recall(self, requester: str, task: str) -> Remembered:
        """Return what a generator is given for a task of `requester`: notes, and programs of the most similar tasks.

        Raises:
            StorageError: the memory cannot be read.
        """
        name = named(requester)

        def work(store: SqliteStore) -> Remembered:
            damaged: list[str] = []
            notes = visible_to(store, "note", Note, name, damaged)
            found = similar(store.conn, task, ".".join(place("script", name)))
            given = recalled(name, notes, readable(ProvenScript, found, damaged))
            return given.model_copy(update={"damaged": tuple(damaged)})

        return await self._store.look(work, Remembered())

    async def import_osprey(self, folder: Path, *, user: str | None = None, owner: str | None = None) -> Imported:
        """Take over Osprey's user memory, a file of JSON a user; done twice, it adds nothing the second time.

        Args:
            folder: its `user_memory_dir`.
            user: take over this user's notes alone, for `owner`; None: those of each user for a person of that name.
            owner: with `user`; default: the user of the system.

        Raises:
            InvalidRequestError: the folder cannot be read.
            StorageError: the memory cannot be written.
        """
        entries, problems = await asyncio.to_thread(read_osprey, folder, user)
        added: list[Note] = []
        known = 0
        full: Counter[str] = Counter()
        mine = named(owner)

        def work(store: SqliteStore) -> None:
            nonlocal known
            for entry in entries:
                name = mine if user is not None else entry.user
                try:
                    note = new_note(entry.text, name, author=name, created_at=entry.at)
                    if note.text in {one.text for one in own(store, "note", Note, name, [])}:
                        known += 1
                        continue
                    added.append(put(store, kind="note", item=note))
                except FullError as error:
                    full[str(error)] += 1
                except InvalidRequestError as error:
                    problems.append(f"{entry.where}: {error}")

        if entries:
            await self._store.change(work)
        problems += [f"{count} notes: {why}" for why, count in full.items()]
        return Imported(notes=tuple(added), known=known, problems=tuple(problems))
