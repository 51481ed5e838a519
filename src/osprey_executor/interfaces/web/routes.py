"""What everybody may ask: whether the service is there."""

from __future__ import annotations

from fastapi import FastAPI


def add_health(app: FastAPI) -> None:
    """Let the application answer `/healthz`, to strangers, too: that it serves, and nothing more."""

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:  # pyright: ignore[reportUnusedFunction]
        return {"status": "ok"}
