"""Runs inside the environment of the Osprey framework: judges each program of standard input as its analysis does.

    python osprey_patterns.py FOLDER

Flagged is what it would not simply run: its analysis does not pass, or it finds a write. Nothing of this project is
imported here.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

CONFIG: dict[str, Any] = {"project_name": "bench", "control_system": {"type": "epics"}}


async def _analysed(analyzer: Any, code: str) -> dict[str, Any]:
    start = time.process_time()
    try:
        result = await analyzer.analyze_code(code, None)
        flagged = not result.passed or result.has_epics_writes
    except Exception as error:
        flagged, result = True, error
    return {"flagged": flagged, "ms": 1000 * (time.process_time() - start), "said": str(result)[:200]}


def main() -> None:
    """Answer a line for each line."""
    folder = Path(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # it writes its log to standard output
    (folder / "config.yml").write_text(json.dumps({**CONFIG, "project_root": str(folder)}))
    # Deferred: importing it reads the configuration, which this program writes first.
    from osprey.services.python_executor.analysis.node import StaticCodeAnalyzer

    defaults = {"epics_writes_enabled": True, "control_system_writes_enabled": True}
    analyzer = StaticCodeAnalyzer({"agent_control_defaults": defaults})
    with asyncio.Runner() as runner:
        for text in sys.stdin:
            told = runner.run(_analysed(analyzer, json.loads(text)["code"]))
            print(json.dumps(told), file=answers, flush=True)


if __name__ == "__main__":
    main()
