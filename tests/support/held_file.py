"""A static file that the page's server holds back, as a slow link would.

Not by the browser's interception: of a module that a page imports while it is busy, Chromium may
tell its driver nothing, so that the request is neither held nor seen.
"""

from __future__ import annotations

import asyncio
import threading

from fastapi import FastAPI
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send


class HeldFile:
    """Answers to requests for the file wait for `go`; `asked` is set by the first of them."""

    def __init__(self, app: FastAPI, name: str) -> None:
        (mount,) = (
            each for each in app.routes if isinstance(each, Mount) and "static" in each.name
        )
        self._name, self._static = name, mount.app
        self.asked, self.go = threading.Event(), threading.Event()
        mount.app = self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].endswith(self._name):
            self.asked.set()
            while not self.go.is_set():
                await asyncio.sleep(0.01)
        await self._static(scope, receive, send)
