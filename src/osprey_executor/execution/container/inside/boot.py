"""The first process of a container of ours: starts the Jupyter server and waits for every process that is orphaned."""

# No walls are needed here: the container is the wall, and programs get walls of their own.

import os
import signal
import subprocess
import sys

FOLDER = sys.argv[1]
OWN = "/tmp/jupyter"  # noqa: S108 - of the container
os.environ.update(
    HOME="/tmp",  # noqa: S108
    JUPYTER_RUNTIME_DIR=OWN,
    JUPYTER_CONFIG_DIR=OWN,
    JUPYTER_DATA_DIR=OWN,
    IPYTHONDIR=OWN,
    MPLCONFIGDIR="/tmp/fonts",  # noqa: S108
)
# Nobody but the owner of the folder comes to the socket, so there is no token that could be lost.
server = subprocess.Popen(
    [
        *(sys.executable, "-m", "jupyter_server", "--no-browser"),
        f"--ServerApp.sock={FOLDER}/jupyter.sock",
        "--ServerApp.sock_mode=0666",
        "--ServerApp.root_dir=/tmp",
        "--ServerApp.terminals_enabled=False",
        "--ServerApp.disable_check_xsrf=True",
        "--IdentityProvider.token=",
    ]
)
# A list of fonts saves each program that plots a second; see `_lend_fonts` of the relay.
subprocess.Popen(
    [sys.executable, "-c", "import matplotlib.font_manager"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
)


def end(number: int, frame: object) -> None:
    """End the server, and with it the container."""
    server.kill()


signal.signal(signal.SIGTERM, end)
while True:
    process, status = os.wait()
    if process == server.pid:
        sys.exit(f"the Jupyter server has ended ({os.waitstatus_to_exitcode(status)})")
