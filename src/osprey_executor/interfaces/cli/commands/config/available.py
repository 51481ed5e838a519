"""What a configuration can name here, asked of the service."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from osprey_executor.config import CheckReport


def examined(config: Path | None) -> CheckReport:
    """Return what is to be said of the configuration, the names in it looked up among those that are available."""
    from osprey_executor import service
    from osprey_executor.config import Available, check

    return check(
        config,
        available=Available(
            service.available_generators(),
            service.available_connectors(),
            service.available_archivers(),
            service.engine_problem,
            service.analysis_problem,
            service.limits_problem,
            service.control_problem,
            service.unproven_problem,
            service.generator_faults,
        ),
    )
