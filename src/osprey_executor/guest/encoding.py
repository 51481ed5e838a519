"""The walk over a value on its way out: budgets, cycles, depth, paths, and what happens to what cannot be kept."""

from __future__ import annotations

from typing import Any, Callable, cast

from .holders import EXACT, by_base, own_class
from .leaves import BRACKET, LEAVES, text_size
from .science import encode_science
from .shown import class_name, safe_repr

_DEEPEST = 100
_TOO_DEEP = "nested more than {} deep".format(_DEEPEST)
UNLIMITED = 2**62
_MOST_NOTES = 10_000
_MOST_BLOBS = 99_999
_MOST_LISTED = 2_000_000
_DOCUMENT = frozenset((type(None), bool, int, float, str, list, dict))


class TooLarge(Exception):
    """What is being encoded does not fit the limits."""


class Encoder:
    """Encodes values one after the other; `blobs` and `problems` grow with them.

    A strict one lets through what is raised while a value is read: by the value, or by a signal handler of the program.
    """

    def __init__(
        self, name: str, most_results: int = UNLIMITED, most_document: int = UNLIMITED, strict: bool = False
    ) -> None:
        self.blobs: list[Any] = []
        self.problems: list[str] = []
        self._name = name
        self._strict = strict
        self._where: list[str] = []
        self._open: set[int] = set()
        self._text: int = 0
        self._bytes: int = 0
        self._listed: int = 0
        self._most_text, self._most_bytes = most_document, most_results

    def encode(self, value: Any) -> Any:
        """Return the document of `value`. Raises TooLarge alone, whatever the value does, unless strict.

        A value may raise anything when it is read, KeyboardInterrupt included; that must not cost the others.
        """
        try:
            return self._any(value)
        except TooLarge:
            raise
        except BaseException as error:
            if self._strict:
                raise
            deep = isinstance(error, RecursionError)
            return self.opaque(value, _TOO_DEEP if deep else "{} while it was read".format(class_name(error)))

    def inside(self, value: Any, where: str) -> Any:
        """Return the document of a part of the value in hand; `where` is its path below it, as Python writes it."""
        return self.at(where, lambda: self.encode(value))

    def at(self, where: str, encode: Callable[[], Any]) -> Any:
        """Return what `encode` returns, with notes that it makes told of `where`."""
        self._where.append(where)
        try:
            return encode()
        finally:
            self._where.pop()

    def entry(self, name: str, value: Any) -> Any:
        """Return the document of one of the results; after TooLarge nothing of it is left in `blobs`."""
        blobs, problems = len(self.blobs), len(self.problems)
        spent = self._text, self._bytes, self._listed
        try:
            self.spend(text_size(name))
            return self.inside(value, "[{!r}]".format(name))
        except TooLarge as error:
            del self.blobs[blobs:], self.problems[problems:]
            self._text, self._bytes, self._listed = spent
            self._where.append("[{!r}]".format(name))
            stands = self._stand_in(value, str(error))
            self._where.pop()
            return stands

    def name(self, key: Any) -> str:
        """Return a key of `results` as the text under which it is kept."""
        if issubclass(type(key), str):
            text = str.__str__(key)
            clean = text.encode("utf-8", "backslashreplace").decode("utf-8")
            if clean != text:
                self.note("has a name with lone surrogates, kept as escapes: {}".format(clean))
            return clean
        text = safe_repr(key, 200)
        self.note("has a name that is not a string, kept as {!r}".format(text))
        return text

    def note(self, what: str) -> None:
        """Report something that the reader of the results should know."""
        if len(self.problems) < _MOST_NOTES:
            path = self._name + "".join(self._where)
            self.problems.append("{} {}".format(path if len(path) <= 300 else path[:299] + "…", what))

    def opaque(self, value: Any, why: str) -> Any:
        """Return the document that stands for a value that cannot be kept: its class and its repr."""
        stands = self._stand_in(value, why)
        self.spend(text_size(stands["text"]) + text_size(stands["class"]) + 60)
        return stands

    def blob(self, data: Any) -> int:
        """Keep bytes and return their number."""
        if len(self.blobs) >= _MOST_BLOBS:
            raise TooLarge("the results hold more than {} arrays; join them into fewer".format(_MOST_BLOBS))
        self._bytes += len(data) + 8
        self._check()
        self.blobs.append(data)
        return len(self.blobs) - 1

    def bulk(self, number: int) -> None:
        """Count elements of long lists and columns of text, which cost the other side far more than their bytes.

        Raises:
            TooLarge: there are more than two million.
        """
        self._listed += number
        if self._listed > _MOST_LISTED:
            raise TooLarge(
                "its lists or columns of text hold more than {} elements; hand over numpy arrays, or a file in the "
                "working folder".format(_MOST_LISTED)
            )

    def tagged(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Return an object of `$type` kind.

        Raises:
            TypeError: a field is of a class of the program's own: its base would have been readable, it is not.
        """
        if not _DOCUMENT.issuperset(map(type, fields.values())):
            raise TypeError("{} is made of parts that are not plain".format(kind))
        self.spend(30 + 16 * len(fields))
        return {"$type": kind, **fields}

    def spend(self, size: int) -> None:
        """Count what a piece of the document takes as JSON, never too little.

        Raises:
            TooLarge: the document has grown past its limit.
        """
        self._text += size
        self._check()

    def _check(self) -> None:
        if self._text > self._most_text:
            raise TooLarge(
                "it takes more than {} as nested values; hand over an array, a table or a file in the working "
                "folder instead".format(_size(self._most_text))
            )
        if self._bytes + self._text > self._most_bytes:
            raise TooLarge(
                "the results pass {} in all (limits.results); leave big data as a file in the working folder".format(
                    _size(self._most_bytes)
                )
            )

    def _stand_in(self, value: Any, why: str) -> dict[str, Any]:
        kind = class_name(value)
        self.note("is a {}, kept only as text: {}".format(kind, why))
        return {"$type": "repr", "class": kind, "text": safe_repr(value, 2000)}

    def _any(self, value: Any) -> Any:
        kind = cast("Any", type(value))
        leaf = LEAVES.get(kind)
        if leaf is not None:
            return leaf(self, value)
        if id(value) in self._open:
            return self.opaque(value, "it contains itself")
        if len(self._where) >= _DEEPEST:
            return self.opaque(value, _TOO_DEEP)
        self._open.add(id(value))
        try:
            self.spend(BRACKET)
            return self._held(kind, value)
        finally:
            self._open.discard(id(value))

    def _held(self, kind: type, value: Any) -> Any:
        method = EXACT.get(kind) or own_class(kind)
        if method is not None:
            return method(self, value)
        document = encode_science(self, kind, value)
        if document is not None:
            return document
        method = by_base(kind)
        if method is not None:
            return method(self, value)
        return self.opaque(value, "it is neither data nor made of data")


def _size(size: int) -> str:
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= scale:
            return "{:.4g} {}".format(size / scale, unit)
    return "{} B".format(size)
