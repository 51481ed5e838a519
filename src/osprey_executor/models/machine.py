"""Which machine two runs mean, and whether two of their channels may be one: when in doubt they are the same."""

from __future__ import annotations

from collections.abc import Iterable

from osprey_executor.models.approval import ControlSystemReport

WHOLE_MACHINE = ("*",)
"""Every channel, where single ones are not told apart, or not known."""
_ONE_FAMILY = frozenset({"epics", "pva"})
"""Channel Access and PVAccess serve the same records."""
_BY_NUMBER = {"localhost": "127.0.0.1", "::1": "127.0.0.1"}


def machine_of(control: ControlSystemReport, instance: str) -> str:
    """Return the identity of a control system, to be compared by `same_machine`.

    Args:
        control: which one it is.
        instance: name of this connection. A simulated machine lives and dies with it; a real one is the same whoever
            is connected, so it is its protocol and hosts. Ports are no part: CA and PVA of one IOC differ in them.
    """
    if not control.real:
        return f"{control.type} {instance}"
    family = "epics" if control.type in _ONE_FAMILY else control.type
    return " ".join((family, *sorted({_host(address) for address in control.addresses})))


def same_machine(one: str, other: str) -> bool:
    """Return whether two identities mean one machine, or may: they share a host."""
    family, *hosts = one.split()
    other_family, *other_hosts = other.split()
    return one == other or (family == other_family and not set(hosts).isdisjoint(other_hosts))


def common_channel(ours: Iterable[str], theirs: Iterable[str]) -> str | None:
    """Return one of `ours` that is one of `theirs`, None if there is none.

    Fields of a record are that record, and `*` is every channel.
    """
    mine = {_record(name): name for name in ours}
    others = {_record(name) for name in theirs}
    if not mine or not others:
        return None
    if "*" in mine or "*" in others:
        return mine.get("*") or next(iter(mine.values()))
    return next((name for record, name in mine.items() if record in others), None)


def _record(name: str) -> str:
    return name.partition(".")[0]


def _host(address: str) -> str:
    host, colon, port = address.strip().lower().rpartition(":")
    if not colon or not port.isdigit() or (":" in host and not host.startswith("[")):
        host = address.strip().lower()
    host = host.strip("[]")
    return _BY_NUMBER.get(host, host).replace(" ", "-")
