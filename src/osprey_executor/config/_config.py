"""The configuration as everything else sees it: typed, frozen, and able to travel to another process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

from pydantic import PrivateAttr, SecretStr

from osprey_executor.config._build import Built, Sections, build
from osprey_executor.config._record import leaves, place, plain, value_at
from osprey_executor.config._secrets import MASK
from osprey_executor.config._yaml import Document, KeyPath, read_document
from osprey_executor.errors import ConfigurationError

_FORMAT = 1
_SHORTEST_SECRET = 4
"""Anything shorter is in every text."""


class Config(Sections):
    """The whole configuration.

    `source` is the file that won, None where there was none; `warnings` are for the person who wrote the file.
    """

    source: Path | None = None
    warnings: tuple[str, ...] = ()

    _references: dict[KeyPath, tuple[str, Any]] = PrivateAttr(default_factory=dict[KeyPath, tuple[str, Any]])
    """What was written with `${...}`, and the value that it had after loading."""
    _unset: dict[KeyPath, str] = PrivateAttr(default_factory=dict[KeyPath, str])

    @classmethod
    def of(cls, built: Built, source: Path | None) -> Config:
        """Wrap typed sections that were just built."""
        made = cls(
            execution=built.sections.execution,
            models=built.sections.models,
            approval=built.sections.approval,
            control_system=built.sections.control_system,
            archiver=built.sections.archiver,
            analysis=built.sections.analysis,
            access=built.sections.access,
            audit=built.sections.audit,
            notify=built.sections.notify,
            serve=built.sections.serve,
            source=source,
            warnings=built.warnings,
        )
        made._references = {path: (raw, value_at(made, path)) for path, raw in built.references.items()}
        made._unset = dict(built.unset)
        return made

    def unset(self, *path: str) -> dict[str, str]:
        """Return the keys below `path` whose variable is not set, and the name of that variable."""
        return {".".join(keys[len(path) :]): name for keys, name in self._unset.items() if keys[: len(path)] == path}

    def without_secrets(self, text: str) -> str:
        """Return a text with every secret of this configuration masked, wherever it stands."""
        found = {value.get_secret_value() for _, value in leaves(self) if isinstance(value, SecretStr)}
        for secret in sorted(found, key=len, reverse=True):
            if len(secret) >= _SHORTEST_SECRET:
                text = text.replace(secret, MASK)
        return text

    def masked(self) -> dict[str, Any]:
        """Return the sections as JSON data for print, each secret as a mask."""
        return plain(Sections.model_construct(**{name: getattr(self, name) for name in Sections.model_fields}), MASK)

    def to_record(self) -> dict[str, Any]:
        """Return this configuration as JSON data, all of it as it is in force, but without secrets.

        Where a secret may stand (models, generators, connectors, container), what was written as `${NAME}` stays so.
        Elsewhere the value counts, so that the environment of another process cannot change the rules of a run.
        """
        sections: dict[str, Any] = {name: getattr(self, name) for name in Sections.model_fields}
        settings: dict[str, Any] = plain(sections, None)
        for path, value in list(leaves(settings)):
            if isinstance(value, str):
                place(settings, path, _escaped(value))
        for path, (raw, then) in self._references.items():
            # A setting that was changed since loading no longer stands for its reference.
            if _may_hold_secret(path) and value_at(self, path) == then:
                place(settings, path, raw)
        kept = dict(leaves(settings))
        lost = [list(path) for path, value in leaves(sections) if isinstance(value, SecretStr) and path not in kept]
        return {
            "format": _FORMAT,
            "source": str(self.source) if self.source else None,
            "settings": settings,
            "left_out": sorted(lost),
            "warnings": list(self.warnings),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any], *, environ: Mapping[str, str] | None = None) -> Config:
        """Return the configuration of a record, its references expanded again in this process.

        A secret that was written out in the file is read from that file again.

        Raises:
            ConfigurationError: the record is none, or a variable that is needed is not set here.
        """
        settings, name = record.get("settings"), record.get("source")
        if record.get("format") != _FORMAT or not isinstance(settings, dict):
            raise ConfigurationError("this is not the record of a configuration that this version wrote")
        source = Path(name) if isinstance(name, str) else None
        folder = source.parent if source else None
        variables = os.environ if environ is None else environ
        data = deepcopy(cast("dict[str, Any]", settings))
        left_out = cast("list[list[str]]", record.get("left_out") or [])
        if left_out and source is not None:
            for path, value in leaves(_again(source, variables)):
                if list(path) in left_out and isinstance(value, SecretStr):
                    place(data, path, _escaped(value.get_secret_value()))
        built = build(Document(str(source or "configuration of the run"), data), folder, variables)
        made = cls.of(built, source)
        return made.model_copy(update={"warnings": tuple(cast("list[str]", record.get("warnings") or []))})


def _may_hold_secret(path: KeyPath) -> bool:
    blocks = (
        ("execution", "generators"),
        ("execution", "container"),
        ("control_system", "connectors"),
        ("access", "proxy"),
        ("notify", "webhooks"),
    )
    return path[0] == "models" or path[:2] in blocks


def _escaped(text: str) -> str:
    return text.replace("${", "$${")


def _again(source: Path, environ: Mapping[str, str]) -> Sections | None:
    try:
        return build(read_document(source), source.parent, environ).sections
    except ConfigurationError:
        # The file changed or went away; whoever needs the secret says so.
        return None
