"""Who gets in: one token for all until there are accounts, as bearer or through the sign-in page.

Also what every answer must carry: security headers, no caching of patients' numbers, and refusal of
what another site's page makes a browser send.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twin.care.problem import Problem, problem_response
from twin.care.problem_answers import answer

SESSION_COOKIE = "twin_session"
SESSION_S = 12 * 3600
_MOST_SESSIONS = 1_000
_OPEN = ("/healthz", "/readyz", "/sign-in")
#: It never ends, so there is nothing to be said of it without its body.
_ENDLESS = "/api/v1/stream"
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_HEADERS = {
    "content-security-policy": (
        "default-src 'self'; style-src 'self'; img-src 'self' data:; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


@dataclass(slots=True)
class Attempts:
    """Failed sign-ins of one address: 5 in a minute, then it waits. All addresses: 60 in a minute.

    The bound on all also bounds what is remembered.
    """

    each: int = 5
    all: int = 60
    window_s: float = 60.0
    _failed: deque[tuple[float, str]] = field(default_factory=deque)

    def wait(self, address: str, at: float) -> int:
        """Whole seconds until this address may try again, 0 = now."""
        while self._failed and self._failed[0][0] <= at - self.window_s:
            self._failed.popleft()
        own = [t for t, a in self._failed if a == address]
        if len(own) >= self.each:
            return int(own[-self.each] + self.window_s - at) + 1
        if len(self._failed) >= self.all:
            return int(self._failed[-self.all][0] + self.window_s - at) + 1
        return 0

    def fail(self, address: str, at: float) -> None:
        self._failed.append((at, address))


@dataclass(slots=True)
class Access:
    """The token and the sessions that it opened. Used in the event loop only.

    Sessions are kept in memory, by the hash of their secret; a restart signs everybody out.
    """

    token: str | None
    clock: Callable[[], float] = time.monotonic
    attempts: Attempts = field(default_factory=Attempts)
    _sessions: dict[bytes, float] = field(default_factory=dict)
    _followers: dict[bytes, set[Callable[[], None]]] = field(default_factory=dict)

    def token_matches(self, offered: str) -> bool:
        expected = self.token
        return expected is not None and secrets.compare_digest(offered.encode(), expected.encode())

    def open_session(self) -> str:
        """A new session's secret, good for 12 h."""
        now = self.clock()
        self._sessions = {key: end for key, end in self._sessions.items() if end > now}
        if len(self._sessions) >= _MOST_SESSIONS:
            self._end(min(self._sessions, key=self._sessions.__getitem__))
        secret = secrets.token_urlsafe(32)
        self._sessions[_key(secret)] = now + SESSION_S
        return secret

    def close_session(self, secret: str) -> None:
        """End a session, and what goes on in it."""
        self._end(_key(secret))

    def _end(self, key: bytes) -> None:
        self._sessions.pop(key, None)
        for ended in tuple(self._followers.pop(key, ())):
            ended()

    def admits(self, headers: Headers) -> bool:
        """Does this request come from somebody who has the token, or a session that it opened?"""
        if self.token is None or self._bears_token(headers):
            return True
        end = self._sessions.get(_key(session_of(headers)))
        return end is not None and end > self.clock()

    @contextmanager
    def following(self, headers: Headers, ended: Callable[[], None]) -> Iterator[None]:
        """While an answer to this request goes on: `ended` is called, in the event loop, as soon as
        its session is closed or over. Who bears the token has none."""
        if self.token is None or self._bears_token(headers):
            yield
            return
        key = _key(session_of(headers))
        left = max(self._sessions.get(key, 0.0) - self.clock(), 0.0)
        timer = asyncio.get_running_loop().call_later(left, self._end, key)
        self._followers.setdefault(key, set()).add(ended)
        try:
            yield
        finally:
            timer.cancel()
            mine = self._followers.get(key, set())
            mine.discard(ended)
            if not mine:
                self._followers.pop(key, None)

    def _bears_token(self, headers: Headers) -> bool:
        scheme, _, offered = headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self.token_matches(offered.strip())


def session_of(headers: Headers) -> str:
    """The secret in the session cookie, "" if there is none."""
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(SESSION_COOKIE)
    except CookieError:
        return ""
    return "" if cookie is None else cookie.value


def _key(secret: str) -> bytes:
    return sha256(secret.encode()).digest()


class Guard:
    """ASGI middleware before everything else (a plain one: streams pass through unbuffered).

    HEAD is answered as GET without its body, which the router by itself does not.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, path = Headers(scope=scope), scope["path"]
        if scope["method"] == "HEAD" and path != _ENDLESS:
            scope = {**scope, "method": "GET"}  # the server leaves the body out

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                outgoing = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    outgoing[name] = value
                outgoing.setdefault("cache-control", "no-store")
            await send(message)

        refused = self._refusal(Request(scope), scope["method"], path, headers)
        await (refused or self._app)(scope, receive, send_guarded)

    def _refusal(
        self, request: Request, method: str, path: str, headers: Headers
    ) -> ASGIApp | None:
        if self._access.token is None and not _is_loopback(headers.get("host", "")):
            return answer(request, Problem(421, "without a token only loopback is served").body)
        if method not in ("GET", "HEAD") and not _same_origin(headers):
            return answer(request, Problem(403, "sent by another site's page").body)
        if path in _OPEN or path.startswith("/static/") or self._access.admits(headers):
            return None
        if path.startswith("/api/") or path in ("/metrics", "/openapi.json"):
            return problem_response(
                Problem(401, "send the token: Authorization: Bearer …").body,
                {"www-authenticate": "Bearer"},
            )
        return RedirectResponse(f"/sign-in?next={quote(path, safe='/')}", 303)


def _is_loopback(host: str) -> bool:
    """Guards the open demo against a foreign name that was pointed at this machine."""
    name = host.rpartition(":")[0] if ":" in host and not host.endswith("]") else host
    return name.lower() in _LOOPBACK


def _same_origin(headers: Headers) -> bool:
    origin = headers.get("origin")
    if origin is not None:
        try:
            return urlsplit(origin).netloc == headers.get("host")
        except ValueError:  # "http://[": no address at all
            return False
    return headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
