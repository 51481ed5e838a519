"""Analyses in a process of its own what would hold the interpreter, and with it the whole service, for too long."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from osprey_executor.analysis.catalogue import Catalogue
from osprey_executor.analysis.patterns import Patterns
from osprey_executor.analysis.quality import Gates
from osprey_executor.analysis.site import Site
from osprey_executor.models import AnalysisReport

_MODULE = "osprey_executor.analysis.apart_worker"
_MOST_WALL = 120.0
"""Seconds; processor time is what ends the process, this only where the machine has none for it."""
_CATALOGUE = TypeAdapter(Catalogue)


def analyzed_apart(source: str | bytes, site: Site, gates: Gates | None) -> AnalysisReport | None:
    """Return what the analysis in another process says; None where it did not come to an end there."""
    worker = [sys.executable, "-P", "-m", _MODULE]
    environment = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    job = job_of(source, site, gates).encode("utf-8")
    try:
        done = subprocess.run(worker, input=job, capture_output=True, env=environment, timeout=_MOST_WALL, check=False)
        return AnalysisReport.model_validate_json(done.stdout)
    except (subprocess.TimeoutExpired, OSError, ValidationError):
        return None


def job_of(source: str | bytes, site: Site, gates: Gates | None) -> str:
    """Return all that an analysis needs as JSON."""
    told: dict[str, Any] = {
        "source": source if isinstance(source, str) else source.decode("latin-1"),
        "bytes": isinstance(source, bytes),
        "deny": sorted(site.deny),
        "write": [one.pattern for one in site.patterns.write],
        "read": [one.pattern for one in site.patterns.read],
        "gates": None,
    }
    if gates is not None:
        modules = None if gates.modules is None else sorted(gates.modules)
        told["gates"] = {"expected": gates.expected, "modules": modules, "standard": sorted(gates.standard)}
    return f"{json.dumps(told)}\n{_CATALOGUE.dump_json(site.catalogue).decode()}\n"


def read_job(job: str, catalogue: str) -> tuple[str | bytes, Site, Gates | None]:
    """Return what `job_of` wrote in two lines."""
    told: dict[str, Any] = json.loads(job)
    listed: dict[str, Any] = json.loads(catalogue)
    deep = cast("dict[str, Any]", listed["deep"])
    listed["deep"] = {tuple(key.split(",")): rule for key, rule in deep.items()}
    site = Site(
        catalogue=_CATALOGUE.validate_python(listed),
        deny=frozenset(told["deny"]),
        patterns=Patterns.of(write=told["write"], read=told["read"]),
    )
    held: dict[str, Any] | None = told["gates"]
    gates = None if held is None else Gates(tuple(held["expected"]), held["modules"], held["standard"])
    source: str = told["source"]
    return source.encode("latin-1") if told["bytes"] else source, site, gates
