"""/healthz, /readyz and /metrics of a process without a page: for what starts and watches it."""

from __future__ import annotations

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from twin.care.exposition import exposition
from twin.care.settings import Health, Metrics

_JSON, _TEXT = "application/json", "text/plain; version=0.0.4; charset=utf-8"


class MonitorServer:
    """`start`, then `stop`; `port` is the one taken. Raises OSError for an address in use.

    health and metrics are asked at each request, in a thread of its own. It tells nothing about
    patients or devices, so it asks nobody who they are.
    """

    def __init__(
        self, host: str, port: int, health: Callable[[], Health], metrics: Metrics
    ) -> None:
        class Request(_Request):
            asked_health = staticmethod(health)
            asked_metrics = staticmethod(metrics)

        self._server = ThreadingHTTPServer((host, port), Request)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._thread = Thread(target=self._server.serve_forever, name="monitor", daemon=True)

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Request(BaseHTTPRequestHandler):
    asked_health: Callable[[], Health]
    asked_metrics: Metrics
    timeout = 5.0

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._say(200, _TEXT, exposition(self.asked_metrics()))
        elif path in ("/healthz", "/readyz"):
            health = self.asked_health()
            well = health.alive if path == "/healthz" else health.ready
            status = ("degraded" if health.degraded else "ok") if well else "failed"
            body = {"status": status, "degraded": health.degraded, "parts": dict(health.parts)}
            self._say(200 if well else 503, _JSON, json.dumps(body))
        else:
            self._say(404, _JSON, json.dumps({"title": "Not Found", "status": 404}))

    def _say(self, status: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002, its signature
        """Nothing: a probe every second is no news."""
