"""A loopback stand-in for the EPICS Archiver Appliance: its path, its parameters, and answers in its format."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

MEAN = re.compile(r"mean_(\d+)\((.*)\)")


@dataclass
class Appliance:
    """What it holds, how it misbehaves, and what it was asked."""

    url: str = ""
    samples: dict[str, list[tuple[float, Any, int]]] = field(default_factory=dict)
    """Of each channel: seconds since 1970, value, severity."""
    units: str = "mA"
    answer: bytes | None = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    endless: bool = False
    silent: threading.Event | None = None
    asked: list[dict[str, str]] = field(default_factory=list)

    def found(self, asked: dict[str, str]) -> bytes | None:
        """Return the answer to one question, None for a channel that is not archived."""
        if self.answer is not None:
            return self.answer
        binned = MEAN.fullmatch(asked["pv"])
        name = binned[2] if binned else asked["pv"]
        if name not in self.samples:
            return None
        start, end = (datetime.fromisoformat(asked[key]).timestamp() for key in ("from", "to"))
        every = [sample for sample in self.samples[name] if sample[0] <= end]
        # The appliance begins with the value that was valid at the start.
        before = [sample for sample in every if sample[0] < start][-1:]
        rows = before + [sample for sample in every if sample[0] >= start]
        if binned:
            width = int(binned[1])
            bins: dict[int, list[float]] = {}
            for when, value, _ in rows:
                bins.setdefault(int(when) // width, []).append(value)
            rows = [(at * width + width // 2, sum(each) / len(each), 0) for at, each in bins.items()]
        data = [
            {"secs": int(when), "val": value, "nanos": round(when % 1 * 1e9), "severity": severity, "status": 0}
            for when, value, severity in rows
        ]
        return json.dumps([{"meta": {"name": name, "EGU": self.units, "PREC": "3"}, "data": data}]).encode()


@contextmanager
def serve() -> Iterator[Appliance]:
    """Serve one on a port of its own."""
    appliance = Appliance()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
            appliance.asked.append({**asked, "redirect": self.headers.get("redirect", "")})
            if appliance.silent:
                appliance.silent.wait(30)
            body = appliance.found(asked) if parts.path == "/retrieval/data/getData.json" else None
            self.send_response(404 if body is None else appliance.status)
            for name, value in appliance.headers.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                self.wfile.write(body or b"")
                while appliance.endless:
                    self.wfile.write(b" " * 2**20)
            except OSError:
                appliance.endless = False

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        appliance.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield appliance
        finally:
            if appliance.silent:
                appliance.silent.set()
            server.shutdown()
            thread.join()
