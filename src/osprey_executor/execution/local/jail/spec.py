"""What the service tells the processes that it starts: one marshalled dictionary of primitives on a descriptor.

Both ends are the same interpreter, and the service is the only writer, so `marshal` is safe here and costs no import.
"""

from __future__ import annotations

import marshal
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    Place = tuple[str, int, str]
    """IP address, port, and `tcp` or `udp`."""

    class Power(TypedDict):
        """What the process of the code gives up, and what is left to it."""

        identity_map: bool
        """As root: every id stands for itself inside, and the code runs as `code_id`. Else one id, the caller's own."""
        code_id: int
        folder: str
        rlimits: list[tuple[int, int, int]]
        """(which, soft, hard)."""
        filters: list[bytes]
        """Programs for seccomp, in the order in which they are loaded."""

    class Line(TypedDict):
        """How what is launched speaks with the service. Descriptors are numbers in the launcher."""

        parent: int
        """Process id of the service: the launcher dies with it."""
        control: int
        """The monitor's socket to the service (SOCK_SEQPACKET); of a fork server: the keeper's."""
        runtime: int
        """The code's socket to the service, or -1."""
        stdout: int
        stderr: int
        groups: list[int]
        """Files of control groups, which a process enters by writing 0 to each."""

    class JailSpec(Power, Line):
        """All that the launcher knows. Sizes are in bytes."""

        monitor_id: int
        namespaces: int
        """CLONE_NEW* flags beside user and pid."""
        listen: list[Place]
        """In the jail, whose listening sockets the service gets for endpoints outside."""
        gateways: list[Place]
        """The same for gateways, all on the loopback's own address: no power over the network is needed for them."""
        binds: list[tuple[str, str]]
        """(source, target): read-only, no set-uid, no devices; parents before children."""
        devices: list[str]
        links: list[tuple[str, str]]
        """(location, target) of symbolic links."""
        folders: list[str]
        files: list[tuple[str, bytes]]
        folder_size: int
        folder_files: int
        tmp_size: int
        shm_size: int
        no_exec: bool
        links_in_folder: list[tuple[str, str]]
        copies: list[tuple[str, str]]
        """(source in the jail, target in the jail): files copied to a writable place before the code starts."""
        homes: list[str]
        """Folders of the code's user below /tmp; parents before children."""
        executable: str
        argv: list[str]
        environment: dict[str, str]
        memory: int
        """Most memory of the whole tree; 0: not watched."""
        tasks: int
        """Most processes and threads; 0: not watched."""
        cpu: float
        """Most processor time of the whole tree (s); 0: not watched."""
        tick: float
        """Seconds between two looks at the tree."""

    class ServerSpec(JailSpec):
        """All that a fork server knows; `argv` and `environment` are of the process that forks."""

        trees: int
        """The launcher's socket to the service, which asks for copies of host files over it."""
        forker_id: int
        """As root: the user of the process that forks."""
        forker_filters: list[bytes]
        job: str
        """Folder in each jail for the program and its inputs."""
        orders: bytes
        """What the process that forks is told, as JSON: it may be another Python than this."""


def read_spec(descriptor: int) -> JailSpec:
    """Return the specification that waits at `descriptor`, and close it."""
    with os.fdopen(descriptor, "rb") as stream:
        return marshal.loads(stream.read())  # noqa: S302 - written by the service, see above
