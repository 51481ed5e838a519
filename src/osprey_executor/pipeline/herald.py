"""Tells webhooks what happens to runs: looks into the index again and again, and tells each thing once.

It looks, instead of being called: so it does not matter which process drives or decides a run, or dies meanwhile. What
it tells is news and never a way to decide.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import httpx

from osprey_executor.config import NotifyConfig, WebhookConfig
from osprey_executor.errors import StorageError
from osprey_executor.models import Announcement
from osprey_executor.storage import RunStore
from osprey_executor.text import one_line

_LOG = logging.getLogger(__name__)
_LOOK_SECONDS = 1.0
_TRIES = (0.0, 2.0, 10.0)
"""Seconds to wait before each try."""
_LAST_SECONDS = 5.0
"""For what happened last, when the service is closed."""
_WORDS = {
    "pending": "A run waits for approval",
    "expired": "Nobody has decided, and the card has expired",
    "writing": "A run that may write to the machine begins",
    "ended": "A run that could write to the machine has ended",
}


@asynccontextmanager
async def herald(store: RunStore, config: NotifyConfig) -> AsyncGenerator[None]:
    """Tell the webhooks of a configuration what happens, for as long as the context lasts."""
    # Redirects are not followed: what is told goes to whom the site has named.
    async with httpx.AsyncClient(timeout=10, follow_redirects=False, trust_env=False) as client:
        one = Herald(store, config, client)
        looking = asyncio.create_task(one.look_again_and_again())
        try:
            yield
        finally:
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_SECONDS):
                    await one.finish()


class Herald:
    """Tells what nobody has been told."""

    def __init__(self, store: RunStore, config: NotifyConfig, client: httpx.AsyncClient) -> None:
        self._store = store
        self._config = config
        self._client = client
        self._telling: set[asyncio.Task[None]] = set()

    async def look_again_and_again(self) -> None:
        """Look until cancelled; an index that cannot be read or written now may be so later."""
        while True:
            with suppress(StorageError):
                await self.look()
            await asyncio.sleep(_LOOK_SECONDS)

    async def look(self) -> None:
        """Begin to tell what is new. Of several processes, one tells it."""
        for news in await self._store.untold():
            if await self._store.tell(news):
                for hook in self._config.webhooks:
                    if news.kind in hook.events:
                        task = asyncio.create_task(self._tell(hook, news))
                        self._telling.add(task)
                        task.add_done_callback(self._telling.discard)

    async def finish(self) -> None:
        """Tell what is left."""
        with suppress(StorageError):
            await self.look()
        if self._telling:
            await asyncio.wait(self._telling)

    async def _tell(self, hook: WebhookConfig, news: Announcement) -> None:
        body = json.dumps(told(news, self._config.link)).encode()
        headers = {"Content-Type": "application/json"}
        if hook.secret is not None:
            signature = hmac.new(hook.secret.get_secret_value().encode(), body, hashlib.sha256).hexdigest()
            headers["X-Osprey-Signature"] = f"sha256={signature}"
        why = ""
        for pause in _TRIES:
            await asyncio.sleep(pause)
            try:
                answer = await self._client.post(hook.url, content=body, headers=headers)
            except httpx.HTTPError as error:
                why = f"{type(error).__name__} {error}"
                continue
            if answer.is_success:
                return
            why = f"it answered {answer.status_code}"
            if not answer.is_server_error and answer.status_code != 429:
                break
        _LOG.warning("webhook %s was not told of %s of run %s: %s", _place(hook.url), news.kind, news.run_id, why)


def told(news: Announcement, link: str | None) -> dict[str, str | None]:
    """Return what a webhook is sent. `text` is what chats show; in it, nothing of a program can call anybody."""
    headline, task = one_line(news.headline, 400), one_line(news.task, 300)
    where = f"{link.rstrip('/')}/runs/{news.run_id}" if link else f"osprey-executor show {news.run_id}"
    by = f", approved by {one_line(news.approver, 100)}" if news.kind in ("writing", "ended") and news.approver else ""
    how = f" {news.state.replace('_', ' ')}, machine: {news.effects}" if news.kind == "ended" else ""
    said = f"{_WORDS[news.kind]}{by}:{how} {headline or task} (asked by {one_line(news.requester, 100)}) {where}"
    return {
        "event": news.kind,
        "run_id": news.run_id,
        "at": news.at.isoformat(),
        "state": news.state,
        "effects": news.effects,
        "headline": headline,
        "task": task,
        "requester": one_line(news.requester, 100),
        "approver": one_line(news.approver, 100) or None,
        "expires_at": news.expires_at.isoformat() if news.expires_at else None,
        "link": where if link else None,
        "text": said.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "@\u200b"),
    }


def _place(url: str) -> str:
    """Return an address without its path, which may be a secret in itself."""
    parsed = httpx.URL(url)
    return f"{parsed.scheme}://{parsed.netloc.decode()}/..."
