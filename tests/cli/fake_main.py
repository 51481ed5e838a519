"""The command line in a process of its own, on the fake service. `$FAKE_LOG` names a file for the decisions."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from fake_service import FakeService

from osprey_executor.interfaces.cli import main, work

if __name__ == "__main__":
    FakeService.log = Path(os.environ["FAKE_LOG"]) if "FAKE_LOG" in os.environ else None
    work.PythonExecutorService = FakeService  # type: ignore[assignment, misc]
    main()
