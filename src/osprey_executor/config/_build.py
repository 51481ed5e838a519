"""From plain data to typed sections: references expanded, Osprey's keys moved, providers filled in, all checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import Field, ValidationError

from osprey_executor.config import osprey09
from osprey_executor.config._draft import Draft
from osprey_executor.config._environment import BadReference, Expanded, expand, expand_text, variables_for
from osprey_executor.config._problems import problems
from osprey_executor.config._secrets import is_secret_name
from osprey_executor.config._sections import draft_of
from osprey_executor.config._yaml import Document, KeyPath, read_document
from osprey_executor.config.providers import provider
from osprey_executor.config.schema import (
    AccessConfig,
    AnalysisConfig,
    ApprovalConfig,
    ArchiverConfig,
    AuditConfig,
    ControlSystemConfig,
    ExecutionConfig,
    ModelConfig,
    NotifyConfig,
    Section,
    ServeConfig,
)
from osprey_executor.errors import ConfigurationError

_PATHS = (
    ("execution", "python_env_path"),
    ("control_system", "limits_database"),
    ("control_system", "stop_file"),
    ("audit", "heads"),
    ("serve", "tls_certificate"),
    ("serve", "tls_key"),
)
# A run that uses none of these must not fail because one of them lacks a key.
_WHEN_USED = (("models",), ("execution", "generators"), ("archiver", "epics_archiver"))

SectionT = TypeVar("SectionT", bound=Section)


class Sections(Section):
    """All sections together."""

    execution: ExecutionConfig = ExecutionConfig()
    models: dict[str, ModelConfig] = Field(default_factory=dict[str, ModelConfig])
    approval: ApprovalConfig = ApprovalConfig()
    control_system: ControlSystemConfig = ControlSystemConfig()
    archiver: ArchiverConfig = ArchiverConfig()
    analysis: AnalysisConfig = AnalysisConfig()
    access: AccessConfig = AccessConfig()
    audit: AuditConfig = AuditConfig()
    notify: NotifyConfig = NotifyConfig()
    serve: ServeConfig = ServeConfig()


@dataclass(frozen=True)
class Built:
    """Typed sections and what a record of them needs."""

    sections: Sections
    warnings: tuple[str, ...]
    references: Mapping[KeyPath, str]
    """What was written with `${...}`, by its key."""
    unset: Mapping[KeyPath, str]
    """Keys whose variable is not set, and the variable."""


def build(document: Document, folder: Path | None, environ: Mapping[str, str]) -> Built:
    """Make typed sections of a file. Relative paths and `.env` are those of `folder`.

    Raises:
        ConfigurationError: anything in it cannot be used; all problems in one message.
    """
    variables, warnings = variables_for(folder, environ)
    draft = draft_of(document)
    draft.warnings += warnings
    for name in list(draft.data):
        draft.data[name] = _expanded(draft, (name,), draft.data[name], variables)
    osprey09.translate(draft)
    _fill_in(draft, variables)
    references = {path: leaf.raw for path, leaf, _ in _references(draft.data)}
    unset = _drop_unset(draft)
    _anchor(draft, folder)
    sections = _typed(draft, Sections)
    lacking = {name: model.with_unset(_of_model(unset, name)) for name, model in sections.models.items()}
    sections = sections.model_copy(update={"models": lacking})
    return Built(sections, tuple(draft.warnings), references, unset)


def model_of(fields: Mapping[str, Any], label: str) -> ModelConfig:
    """Make one model of its fields, as they are.

    Raises:
        ConfigurationError: they cannot be used; `label` names them in the message.
    """
    return _typed(Draft(label, {"models": {"model": dict(fields)}}), Sections).models["model"]


def typed(label: str, data: Mapping[str, Any], kind: type[SectionT]) -> SectionT:
    """Make typed content of plain data, as it is; `label` names it in messages.

    Raises:
        ConfigurationError: anything in it cannot be used; all problems in one message.
    """
    return _typed(Draft(label, dict(data)), kind)


def typed_file(path: Path, kind: type[SectionT], environ: Mapping[str, str]) -> tuple[SectionT, Mapping[KeyPath, str]]:
    """Make the typed content of another file than the configuration, `.env` beside it; and what secrets are not set.

    Raises:
        ConfigurationError: it cannot be read, or anything in it cannot be used.
    """
    document = read_document(path)
    variables, _ = variables_for(path.parent, environ)
    draft = Draft(document.label, document.data, document.lines)
    for name in list(draft.data):
        draft.data[name] = _expanded(draft, (name,), draft.data[name], variables)
    unset: dict[KeyPath, str] = {}
    for place, leaf, parent in list(_references(draft.data)):
        if leaf.unset and isinstance(parent, dict) and is_secret_name(place[-1]):
            unset[place] = leaf.unset
            del parent[place[-1]]
        else:
            draft.known(place, leaf)
    return _typed(draft, kind), unset


def _typed(draft: Draft, kind: type[SectionT]) -> SectionT:
    try:
        return kind.model_validate(draft.data)
    except ValidationError as error:
        found = problems(error, kind, draft)
        more = f"; and {len(found) - 5} more" if len(found) > 5 else ""
        raise ConfigurationError("; ".join(found[:5]) + more, tuple(found)) from None


def _expanded(draft: Draft, path: KeyPath, value: Any, variables: Mapping[str, str]) -> Any:
    """Expand leaf by leaf, so that a bad reference is told with its own key."""
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return {key: _expanded(draft, (*path, key), item, variables) for key, item in items}
    if isinstance(value, list):
        items = enumerate(cast("list[Any]", value))
        return [_expanded(draft, (*path, str(index)), item, variables) for index, item in items]
    try:
        return expand(value, variables)
    except BadReference as error:
        raise draft.error(path, str(error)) from None


def _fill_in(draft: Draft, variables: Mapping[str, str]) -> None:
    """Give each model the endpoint and the key's variable that its provider is known by."""
    blocks: list[KeyPath] = [("models", name) for name in draft.section("models")]
    generators = ("execution", "generators")
    blocks += [(*generators, *path) for path in (("basic",), ("hybrid", "first"), ("hybrid", "then"))]
    for block in blocks:
        name = draft.get((*block, "provider"))
        if not isinstance(name, str):
            continue
        known = provider(name)
        url = draft.get((*block, "base_url"))
        if known.base_url and url is None:
            draft.put((*block, "base_url"), known.base_url)
        if known.key_variable and draft.get((*block, "api_key")) is None:
            # A server of one's own may well ask for no key.
            default = "" if known.needs_key and url in (None, known.base_url) else ":-"
            draft.put((*block, "api_key"), expand_text(f"${{{known.key_variable}{default}}}", variables))


def _references(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Expanded, dict[str, Any] | list[Any]]]:
    """Yield each text that came from the environment, its key, and the mapping or list that holds it."""
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        items = list(cast("dict[str, Any]", value).items())
    elif isinstance(value, list):
        items = list(enumerate(cast("list[Any]", value)))
    for key, item in items:
        if isinstance(item, Expanded):
            yield (*path, str(key)), item, cast("dict[str, Any] | list[Any]", value)
        else:
            yield from _references(item, (*path, str(key)))


def _drop_unset(draft: Draft) -> dict[KeyPath, str]:
    """Remove what the environment leaves empty; raise where that is needed now."""
    unset: dict[KeyPath, str] = {}
    for path, leaf, parent in list(_references(draft.data)):
        if not any(path[: len(head)] == head for head in _WHEN_USED):
            draft.known(path, leaf)
        elif leaf.unset:
            unset[path] = leaf.unset
        if not leaf and isinstance(parent, dict):
            del parent[path[-1]]
            if path[0] == "models" and path[-1] in ("provider", "model_id"):
                parent[path[-1]] = ""
    return unset


def _anchor(draft: Draft, folder: Path | None) -> None:
    for path in _PATHS:
        value = draft.get(path)
        if isinstance(value, str):
            draft.put(path, str((folder or Path.cwd()) / Path(value).expanduser()) if value else None)
    files = draft.get("analysis.catalogue")
    if isinstance(files, list) and all(isinstance(file, str) and file for file in cast("list[Any]", files)):
        places = [str((folder or Path.cwd()) / Path(file).expanduser()) for file in cast("list[str]", files)]
        draft.put("analysis.catalogue", places)


def _of_model(unset: Mapping[KeyPath, str], name: str) -> dict[str, str]:
    return {path[2]: variable for path, variable in unset.items() if path[:2] == ("models", name) and len(path) > 2}
