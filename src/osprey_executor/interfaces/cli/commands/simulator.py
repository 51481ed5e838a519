"""`simulator`: a virtual accelerator for any client of Channel Access, on loopback, until it is interrupted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from osprey_executor.interfaces.cli.commands.options import Json

if TYPE_CHECKING:
    from osprey_executor.interfaces.cli.screen import Screen


def simulator(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of Channel Access; 0: any that is free.")] = 0,
    seed: Annotated[int, typer.Option(help="Of misalignments and noise: the same seed gives the same orbit.")] = 1,
    as_json: Json = False,
) -> int:
    """Run a virtual accelerator until Ctrl-C.

    A storage ring with 36 beam position monitors and 32 correctors, served by a real IOC on this machine's loopback.
    """
    import asyncio

    from osprey_executor.interfaces.cli.screen import Screen

    return asyncio.run(_serve(Screen.open(as_json=as_json), port, seed))


async def _serve(screen: Screen, port: int, seed: int) -> int:
    import asyncio
    import signal

    from osprey_executor.errors import ControlSystemError
    from osprey_executor.service import SimulatorConnector

    machine, interrupted = SimulatorConnector(seed=seed, port=port), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupted.set)
    starting = asyncio.create_task(machine.connect())
    stop = asyncio.create_task(interrupted.wait())
    try:
        await asyncio.wait({starting, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            return 0
        await starting
        if port not in (0, machine.port):
            raise ControlSystemError(f"port {port} is taken: choose another one with --port, or leave it out")
        _tell(screen, machine.port)
        ended = asyncio.create_task(machine.wait())
        await asyncio.wait({ended, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not interrupted.is_set():
            raise ControlSystemError("the virtual accelerator has ended by itself")
        screen.tell("\nThe virtual accelerator has ended.")
        return 0
    finally:
        for task in (starting, stop):
            task.cancel()
        await asyncio.gather(starting, stop, return_exceptions=True)
        await machine.close()


def _tell(screen: Screen, port: int) -> None:
    from osprey_executor.interfaces.cli.streams import write_json

    address = f"127.0.0.1:{port}"
    if screen.as_json:
        write_json({"address": address, "port": port})
        return
    screen.show(
        f"The virtual accelerator answers at {address}. Ctrl-C ends it.\n"
        "\n"
        "  VA:BPM:01:X ... VA:BPM:36:Y    orbit in mm, also as VA:ORBIT:X and VA:ORBIT:Y\n"
        "  VA:HCM:01:SP ... VA:VCM:16:SP  corrector currents in A, from -5 to 5; read back at ...:RB\n"
        "  VA:DCCT                        beam current in mA\n"
        "\n"
        "Any client:\n"
        f"  EPICS_CA_AUTO_ADDR_LIST=NO EPICS_CA_ADDR_LIST={address} caget VA:DCCT\n"
        "This service, in config.yml:\n"
        f'  control_system: {{type: epics, epics: {{address_list: ["{address}"]}}}}',
        wrap=False,
    )
