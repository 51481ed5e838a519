"""`context`: the data that the capability handed to the program, by attribute and by item."""

from __future__ import annotations

from typing import Any, Dict, Iterable


class Context(Dict[str, Any]):
    """A dict whose keys are attributes too, nested. Where a key is also a method of dict, take it as an item."""

    __slots__ = ()

    @classmethod
    def of(cls, value: Any) -> Any:
        """Return `value` with every dict in it, however deep in dicts, lists and tuples, as a Context."""
        if type(value) is dict:
            made = cls()
            for key, item in value.items():  # pyright: ignore[reportUnknownVariableType]
                made[key] = cls.of(item)
            return made
        if type(value) is list:
            return [cls.of(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        if type(value) is tuple:
            return tuple([cls.of(item) for item in value])  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        return value

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists and tuples."""
        return {key: _plain(value) for key, value in super().items()}

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getitem__(name)
        except KeyError:
            raise AttributeError("context has no {!r}; it has: {}".format(name, _names(self))) from None

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)

    def __delattr__(self, name: str) -> None:
        try:
            super().__delitem__(name)
        except KeyError:
            raise AttributeError("context has no {!r}".format(name)) from None

    def __missing__(self, name: str) -> Any:
        raise KeyError("context has no {!r}; it has: {}".format(name, _names(self)))

    def __dir__(self) -> Iterable[str]:
        return [*super().__dir__(), *(key for key in self if isinstance(key, str))]  # pyright: ignore[reportUnnecessaryIsInstance]


def _plain(value: Any) -> Any:
    if isinstance(value, Context):
        return value.to_dict()
    if type(value) is list:
        return [_plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    if type(value) is tuple:
        return tuple([_plain(item) for item in value])  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return value


def _names(value: dict[str, Any]) -> str:
    names = [str(key) for key in value]
    return ", ".join(names[:20]) + (", ..." if len(names) > 20 else "") if names else "nothing"
