"""Chunks of a stream written to its connection itself, the same bytes for all who read it.

By way of the server each viewer's frame is a task that wakes, some forty calls, and a copy of the
frame for the chunk. A stream begins, ends and catches up that way; what it follows comes directly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

_STATE = "wire"


class Wire:
    """One connection. Used in the event loop only."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        #: Its reader is behind: more than the transport likes to hold is unsent.
        self.full = False

    def write(self, chunk: bytes) -> bool:
        """Send this chunk (see `chunk_of`) of an answer that was begun and is not ended. False: it
        takes nothing now, and nothing was sent."""
        transport = self.transport
        if transport is None or self.full or transport.is_closing():
            return False
        transport.write(chunk)
        return True


class WiredProtocol(H11Protocol):
    """The server's HTTP/1.1, whose requests know their `Wire`."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._wire = Wire()
        super().__init__(config, server_state, {**app_state, _STATE: self._wire}, _loop)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._wire.transport = transport
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._wire.transport = None
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        self._wire.full = True
        super().pause_writing()

    def resume_writing(self) -> None:
        self._wire.full = False
        super().resume_writing()


def wire_of(request: Request) -> Wire | None:
    """Of a request whose answer, of unknown length, goes out in chunks; None under any other
    server, and for HTTP/1.0."""
    wire = request.scope.get("state", {}).get(_STATE)
    chunked = request.scope.get("http_version") == "1.1"
    return wire if chunked and isinstance(wire, Wire) else None


def chunk_of(payloads: Sequence[bytes]) -> bytes:
    """These one after the other (not all empty) as one chunk of HTTP/1.1."""
    size = sum(map(len, payloads))
    return b"".join((b"%x\r\n" % size, *payloads, b"\r\n"))
