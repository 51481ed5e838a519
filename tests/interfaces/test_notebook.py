"""`%%osprey` in a real kernel: runs, shows, asks, is decided from the next cell, and leaves results behind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from osprey_executor.errors import InvalidRequestError
from osprey_executor.interfaces.notebook.order import order_of

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "notebook.md"
CONFIG = {
    "execution": {"code_generator": "mock", "timeout": 60},
    "control_system": {"type": "mock", "writes_enabled": True},
}
WRITE = """%%osprey --code --config config.yml --context x step <b>the</b> corrector
from osprey_executor.runtime import write_channel
write_channel("MAG:1:SP", context["x"])
results = {"set": context["x"]}
"""


class Notebook:
    """Cells executed one by one in one kernel."""

    def __init__(self, client: NotebookClient) -> None:
        self._client = client

    async def cell(self, source: str) -> list[Any]:
        """Execute a cell and return its outputs."""
        cell = nbformat.v4.new_code_cell(source)
        self._client.nb.cells.append(cell)
        await self._client.async_execute_cell(cell, len(self._client.nb.cells) - 1)
        return cell.outputs

    async def fails(self, source: str) -> str:
        """Execute a cell that fails and return what it says; a traceback of ours must not be in it."""
        with pytest.raises(CellExecutionError) as failed:
            await self.cell(source)
        said = str(failed.value)
        assert "magic.py" not in said
        return said

    async def told(self, expression: str) -> str:
        """Return the repr of an expression in the kernel."""
        return (await self.cell(expression))[0]["data"]["text/plain"]


@asynccontextmanager
async def opened(folder: Path) -> AsyncGenerator[Notebook]:
    (folder / "config.yml").write_text(json.dumps(CONFIG))
    client = NotebookClient(nbformat.v4.new_notebook(), timeout=100, resources={"metadata": {"path": str(folder)}})
    async with client.async_setup_kernel():
        yield Notebook(client)


def html_of(outputs: list[Any]) -> str:
    return "".join(output["data"].get("text/html", "") for output in outputs if "data" in output)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_a_notebook_runs_decides_and_takes_the_results(tmp_path: Path) -> None:
    async with opened(tmp_path) as notebook:
        for source in re.findall(r"```ipython\n(.*?)```", PAGE.read_text(), re.DOTALL):
            await notebook.cell(source)
        assert await notebook.told("osprey_run.status.value") == "'awaiting_approval'"
        outputs = await notebook.cell(
            "%%osprey --code --config config.yml --into found\n"
            "import matplotlib.pyplot as plt\n"
            "plt.plot([1, 2]); print('<script>alert(1)</script>')\n"
            "results = {'sum': 1 + 1}\n"
        )
        assert any("image/png" in output.get("data", {}) for output in outputs)
        assert "<script>" not in html_of(outputs)
        assert "&lt;script&gt;" in html_of(outputs)
        assert await notebook.told("found") == "{'sum': 2}"

        await notebook.cell("x = 1.5; results = 'of an earlier run'")
        asked = html_of(await notebook.cell(WRITE))
        assert "MAG:1:SP" in asked
        assert "<b>the</b>" not in asked
        assert await notebook.told("'results' in globals()") == "False"
        digest = await notebook.told("osprey_run.digest[:12]")
        assert f"%osprey approve {digest[1:-1]}" in asked
        for wrong in ("", "yes", digest[1:5], "0" * 12):
            assert "approve with the first 8 digits" in await notebook.fails(f"%osprey approve {wrong}")
        await notebook.cell(f"%osprey approve {digest}")
        assert await notebook.told("results") == "{'set': 1.5}"
        assert await notebook.told("osprey_run.effects.value") == "'written'"

        await notebook.cell(WRITE)
        edited = html_of(await notebook.cell(f"%%osprey edit\n{WRITE.partition(chr(10))[2].replace('MAG:1', 'MAG:2')}"))
        assert "MAG:2:SP" in edited
        assert "ExecutionRejectedError" in await notebook.fails("%osprey reject not now")
        assert "does not wait" in await notebook.fails(f"%osprey approve {digest}")
        assert "ExecutionRejectedError" in await notebook.fails("%osprey show")

        assert "ZeroDivisionError" in await notebook.fails("%%osprey --code --config config.yml\n1 / 0")
        assert "has no y" in await notebook.fails("%%osprey --code --config config.yml --context y\nresults = {}")
        assert "is no option" in await notebook.fails("%osprey --nonsense")
        assert "nowhere.yml" in await notebook.fails("%%osprey --config nowhere.yml\nadd")
        await notebook.cell("%unload_ext osprey_executor")
        assert "not found" in await notebook.fails("%%osprey\nx")


def test_a_shell_that_ends_closes_its_service_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text(json.dumps(CONFIG))
    program = (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        "shell.run_line_magic('load_ext', 'osprey_executor')\n"
        "shell.run_cell('%%osprey --code --config config.yml\\nresults = {}')\n"
        "print('left', shell.user_ns['results'])\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=os.environ | {"IPYTHONDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ended.stdout.endswith("left {}\n"), ended
    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_words_of_a_line() -> None:
    assert order_of("don't touch it").words == ("don't", "touch", "it")
    assert order_of("approve 12345678").decision == "approve"
    assert order_of("--code approve").decision is None
    assert order_of("--context a,b --into c").context == ("a", "b")
    for wrong in ("--into 1a", "--config", "--nonsense"):
        with pytest.raises(InvalidRequestError):
            order_of(wrong)
