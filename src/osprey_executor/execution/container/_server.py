"""A Jupyter Server, Kernel Gateway or Enterprise Gateway: its kernels by REST, their channels by websocket."""

from __future__ import annotations

import asyncio
import math
import ssl
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

import httpx

from osprey_executor.config.schema import ContainerConfig
from osprey_executor.errors import ContainerConfigurationError, ContainerConnectivityError
from osprey_executor.text import one_line

if TYPE_CHECKING:
    from websockets.asyncio.client import connect

_MOST_MESSAGE = 4 << 20
"""Bytes of one message that is taken; the relay sends less than one million."""
_PING = 20.0
_CONNECTIONS = httpx.Limits(max_connections=8)
_REMEDY = "start it, or mend execution.container.jupyter_host, jupyter_port and use_https"
_OWN_REMEDY = "`osprey-executor container up` starts it; then begin anew"
_LATER = 10.0
_AGAIN = (0.2, 1.0, 3.0)
"""Seconds after which a kernel that could not be ended is tried again."""


class JupyterServer:
    """One server. Closed by `close`."""

    def __init__(self, config: ContainerConfig, socket: Path | None = None) -> None:
        """Prepare; nothing is asked yet.

        Args:
            config: where it is, and what it wants to hear.
            socket: of a server on this machine that listens on no port.

        Raises:
            ContainerConfigurationError: the file of certificates cannot be used.
        """
        self._config, self._socket = config, socket
        path = "/" + config.base_url.strip("/")
        host = f"{config.jupyter_host}:{config.jupyter_port}" if socket is None else "localhost"
        self._place = f"{host}{path.rstrip('/')}"
        self._headers = {name: value.get_secret_value() for name, value in config.headers.items()}
        if config.token is not None:
            self._headers["Authorization"] = f"token {config.token.get_secret_value()}"
        self._tls = _context(config) if config.use_https else None
        # No proxy of the environment: it would see the token.
        self._client = httpx.AsyncClient(
            base_url=f"{'https' if self._tls else 'http'}://{self._place}",
            headers=self._headers,
            transport=httpx.AsyncHTTPTransport(uds=str(socket), limits=_CONNECTIONS) if socket is not None else None,
            verify=self._tls or True,
            timeout=httpx.Timeout(config.patience),
            limits=_CONNECTIONS,
            trust_env=False,
        )

    @property
    def url(self) -> str:
        """Where it is."""
        if self._socket is not None:
            return f"unix:{self._socket}"
        return f"{'https' if self._config.use_https else 'http'}://{self._place}"

    async def check(self) -> None:
        """See whether it is there, takes the token, and has the kernel.

        Raises:
            ContainerConnectivityError: nobody answers.
            ContainerConfigurationError: it refuses the token, is no Jupyter server, or lacks the kernel.
        """
        specs = self._field(await self._ask("GET", "/api/kernelspecs"), "kernelspecs")
        wanted = self._config.kernel_name
        if not isinstance(specs, dict):
            self._stranger()
        names = sorted(map(str, cast(dict[str, Any], specs)))
        if wanted is not None and wanted not in names:
            raise ContainerConfigurationError(
                f"the Jupyter server at {self.url} has no kernel {wanted!r}: set execution.container.kernel_name to "
                f"one of {one_line(', '.join(names), 300)}"
            )

    async def start_kernel(self) -> str:
        """Start a kernel and return its id.

        Raises:
            ContainerConnectivityError: nobody answers, or no kernel is to be had.
            ContainerConfigurationError: it refuses the token.
        """
        patience = self._config.patience
        asked: dict[str, Any] = {}
        if self._config.kernel_user is not None:
            # For an Enterprise Gateway: for whom, and how long it may look for a place. To no other server: a Kernel
            # Gateway that is sent an environment keeps its own from the kernel.
            user = self._config.kernel_user
            asked["env"] = {"KERNEL_USERNAME": user, "KERNEL_LAUNCH_TIMEOUT": str(math.ceil(patience))}
        if self._config.kernel_name is not None:
            asked["name"] = self._config.kernel_name
        # It gives up before we do: of a kernel that comes later nobody would know.
        told = await self._ask("POST", "/api/kernels", json=asked, timeout=patience + _LATER)
        found = self._field(told, "id")
        try:
            return str(uuid.UUID(str(found)))
        except ValueError:
            self._stranger()

    async def has_kernel(self, kernel: str) -> bool | None:
        """Return whether the kernel is there; None: nobody can say."""
        try:
            answer = await self._client.get(f"/api/kernels/{kernel}", timeout=5.0)
        except httpx.HTTPError:
            return None
        return {200: True, 404: False}.get(answer.status_code)

    async def delete_kernel(self, kernel: str) -> bool:
        """End a kernel; return whether it is gone for certain."""
        for pause in _AGAIN:
            try:
                answer = await self._client.delete(f"/api/kernels/{kernel}")
            except httpx.HTTPError:
                return False
            if answer.status_code in (204, 404):
                return True
            await asyncio.sleep(pause)  # it may be just about to restart
        return False

    async def interrupt_kernel(self, kernel: str) -> None:
        """Interrupt a kernel that does not answer; what comes of it shows by itself."""
        try:
            await self._client.post(f"/api/kernels/{kernel}/interrupt", timeout=2.0)
        except httpx.HTTPError:
            return

    def channels(self, kernel: str, session: str) -> connect:
        """Return a connection to be entered: the channels of a kernel. The same `session` gets what was missed."""
        # At its first use: it is an extra.
        from websockets.asyncio.client import connect

        scheme = "wss" if self._tls else "ws"
        near: dict[str, Any] = {"unix": True, "path": str(self._socket)} if self._socket is not None else {}
        return connect(
            f"{scheme}://{self._place}/api/kernels/{kernel}/channels?session_id={session}",
            **near,
            additional_headers=self._headers,
            ssl=self._tls,
            compression=None,
            proxy=None,
            max_size=_MOST_MESSAGE,
            open_timeout=self._config.patience,
            close_timeout=1.0,
            ping_interval=_PING,
            ping_timeout=self._config.patience,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _ask(self, method: str, path: str, **more: Any) -> Any:
        try:
            answer = await self._client.request(method, path, **more)
        except httpx.HTTPError as error:
            why = one_line(str(error), 200) or type(error).__name__
            remedy = _REMEDY if self._socket is None else _OWN_REMEDY
            raise ContainerConnectivityError(f"no Jupyter server answers at {self.url} ({why}): {remedy}") from error
        if answer.status_code in (401, 403):
            has = "the token" if self._config.token is not None else "a request without a token"
            words = f"HTTP {answer.status_code}"
            if method == "POST":  # the token was good enough before
                has, words = "to start a kernel", f"{words}: {one_line(answer.text, 300)}"
            raise ContainerConfigurationError(
                f"the Jupyter server at {self.url} refuses {has} ({words}): set execution.container.token, best as "
                "${NAME} of a variable; on an Enterprise Gateway, kernel_user"
            )
        if answer.status_code == 404:
            self._stranger()
        if not answer.is_success:
            raise ContainerConnectivityError(
                f"the Jupyter server at {self.url} gives no kernel (HTTP {answer.status_code}): "
                f"{one_line(answer.text, 300)}; look at its log"
            )
        try:
            return answer.json()
        except ValueError:
            self._stranger()

    def _field(self, told: Any, name: str) -> Any:
        return cast(dict[str, Any], told).get(name) if isinstance(told, dict) else None

    def _stranger(self) -> NoReturn:
        raise ContainerConfigurationError(
            f"what answers at {self.url} is no Jupyter server: mend execution.container.jupyter_port and base_url"
        )


def _context(config: ContainerConfig) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=config.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ContainerConfigurationError(
            f"execution.container.ca_file: {config.ca_file} holds no certificates that can be used: {error}"
        ) from error
