"""Who is acting: the name that somebody gave, kept in a signed cookie for the length of a session.

Until there are accounts a name is what somebody typed beside the token that all share. It says who
took responsibility; it proves nothing. docs/alarms.md says so too.
"""

from __future__ import annotations

import hmac
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers
from starlette.responses import Response

NAME_COOKIE = "twin_name"
NAME_S = 12 * 3600
LONGEST = 60
_SHORTEST = 2


def name_of(text: str) -> str | None:
    """The name as it is shown, or None where the text is none: 2 to 60 characters, one line."""
    name = " ".join(text.split())
    return name if _SHORTEST <= len(name) <= LONGEST and name.isprintable() else None


@dataclass(slots=True)
class Names:
    """Signs names and reads them back. A restart forgets its key, and so everybody's name."""

    clock: Callable[[], float] = time.monotonic
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def sealed(self, name: str) -> str:
        """The cookie's text: name and end, signed."""
        said = urlsafe_b64encode(f"{self.clock() + NAME_S:.0f} {name}".encode()).decode()
        return f"{said}.{self._signature(said)}"

    def of(self, headers: Headers) -> str | None:
        """The name in a request's cookie; None without one, or if it was not signed here."""
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(NAME_COOKIE)
        except CookieError:
            return None
        if cookie is None:
            return None
        said, _, signature = cookie.value.partition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(said).encode()):
            return None
        try:
            end, _, name = urlsafe_b64decode(said).decode().partition(" ")
        except (NotBase64, UnicodeDecodeError):
            return None
        return name if float(end) > self.clock() else None

    def remember(self, response: Response, name: str, *, secure: bool) -> None:
        """Set the cookie: no script and no other site can read or send it."""
        response.set_cookie(
            NAME_COOKIE,
            self.sealed(name),
            max_age=NAME_S,
            httponly=True,
            samesite="strict",
            secure=secure,
        )

    def _signature(self, said: str) -> str:
        mac = hmac.digest(self._key, said.encode(), sha256().name)
        return urlsafe_b64encode(mac).decode().rstrip("=")
