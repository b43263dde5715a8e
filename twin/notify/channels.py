"""The ways a call leaves: a webhook, an e-mail. Each blocks until the other side has taken it.

Card: called by one courier thread each; no queue here. A channel keeps no connection open.
"""

from __future__ import annotations

import hmac
import smtplib
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from hashlib import sha256
from http.client import HTTPException
from typing import Protocol
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

import msgspec

from twin.notify.notice import Notice

TIMEOUT_S = 10.0


class NotDelivered(Exception):
    """Nobody took it; `again`: it may be taken later. `why` names no receiver."""

    def __init__(self, why: str, *, again: bool) -> None:
        super().__init__(why)
        self.why, self.again = why, again


class Channel(Protocol):
    """A way to somebody. name: for receipts and counters, without any secret."""

    @property
    def name(self) -> str: ...

    def wants(self, notice: Notice) -> bool:
        """Is the call for this channel?"""

    def send(self, notice: Notice) -> None:
        """Deliver it. Blocks, 10 s at most for each step. Raises NotDelivered."""


class _NoRedirect(HTTPRedirectHandler):
    """A call goes where it was configured to go, or nowhere."""

    def redirect_request(self, *_arguments: object, **_more: object) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Webhook:
    """POST of the call as JSON to an address; any 2xx is its receipt.

    secret: signs the body (header `X-Twin-Signature: sha256=…`), None: unsigned. number: which of
    several.
    """

    url: str
    secret: str | None = None
    number: int = 1

    @property
    def name(self) -> str:
        return f"webhook {self.number} {urlsplit(self.url).hostname}"

    def wants(self, notice: Notice) -> bool:
        return True

    def send(self, notice: Notice) -> None:
        body = msgspec.json.encode(notice.body)
        headers = {"content-type": "application/json", "idempotency-key": notice.key}
        if self.secret is not None:
            signature = hmac.new(self.secret.encode(), body, sha256).hexdigest()
            headers["x-twin-signature"] = f"sha256={signature}"
        request = Request(self.url, body, headers, method="POST")
        try:
            with build_opener(_NoRedirect).open(request, timeout=TIMEOUT_S):
                return
        except HTTPError as error:
            with error:
                refused = 400 <= error.code < 500 and error.code not in (408, 425, 429)
                raise NotDelivered(f"status {error.code}", again=not refused) from error
        except (URLError, HTTPException, OSError) as error:
            raise NotDelivered(type(error).__name__, again=True) from error


@dataclass(frozen=True, slots=True)
class Mail:
    """An e-mail by SMTP. recipients: step of escalation → addresses called at that step.

    security: "tls" (from the first byte), "starttls" or "none".
    """

    host: str
    port: int
    sender: str
    recipients: Mapping[int, Sequence[str]]
    security: str = "starttls"
    username: str | None = None
    password: str | None = None

    @property
    def name(self) -> str:
        return "mail"

    def wants(self, notice: Notice) -> bool:
        return bool(self.recipients.get(notice.escalation))

    def send(self, notice: Notice) -> None:
        message = EmailMessage()
        message["From"] = self.sender
        message["To"] = ", ".join(self.recipients[notice.escalation])
        message["Subject"] = f"Alarm, {notice.priority} priority"
        message["Message-ID"] = f"<{notice.key}@wearable-twin>"
        message.set_content(notice.text, cte="7bit")  # so that no line of it, a link, is broken
        try:
            with self._connected() as smtp:
                smtp.send_message(message)
        except (smtplib.SMTPAuthenticationError, smtplib.SMTPNotSupportedError) as error:
            raise NotDelivered(type(error).__name__, again=False) from error
        except (smtplib.SMTPException, OSError) as error:
            raise NotDelivered(type(error).__name__, again=True) from error

    def _connected(self) -> smtplib.SMTP:
        if self.security == "tls":
            context = ssl.create_default_context()
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(
                self.host, self.port, timeout=TIMEOUT_S, context=context
            )
        else:
            smtp = smtplib.SMTP(self.host, self.port, timeout=TIMEOUT_S)
        if self.security == "starttls":
            smtp.starttls(context=ssl.create_default_context())
        if self.username is not None:
            smtp.login(self.username, self.password or "")
        return smtp
