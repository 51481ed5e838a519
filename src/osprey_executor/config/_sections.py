"""The sections of a file: ours, those of Osprey 0.9 that mean something here, and the rest, which is ignored aloud."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any, cast

from osprey_executor.config._draft import Draft
from osprey_executor.config._yaml import Document

OURS = (
    "execution",
    "models",
    "approval",
    "control_system",
    "archiver",
    "analysis",
    "access",
    "audit",
    "notify",
    "serve",
)
FROM_OSPREY = ("api", "python_executor", "execution_control")
_OSPREYS_OWN = {
    *("api_calls", "ariel", "build_dir", "channel_finder", "claude_code", "cli", "container_runtime"),
    *("deployed_services", "deployment", "development", "facility", "file_paths", "framework", "graph", "logging"),
    *("pipeline", "project_name", "project_root", "prompts", "registry_path", "services", "system"),
}


def draft_of(document: Document) -> Draft:
    """Return what of a file concerns this service: sections at the top level and under `osprey:`, in one place.

    Raises:
        ConfigurationError: a section stands in both places, or its name is nearly one of ours.
    """
    draft = Draft(document.label, {}, document.lines)
    top = {name: value for name, value in document.data.items() if name != "osprey"}
    inner: Any = document.data.get("osprey") or {}
    if not isinstance(inner, dict):
        raise draft.error("osprey", "must be a mapping of sections, `name: ...`")
    ignored: list[str] = []
    for name, value in [*top.items(), *cast("dict[str, Any]", inner).items()]:
        if name in OURS or name in FROM_OSPREY:
            if name in draft.data:
                raise draft.error(name, "stands both at top level and under osprey; keep one of them")
            if value is not None:
                draft.data[name] = value
        elif name not in _OSPREYS_OWN and (near := get_close_matches(name, OURS, n=1, cutoff=0.8)):
            raise draft.error(name, f"is not a section; did you mean {near[0]}?")
        else:
            ignored.append(name)
    if ignored:
        draft.warnings.append(
            f"{len(ignored)} sections do not concern this service and were ignored: {_listed(ignored)}"
        )
    return draft


def _listed(names: list[str], most: int = 12) -> str:
    shown = ", ".join(sorted(names)[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
