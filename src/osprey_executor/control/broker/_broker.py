"""The broker of one control system: holds its connector, and hands each run a session."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

from osprey_executor.config import Config, ControlSystemConfig
from osprey_executor.control.broker._abort import watched
from osprey_executor.control.broker._conditions import Condition, conditions_of, unmet
from osprey_executor.control.broker._held import Held, anyone
from osprey_executor.control.broker._model import Model, Models
from osprey_executor.control.broker._overlay import Overlay
from osprey_executor.control.broker._permit import UnattendedPermit, WritePermit
from osprey_executor.control.broker._rehearsal import RehearsalSession
from osprey_executor.control.broker._session import Session
from osprey_executor.control.broker._stop import StopSwitch
from osprey_executor.control.broker._stop_channel import StopChannel
from osprey_executor.control.connectors._create import (
    BUILT_IN,
    SIMULATED,
    addresses_of,
    create_archiver,
    create_connector,
)
from osprey_executor.control.connectors._protocol import Connector, Timeouts
from osprey_executor.control.connectors.simulator import SimulatorConnector
from osprey_executor.control.limits._file import LimitsFile, LimitsInForce
from osprey_executor.control.limits._run import RunLimits
from osprey_executor.errors import ConfigurationError
from osprey_executor.models import ControlSystemReport, machine_of


class Broker:
    """The only route from code to channels, outside every sandbox.

    Args:
        connector: connected; closed by whoever connected it.
        report: which control system that is.
        limits: file of the limits database; None: there is none, and values are not bounded.
        switch: stops all writes; None: there is none.
        stop_channel: of the machine, stops them too.
        archiver: connected, where history comes from; None: from `connector`.
        stale_after: seconds after which a value is too old to be read; None: it never is.
        models: simulators for rehearsals; None: rehearsals go without.
        preconditions: what must hold before each write.
        abort_when: what ends the writing of a run.
    """

    def __init__(
        self,
        connector: Connector,
        report: ControlSystemReport,
        *,
        limits: LimitsFile | None = None,
        switch: StopSwitch | None = None,
        stop_channel: str | None = None,
        archiver: Connector | None = None,
        stale_after: float | None = None,
        models: Models | None = None,
        preconditions: Sequence[Condition] = (),
        abort_when: Sequence[Condition] = (),
    ) -> None:
        self._connector = connector
        self._models = models
        self._preconditions, self._abort_when = tuple(preconditions), tuple(abort_when)
        self._archiver = archiver
        self._stale_after = stale_after
        self._switch = switch
        self._stop_channel = StopChannel(connector, stop_channel) if stop_channel else None
        self._shut = None if report.writes_enabled else "control_system.writes_enabled is false in the configuration"
        self._limits = limits
        self.report = report
        self.machine = machine_of(report, secrets.token_hex(8))
        """Which machine that is, for leases and quarantine."""

    @property
    def connector(self) -> Connector:
        """The connector itself, for checks of the installation; code never gets it."""
        return self._connector

    async def stopped(self) -> str | None:
        """Return why nothing may be written at this moment, whoever approved it; None: nobody stopped it."""
        reason = self._switched()
        if reason is None and self._stop_channel is not None:
            # Its answer may take a while, in which somebody may have turned the switch.
            reason = await self._stop_channel.on() or self._switched()
        return reason

    def _switched(self) -> str | None:
        return self._switch.on() if self._switch else None

    async def unready(self) -> str | None:
        """Return which precondition of a run that writes does not hold at this moment; None: all do."""
        return await unmet(self._preconditions, self._connector)

    def watched(self, session: Session) -> AbstractAsyncContextManager[None]:
        """Return a context for as long as which the machine is watched for what ends the writing of a run."""
        return watched(session, self._abort_when, self._connector)

    @property
    def rules(self) -> tuple[str, ...]:
        """What the site demands of every run that writes, in words, for the card."""
        told = [f"Before the run and before each write: {one}" for one in self._preconditions]
        return (*told, *(f"Nothing more is written, and stop actions follow, when {one}" for one in self._abort_when))

    def limits(self) -> LimitsInForce | None:
        """Return the limits database as it is now, None where none is configured. Blocks while it reads the file."""
        return self._limits.now() if self._limits else None

    def session(
        self,
        *,
        run_id: str,
        permit: WritePermit | None,
        journal: Path,
        held: Held = anyone,
        limits: LimitsInForce | None = None,
    ) -> Session:
        """Return the session of one run.

        Args:
            run_id: stands on every entry of the journal.
            permit: what the run may write; None: it reads only.
            journal: file to which every attempt to write is appended; its folder exists.
            held: asked before each write whether this run, and no other one, may write the channel.
            limits: the limits database that the approval binds, from `limits()`; None: as it is now.
        """
        limits = limits or self.limits()
        shut = self._shut or (limits.shut if limits else None)
        if shut is None and self.report.real and isinstance(permit, UnattendedPermit):
            shut = "nobody is asked (approval.mode is disabled): a real control system is written with an approval only"
        return Session(
            self._connector,
            run_id=run_id,
            permit=permit,
            shut=shut,
            stopped=self.stopped,
            unready=self.unready,
            journal=journal,
            held=held,
            limits=RunLimits(limits.database) if limits and limits.database else None,
            archiver=self._archiver,
            stale_after=self._stale_after,
        )

    @asynccontextmanager
    async def rehearsal(
        self,
        *,
        run_id: str,
        journal: Path,
        limits: LimitsInForce | None = None,
        on_write: Callable[[], None] = lambda: None,
    ) -> AsyncGenerator[RehearsalSession]:
        """Yield the session of one rehearsal: the machine is read, and what is written stays in an overlay.

        Args:
            run_id: stands on every entry of the journal.
            journal: file to which every attempt to write is appended; its folder exists.
            limits: the limits database, from `limits()`; None: as it is now.
            on_write: called at the first write that is kept from the machine.

        Raises:
            ControlSystemError: the simulator that stands in for the machine cannot be started or set to it.
        """
        limits = limits or self.limits()
        async with AsyncExitStack() as stack:
            model: Model | None = None
            if self._models is not None:
                model = await stack.enter_async_context(self._models.one(self._connector))
            yield RehearsalSession(
                Overlay(self._connector, model),
                run_id=run_id,
                shut=limits.shut if limits else None,
                journal=journal,
                limits=RunLimits(limits.database) if limits and limits.database else None,
                archiver=self._archiver or self._connector,
                stale_after=self._stale_after,
                simulated=model is not None,
                on_write=on_write,
            )


def control_problem(config: ControlSystemConfig) -> str | None:
    """Return why the control system of a configuration cannot be used, without touching it; None: nothing is known.

    A plug-in, whose making runs a stranger's code, is not looked at.
    """
    try:
        if config.type in BUILT_IN:
            create_connector(config, Timeouts())
        conditions_of((*config.preconditions, *config.abort_when))
    except ConfigurationError as error:
        return str(error)
    return None


def control_report(config: Config) -> ControlSystemReport:
    """Return which control system the configuration names, without touching it.

    The address of a simulator is not in it: that is new at every start, and no part of what an approval binds.
    """
    control = config.control_system
    return ControlSystemReport(
        type=control.type,
        real=control.type not in SIMULATED,
        addresses=addresses_of(control),
        writes_enabled=control.writes_enabled,
    )


def unproven_problem(config: Config) -> str | None:
    """Return why an engine whose containment is not proven may not run programs next to the machine of `config`."""
    execution = config.execution
    container = execution.container
    # One that is managed is proven when it is opened, or not opened.
    if execution.execution_method != "container" or container.accept_unproven or container.managed:
        return None
    if not control_report(config).real:
        return None
    return (
        f"execution_method: container next to a real control system ({config.control_system.type}): nothing shows that "
        "its Jupyter server keeps programs from the machine, so no program is run. Use execution_method: local, a "
        "container of your own (execution.container.managed: true), or a simulator; or write "
        "execution.container.accept_unproven: true, and a person is asked before every first run"
    )


@asynccontextmanager
async def open_control(
    config: Config,
    *,
    home: Path | None = None,
    timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
) -> AsyncGenerator[Broker]:
    """Connect the control system of the configuration and yield its broker; on leaving, end all that was started.

    Args:
        config: the configuration.
        home: the state folder, whose kill switch stops writes; None: only that of the configuration does.
        timeouts: of the connector.

    Raises:
        ConfigurationError: there is no such connector, or its settings cannot be used.
        MissingExtraError: its library is not installed.
        ControlSystemError: it cannot be started.
    """
    control = config.control_system
    connector = create_connector(control, timeouts)
    archiver = create_archiver(config.archiver, control)
    switch = StopSwitch(home, control.stop_file)
    models = Models(lambda: SimulatorConnector(timeouts=timeouts)) if control.rehearsal == "simulator" else None
    try:
        await connector.connect()
        if archiver:
            await archiver.connect()
        yield Broker(
            connector,
            control_report(config),
            limits=LimitsFile.of(control),
            switch=switch,
            stop_channel=control.stop_channel,
            archiver=archiver,
            stale_after=control.stale_after,
            models=models,
            preconditions=conditions_of(control.preconditions),
            abort_when=conditions_of(control.abort_when),
        )
    finally:
        async with AsyncExitStack() as closing:
            closing.push_async_callback(connector.close)
            if archiver:
                closing.push_async_callback(archiver.close)
            if models:
                closing.push_async_callback(models.close)
