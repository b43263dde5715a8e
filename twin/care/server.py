"""Serves the app with uvicorn (HTTP/1.1) in a thread of its own.

HTTP/2, without which a browser stops at its seventh open page, comes from a proxy in front
(docs/operations.md).
"""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from twin.care.parts import Parts
from twin.care.wire import WiredProtocol

_START_S, _STOP_S, _LOOK_S = 30.0, 5.0, 1.0


class ServerStopped(Exception):
    """The server ended before it was asked to; its log says why."""


class _Server(uvicorn.Server):
    """Ends open streams before it waits for connections to end. It looks once a second whether it
    is to end, and when it is told to: uvicorn's ten looks a second were a tenth of what a large
    ward's page costs."""

    def __init__(self, config: uvicorn.Config, parts: Parts) -> None:
        super().__init__(config)
        self._parts = parts
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = asyncio.Event()

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), _LOOK_S)

    def end(self) -> None:
        """To be called from any thread."""
        self.should_exit = True
        if self._loop is not None:
            with suppress(RuntimeError):  # it has ended already
                self._loop.call_soon_threadsafe(self._ended.set)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._parts.feed.hub.close()
        await super().shutdown(sockets)


class PageServer:
    """`start`, then `address`, then `stop`. port 0 takes a free one.

    Raises ValueError for an address beyond loopback without a token, OSError for one in use.
    """

    def __init__(
        self,
        app: FastAPI,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        certificate: Path | None = None,
        key: Path | None = None,
    ) -> None:
        parts: Parts = app.state.parts
        if parts.settings.token is None and not is_loopback(host):
            raise ValueError(f"host: got {host!r}; without a token only loopback is served")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((host, port))
        self.port = int(self._socket.getsockname()[1])
        self._host = f"[{host}]" if ":" in host else host
        self._scheme = "https" if certificate else "http"
        config = uvicorn.Config(
            app,
            log_config=None,
            http=WiredProtocol,
            access_log=False,  # paths hold patients' ids
            server_header=False,
            timeout_graceful_shutdown=2,
            ssl_certfile=certificate,
            ssl_keyfile=key,
        )
        self._server = _Server(config, parts)
        self._thread = threading.Thread(target=self._run, name="care-page", daemon=True)

    @property
    def address(self) -> str:
        """URL of the page, without a slash at its end."""
        return f"{self._scheme}://{self._host}:{self.port}"

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        """Returns when requests are answered. Raises ServerStopped."""
        self._thread.start()
        waited = threading.Event()
        for _ in range(int(_START_S / 0.02)):
            if self._server.started:
                return
            if not self._thread.is_alive():
                break
            waited.wait(0.02)
        raise ServerStopped("the page's server did not start")

    def stop(self) -> None:
        """Ends streams and requests, stops the feed; returns when that is done (5 s at most)."""
        self._server.end()
        self._thread.join(_STOP_S)
        self._socket.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])


def is_loopback(host: str) -> bool:
    """Does this host mean this machine alone?"""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
