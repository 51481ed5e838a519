"""The people of a site, in one file of the state folder: names, roles, and digests of tokens."""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Collection, Generator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from osprey_executor.audit import Trail
from osprey_executor.errors import InvalidRequestError, NotIdentifiedError, StorageError
from osprey_executor.models import Person, PersonRecord, Role, system_user

_PREFIX = "osprey-"
_LONGEST_TOKEN = 200


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    roles: frozenset[Role]
    token_sha256: str
    """Of a random token of 256 bits, which no dictionary holds: it needs no slow hash."""


_LIST = TypeAdapter(tuple[_Kept, ...])


class People:
    """Who may use the service with a token. Any number of processes may work on one state folder."""

    def __init__(self, home: Path) -> None:
        self._file = home / "people.json"
        self._trail = Trail(home)
        self._known: tuple[tuple[int, ...], tuple[_Kept, ...]] | None = None

    def add(self, name: str, roles: Collection[Role]) -> str:
        """Add a person and return their token, which is shown this once.

        Raises:
            InvalidRequestError: the name cannot be one, is taken, or has no role.
            StorageError: the list cannot be read or written.
        """
        record = _record(name, roles)
        with self._changing("person added", name, record.roles) as people:
            if any(one.name == name for one in people):
                raise InvalidRequestError(f"there is a person {name} already; `users token {name}` gives a new token")
            kept, token = _with_token(record)
            people.append(kept)
        return token

    def renew(self, name: str) -> str:
        """Return a new token of a person; the old one is void.

        Raises:
            InvalidRequestError: there is no such person.
            StorageError: the list cannot be read or written.
        """
        with self._changing("token renewed", name) as people:
            place = _place(people, name)
            people[place], token = _with_token(PersonRecord(name=name, roles=people[place].roles))
        return token

    def give(self, name: str, roles: Collection[Role]) -> None:
        """Give a person other roles, in the place of those that they have.

        Raises:
            InvalidRequestError: there is no such person, or no role.
            StorageError: the list cannot be read or written.
        """
        record = _record(name, roles)
        with self._changing("roles given", name, record.roles) as people:
            place = _place(people, name)
            people[place] = people[place].model_copy(update={"roles": record.roles})

    def remove(self, name: str) -> None:
        """Remove a person; their token is void.

        Raises:
            InvalidRequestError: there is no such person.
            StorageError: the list cannot be read or written.
        """
        with self._changing("person removed", name) as people:
            del people[_place(people, name)]

    def all(self) -> list[PersonRecord]:
        """Return everybody, by name.

        Raises:
            StorageError: the list cannot be read.
        """
        return [PersonRecord(name=one.name, roles=one.roles) for one in sorted(self._read(), key=lambda one: one.name)]

    def identify(self, token: str) -> Person:
        """Return whose token that is.

        Raises:
            NotIdentifiedError: nobody's.
            StorageError: the list cannot be read; so nobody is let in.
        """
        if len(token) <= _LONGEST_TOKEN:
            digest = _sha256(token)
            for one in self._read():
                if hmac.compare_digest(one.token_sha256, digest):
                    return Person(name=one.name, roles=one.roles, proof="token")
        raise NotIdentifiedError("that is nobody's token: `osprey-executor users token NAME` gives a new one")

    def _read(self) -> tuple[_Kept, ...]:
        try:
            now = self._file.stat()
            if now.st_mode & 0o077:
                raise StorageError(f"others than its owner may read {self._file}: chmod 600 {self._file}")
            # Its age is looked at before it is read: a change in between is found at the next look.
            seen = (now.st_ino, now.st_mtime_ns, now.st_size)
            if self._known is None or self._known[0] != seen:
                self._known = seen, _LIST.validate_json(self._file.read_bytes())
            return self._known[1]
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise StorageError(f"the list of people {self._file} cannot be read: {error.strerror}") from None
        except ValidationError:
            raise StorageError(f"the list of people {self._file} is damaged: nobody is let in by a token") from None

    @contextmanager
    def _changing(self, what: str, name: str, roles: Collection[Role] = ()) -> Generator[list[_Kept]]:
        """Yield the list to be changed, and put what it is then in the place of the file, whole or not at all.

        A change that the audit trail cannot hold is none.
        """
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(
                self._file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
            )
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                people = list(self._read())
                yield people
                draft = self._file.with_name(f".people.{secrets.token_hex(4)}")
                descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(json.dumps([one.model_dump(mode="json") for one in people], indent=1).encode())
                    file.flush()
                    os.fsync(file.fileno())
                try:
                    told = {"roles": sorted(roles)} if roles else {}
                    self._trail.record(what, durable=True, person=name, by=system_user(), **told)
                    draft.replace(self._file)
                finally:
                    draft.unlink(missing_ok=True)
            finally:
                os.close(lock)
        except OSError as error:
            raise StorageError(f"the list of people {self._file} cannot be written: {error.strerror}") from None


def _record(name: str, roles: Collection[Role]) -> PersonRecord:
    if not roles:
        raise InvalidRequestError(f"{name} needs a role: {', '.join(Role)}")
    try:
        return PersonRecord(name=name, roles=frozenset(roles))
    except ValidationError as error:
        raise InvalidRequestError(error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")) from None


def _with_token(record: PersonRecord) -> tuple[_Kept, str]:
    token = f"{_PREFIX}{secrets.token_urlsafe(32)}"
    return _Kept(name=record.name, roles=record.roles, token_sha256=_sha256(token)), token


def _place(people: list[_Kept], name: str) -> int:
    for place, one in enumerate(people):
        if one.name == name:
            return place
    raise InvalidRequestError(f"there is no person {name!r:.100}; `osprey-executor users list` shows who there is")


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
