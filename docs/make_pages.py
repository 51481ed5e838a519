"""Makes the pictures of docs/how-to/web.md in a real browser: `python docs/make_pages.py`; all pages with `FOLDER`."""

import asyncio
import shutil
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from playwright.async_api import Browser, Page, async_playwright

from osprey_executor import PythonExecutionRequest, PythonExecutorService
from osprey_executor.desk import Desk
from osprey_executor.interfaces.web.app import create_app
from osprey_executor.interfaces.web.identify import Doorkeeper
from osprey_executor.models import Person, Role
from osprey_executor.service import SimulatorConnector

IMAGES = Path(__file__).parent / "images"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
SETPOINTS = "[f'VA:{plane}CM:{i:02d}:SP' for plane in 'HV' for i in range(1, 17)]"
PROGRAMS = {
    "safe": (
        "Tell the rms of the orbit",
        "from osprey_executor.runtime import read_channel\nimport numpy as np\n"
        "x = np.array(read_channel('VA:ORBIT:X'))\nresults = {'rms_mm': float(np.sqrt(np.mean(x**2)))}\n",
    ),
    "one": (
        "Move the first horizontal corrector by 0.2 A",
        "from osprey_executor.runtime import read_channel, "
        "write_channel\n\nnow = read_channel('VA:HCM:01:SP')\nprint('it holds', now)\n"
        "write_channel('VA:HCM:01:SP', now + 0.2)\nresults = {'before': now}\n",
    ),
    "many": (
        "Halve all corrector currents",
        "from osprey_executor.runtime import read_channels, write_channels\n"
        f"\nnames = {SETPOINTS}\nnow = read_channels(names)\n"
        "write_channels({name: value / 2 + 0.01 * i for i, (name, value) in enumerate(now.items())})\n"
        "results = {'written': len(names)}\n",
    ),
    "limits": (
        "Scan a vertical corrector and stay within its limits",
        "from osprey_executor.runtime import "
        "WriteRefused, write_channel\n\nfor current in (0.5, 1.0, 2.5, 9.0):\n    try:\n"
        "        write_channel('VA:VCM:02:SP', current)\n    except WriteRefused as error:\n"
        "        print('left out:', error)\nresults = {'done': True}\n",
    ),
    "loop": (
        "Bring the orbit at monitor 5 to 0.1 mm",
        "from osprey_executor.runtime import declare_writes, "
        "read_channel, write_channel\n\ndeclare_writes({'VA:HCM:03:SP': (-1.0, 1.0)})\n"
        "for step in range(8):\n    error = read_channel('VA:BPM:05:X') - 0.1\n    if abs(error) < 0.01:\n"
        "        break\n    now = read_channel('VA:HCM:03:SP')\n"
        "    write_channel('VA:HCM:03:SP', min(max(now - 0.2 * error, -1.0), 1.0))\n"
        "results = {'steps': step}\n",
    ),
    "opaque": (
        "Do what the recipe in the file says",
        "from pathlib import Path\nfrom osprey_executor import runtime\n\n"
        "call, name, value = Path('inputs/recipe').read_text().split()\n"
        "getattr(runtime, call)(name, float(value))\nresults = {}\n",
    ),
}
INPUTS = {"recipe": b"write_channel VA:HCM:02:SP 0.1"}
LIMITS = """\
defaults: {max_step: 5.0, restorable: true}
patterns:
  "VA:?CM:??:SP": {min_value: -4, max_value: 4, max_step: 5.0, restorable: true}
"""


@asynccontextmanager
async def serving(home: Path) -> AsyncGenerator[tuple[str, PythonExecutorService, str]]:
    """Serve the pages next to a virtual accelerator that is as good as real to the service; yield where, and a link."""
    machine = SimulatorConnector(seed=1)
    await machine.connect()
    (home / "limits.yml").write_text(LIMITS)
    settings: dict[str, Any] = {
        "execution": {"code_generator": "mock"},
        "control_system": {
            "type": "epics",
            "epics": {"address_list": [f"127.0.0.1:{machine.port}"]},
            "writes_enabled": True,
            "limits_database": str(home / "limits.yml"),
        },
    }
    service = PythonExecutorService.from_config(settings, home=home)
    app = create_app(service, Doorkeeper(service.identity(own_token="token")))
    config = uvicorn.Config(app, port=0, log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    async with service:
        serving = asyncio.create_task(server.serve())
        try:
            while not server.started:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.05)
            port = server.servers[0].sockets[0].getsockname()[1]
            yield f"http://127.0.0.1:{port}", service, f"/sign-in/{app.state.sessions.link('token')}"
        finally:
            server.should_exit = True
            await serving
            await machine.close()


async def ask(service: PythonExecutorService) -> dict[str, str]:
    """Begin the six programs, wait until each has its card or its end, and return their runs by name."""
    anna = Desk(service, Person(name="anna", roles=frozenset((Role.REQUESTER,)), proof="token"))
    runs: dict[str, str] = {}
    for name, (task, code) in PROGRAMS.items():
        run = await anna.submit(
            PythonExecutionRequest(user_query=task, code=code, inputs=INPUTS if name == "opaque" else {})
        )
        async for _ in anna.events(run.run_id):
            pass
        runs[name] = run.run_id
    return runs


@asynccontextmanager
async def looking(browser: Browser, where: str, **how: Any) -> AsyncGenerator[Page]:
    """Yield a page of a fresh profile."""
    context = await browser.new_context(base_url=where, **how)
    try:
        yield await context.new_page()
    finally:
        await context.close()


async def main(folder: Path | None) -> None:
    """Make the pictures: those of the documentation, or all in `folder`."""
    browser_of_system = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as home:
        async with serving(Path(home)) as (where, service, link), async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=browser_of_system, args=FLAGS)
            runs = await ask(service)
            context = await browser.new_context(base_url=where)
            page = await context.new_page()
            await page.goto(link)
            cookies = await context.cookies()
            looks = {
                "light": {"viewport": {"width": 1120, "height": 720}},
                "dark": {"viewport": {"width": 1120, "height": 720}, "color_scheme": "dark"},
                "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
            }
            for look, how in looks.items():
                async with looking(browser, where, storage_state={"cookies": cookies, "origins": []}, **how) as page:
                    for name, place in pages(runs).items():
                        await page.goto(place)
                        await page.wait_for_timeout(600)
                        if folder:
                            await page.screenshot(path=folder / f"{name}-{look}.png", full_page=look == "phone")
                        elif (name, look) in KEPT:
                            await page.screenshot(path=IMAGES / f"{KEPT[name, look]}.png")
            await browser.close()


KEPT = {("many", "light"): "web-card", ("one", "dark"): "web-card-dark", ("inbox", "phone"): "web-inbox-phone"}


def pages(runs: dict[str, str]) -> dict[str, str]:
    """Return the addresses of all pages by name."""
    cards = {name: f"/approvals/{run}" for name, run in runs.items()}
    return cards | {
        "inbox": "/approvals",
        "runs": "/runs",
        "run": f"/runs/{runs['safe']}",
        "machine": "/machine",
        "handover": "/handover",
        "new": "/new",
        "health": "/health",
        "edit": f"/approvals/{runs['one']}/edit",
    }


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else None))
