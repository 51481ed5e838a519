"""Keys of Osprey 0.9 under their names of today. Nothing else in this package knows Osprey's names.

What would weaken a protection that the file asks for is an error, not a warning.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from osprey_executor.config._draft import Draft
from osprey_executor.config._yaml import KeyPath

_EXECUTOR = {
    "max_generation_retries": "execution.max_generation_retries",
    "max_execution_retries": "execution.max_execution_retries",
    "execution_timeout_seconds": "execution.timeout",
}
MEANT = {
    "max_execution_time": "timeout",
    "execution_timeout": "timeout",
    "execution_timeout_seconds": "timeout",
    "timeout_seconds": "timeout",
    "max_retries": "max_execution_retries",
    "max_attempts": "max_execution_retries",
    "writes_allowed": "writes_enabled",
    "enable_writes": "writes_enabled",
    "limits_file": "limits_database",
    "channel_limits": "limits_database",
}
"""What people write who come from there, and what they mean: spelling alone finds another key, or none."""
_OF_EXECUTION = ("timeout", "max_execution_retries")
_MODES = {"epics_writes": "control_writes"}
# Where Google answers in the OpenAI protocol; Osprey names the folder above.
_GOOGLE = "https://generativelanguage.googleapis.com/v1beta"
_GATEWAYS = ("control_system.connector.epics.gateways", "execution.epics.gateways")


def translate(draft: Draft) -> None:
    """Move every key of Osprey 0.9 that means something here to its place; warn of those without effect.

    Raises:
        ConfigurationError: two names of one thing disagree, or a protection is asked for that cannot be given.
    """
    _executor(draft)
    _providers(draft)
    _generators(draft)
    _approval(draft)
    _writes_enabled(draft)
    _limits(draft)
    _verification(draft)
    _gateways(draft)
    _archiver(draft)
    _patterns(draft)
    _without_effect(draft)


def _executor(draft: Draft) -> None:
    for old, new in _EXECUTOR.items():
        draft.move(f"python_executor.{old}", new)
    draft.move("execution.execution_timeout_seconds", "execution.timeout")
    for name in draft.section("python_executor"):
        meant = f"; did you mean execution.{MEANT[name]}?" if MEANT.get(name) in _OF_EXECUTION else ""
        draft.warnings.append(draft.told(("python_executor", name), f"has no effect here{meant}"))
    draft.take("python_executor")


def _providers(draft: Draft) -> None:
    blocks: list[KeyPath] = [("models", name) for name in draft.section("models")]
    if "provider" in draft.section("execution.generators.basic"):
        blocks.append(("execution", "generators", "basic"))
    for block in blocks:
        model: Any = draft.get(block)
        source = ("api", "providers", str(model.get("provider"))) if isinstance(model, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        if source is None or not isinstance(draft.get(source), dict):
            continue
        for key in ("api_key", "base_url"):
            if draft.get((*block, key)) is None and draft.get((*source, key)) is not None:
                draft.put((*block, key), draft.get((*source, key)), (*source, key))
        url = draft.get((*block, "base_url"))
        if draft.get((*block, "provider")) == "google" and url == _GOOGLE:
            draft.put((*block, "base_url"), f"{_GOOGLE}/openai", (*source, "base_url"))
    draft.take("api")


def _generators(draft: Draft) -> None:
    if draft.get("execution.code_generator") == "legacy":
        draft.put("execution.code_generator", "basic", "execution.code_generator")
        draft.warnings.append(draft.told("execution.code_generator", "legacy is called basic now"))
    if draft.move("execution.generators.legacy", "execution.generators.basic"):
        draft.warnings.append(draft.told("execution.generators.legacy", "is called basic now"))
    chosen = draft.get("execution.code_generator")
    for name in ("basic", "claude_code"):
        path = ("execution", "generators", name)
        kept = draft.take((*path, "save_prompts")) if isinstance(draft.get(path), dict) else None
        if kept is not None and not draft.has(path):
            draft.put(path, {})
        # Osprey says it for each generator; here it is said once, of the one that is used.
        if kept is not None and name == chosen and not draft.has("execution.save_prompts"):
            draft.put("execution.save_prompts", kept, (*path, "save_prompts"))


def _approval(draft: Draft) -> None:
    block = draft.section("approval.capabilities.python_execution")
    asked: tuple[Any, str] | None = None
    if draft.has("approval.capabilities") or draft.has("approval.global_mode"):
        every = draft.get("approval.global_mode", "selective")
        if every == "disabled":
            asked = ("disabled", "approval.global_mode")
        elif every == "all_capabilities":
            asked = ("all_code", "approval.global_mode")
        elif every != "selective":
            raise draft.error("approval.global_mode", "must be disabled, selective or all_capabilities")
        elif block:
            enabled = "approval.capabilities.python_execution.enabled"
            if not draft.truth(enabled, block.get("enabled", True)):
                asked = ("disabled", enabled)
            else:
                # Osprey asks for all code where its mode is not given.
                asked = (block.get("mode", "all_code"), "approval.capabilities.python_execution.mode")
    draft.take("approval.global_mode")
    draft.take("approval.capabilities")
    if asked is not None:
        mode, where = asked
        if draft.has("approval.mode") and draft.get("approval.mode") != mode:
            raise draft.error("approval.mode", f"and {where} say different things; keep approval.mode only")
        draft.put("approval.mode", mode, where)
        if mode == "disabled":
            draft.warnings.append(
                draft.told("approval.mode", "disables approval: no write reaches a real machine then")
            )
    mode = draft.get("approval.mode")
    if isinstance(mode, str) and mode in _MODES:
        draft.warnings.append(draft.told("approval.mode", f"{mode} is called {_MODES[mode]} now"))
        draft.put("approval.mode", _MODES[mode], "approval.mode")


def _writes_enabled(draft: Draft) -> None:
    old = "execution_control.epics.writes_enabled"
    if draft.get(old) is not None:
        draft.warnings.append(draft.told(old, "is called control_system.writes_enabled now"))
        draft.move(old, "control_system.writes_enabled")
    draft.take("execution_control")


def _limits(draft: Draft) -> None:
    here = "control_system.limits_checking"
    block = dict(draft.section(here))
    if not block:
        draft.take(here)
        return
    path = block.get("database_path")
    if draft.truth(f"{here}.enabled", block.get("enabled", False)):
        if path is None:
            raise draft.error(
                f"{here}.database_path", "is empty while limits_checking is enabled; name the file of limits"
            )
        draft.move(f"{here}.database_path", "control_system.limits_database")
        for name in ("allow_unlisted_channels", "on_violation"):
            draft.move(f"{here}.{name}", f"control_system.{name}")
    elif path is not None:
        draft.warnings.append(draft.told(f"{here}.database_path", "is not used, as limits_checking is not enabled"))
    draft.take(here)


def _verification(draft: Draft) -> None:
    here = "control_system.write_verification"
    block = draft.section(here)
    if block and draft.truth(f"{here}.enabled", block.get("enabled", False)):
        level = block.get("default_level", "callback")
        if level == "readback":
            told = "readback is asked for in the limits database: defaults: {verification: {level: readback}}"
            if draft.truth("control_system.writes_enabled", draft.get("control_system.writes_enabled", False)):
                raise draft.error(f"{here}.default_level", f"{told}; then write callback here")
            draft.warnings.append(draft.told(f"{here}.default_level", told))
        elif level == "none":
            draft.warnings.append(
                draft.told(f"{here}.default_level", "none is not done here: every write is confirmed")
            )
    draft.take(here)


def _gateways(draft: Draft) -> None:
    """Take the gateway that fits: where writes are enabled, the one that lets them through."""
    writes = draft.truth("control_system.writes_enabled", draft.get("control_system.writes_enabled", False))
    for place in _GATEWAYS:
        gateways = draft.section(place)
        chosen = "write_access" if writes and gateways.get("write_access") else "read_only"
        gateway = draft.section(f"{place}.{chosen}")
        address = draft.known(f"{place}.{chosen}.address", gateway.get("address"))
        if address and not draft.section("control_system.epics"):
            port = draft.known(f"{place}.{chosen}.port", gateway.get("port"))
            tcp = draft.truth(f"{place}.{chosen}.use_name_server", gateway.get("use_name_server", False))
            target = "control_system.epics.name_servers" if tcp else "control_system.epics.address_list"
            draft.put(target, [f"{address}:{port}" if port else str(address)], f"{place}.{chosen}.address")
    draft.take("control_system.connector")
    draft.take("execution.epics")


def _archiver(draft: Draft) -> None:
    """Keep what is ours: Osprey hands any key of the section to whatever class `type` names."""
    for block, ours in (("archiver", ("type", "epics_archiver")), ("archiver.epics_archiver", ("url", "timeout"))):
        for key in [key for key in draft.section(block) if not get_close_matches(key, ours, n=1, cutoff=0.8)]:
            path = (*block.split("."), key)
            draft.warnings.append(draft.told(path, "has no effect here"))
            draft.take(path)


def _patterns(draft: Draft) -> None:
    """Take Osprey's patterns in both of its forms: `write` and `read`, or these under each type of control system."""
    here = "control_system.patterns"
    block = draft.section(here)
    if block and not {"write", "read"} & block.keys():
        kind = str(draft.get("control_system.type", "mock"))
        path = ("control_system", "patterns", kind)
        block = draft.section(path)
        draft.warnings.append(draft.told(here, f"by type of control system: those of {kind} are used"))
    if block:
        for name in ("write", "read"):
            if block.get(name):
                draft.put(f"analysis.patterns.{name}", block[name], f"{here}.{name}")
        draft.warnings.append(draft.told(here, "is called analysis.patterns now; they add to the analysis"))
    draft.take(here)


def _without_effect(draft: Draft) -> None:
    for path, why in (("execution.modes", "approval and grant decide what a run may do"),):
        if draft.get(path) is not None:
            draft.warnings.append(draft.told(path, f"has no effect here: {why}"))
        draft.take(path)
