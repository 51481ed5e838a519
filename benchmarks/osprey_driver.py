"""Runs inside the environment of the Osprey framework: a request for each line of standard input, its cost for each.

    python osprey_driver.py FOLDER

The first line brings the code that its mock generator gives. Nothing of this project is imported here.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

CONFIG: dict[str, Any] = {
    "project_name": "bench",
    "execution": {"execution_method": "local", "code_generator": "mock", "python_env_path": sys.executable},
    "control_system": {"type": "mock", "writes_enabled": False},
    "approval": {"global_mode": "disabled", "capabilities": {"python_execution": {"enabled": False}}},
    "file_paths": {"agent_data_dir": "data", "executed_python_scripts_dir": "scripts"},
}


def main() -> None:
    """Answer until standard input ends."""
    folder = Path(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # it writes its log to standard output
    (folder / "config.yml").write_text(json.dumps({**CONFIG, "project_root": str(folder)}))
    generator: Any = None
    with asyncio.Runner() as runner:
        for number, text in enumerate(sys.stdin):
            try:
                if generator is None:
                    service, generator = _service()
                    generator.set_code(json.loads(text)["code"])
                begun = time.perf_counter()
                runner.run(_request(service, str(number)))
                told: dict[str, Any] = {"seconds": time.perf_counter() - begun}
            except Exception as error:
                told = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(told), file=answers, flush=True)


def _service() -> tuple[Any, Any]:
    # Deferred: importing it reads the configuration, which this program writes first.
    from osprey.services.python_executor.generation import node
    from osprey.services.python_executor.generation.mock_generator import MockCodeGenerator
    from osprey.services.python_executor.service import PythonExecutorService

    generator = MockCodeGenerator()
    # Its factory makes a new mock each time, and none of them can be told the code by configuration.
    node.create_code_generator = lambda: generator
    return PythonExecutorService(), generator


async def _request(service: Any, thread: str) -> None:
    from osprey.services.python_executor.models import PythonExecutionRequest
    from osprey.utils.config import get_full_configuration

    request = PythonExecutionRequest(user_query="measure", task_objective="measure", execution_folder_name="bench")
    result = await service.ainvoke(request, {"configurable": {**get_full_configuration(), "thread_id": thread}})
    if "total" not in result.execution_result.results:
        raise RuntimeError(f"not the results of the program: {result.execution_result.results}")


if __name__ == "__main__":
    main()
