"""Webhook and e-mail against real servers of this test."""

from __future__ import annotations

import hmac
import json
import socket
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from tests.support.judged import alarm
from tests.support.processes import refusing_port
from twin.notify.channels import Mail, NotDelivered, Webhook
from twin.notify.notice import Notice, notices

pytestmark = pytest.mark.integration
SECRET = "a secret of sixteen"


def notice() -> Notice:
    (made,) = notices([alarm()], {"high"}, "https://ward.example")
    return made


class Receiver(BaseHTTPRequestHandler):
    """Answers with the next status; keeps headers and bodies."""

    statuses: ClassVar[list[int]] = []
    got: ClassVar[list[tuple[dict[str, str], bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
        self.send_response(self.statuses.pop(0) if self.statuses else 204)
        self.send_header("location", "http://127.0.0.1:1/elsewhere")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        return


@pytest.fixture
def receiver() -> Iterator[str]:
    Receiver.statuses, Receiver.got = [], []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_webhook_gets_a_signed_call_with_a_key(receiver: str) -> None:
    Webhook(receiver, SECRET).send(notice())
    ((headers, body),) = Receiver.got
    assert json.loads(body)["link"] == "https://ward.example/alarms/a1"
    expected = hmac.new(SECRET.encode(), body, sha256).hexdigest()
    assert headers["x-twin-signature"] == f"sha256={expected}"
    assert headers["idempotency-key"] == notice().key


@pytest.mark.parametrize(("status", "again"), [(500, True), (503, True), (429, True), (404, False)])
def test_a_refusal_is_said(receiver: str, status: int, again: bool) -> None:
    Receiver.statuses.append(status)
    with pytest.raises(NotDelivered) as refused:
        Webhook(receiver).send(notice())
    assert (refused.value.again, refused.value.why) == (again, f"status {status}")


def test_a_call_follows_no_redirect(receiver: str) -> None:
    Receiver.statuses.append(302)
    with pytest.raises(NotDelivered):
        Webhook(receiver).send(notice())
    assert len(Receiver.got) == 1


def test_a_receiver_that_is_not_there_is_tried_again() -> None:
    with refusing_port() as port, pytest.raises(NotDelivered) as away:
        Webhook(f"http://127.0.0.1:{port}/").send(notice())
    assert away.value.again


class Post(threading.Thread):
    """A mail server for one message."""

    def __init__(self) -> None:
        super().__init__()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.said: list[str] = []

    def run(self) -> None:
        connection, _ = self._socket.accept()
        with connection, connection.makefile("rwb") as line:
            self._answer(line, "220 here")
            message = False
            while raw := line.readline():
                text = raw.decode().rstrip("\r\n")
                self.said.append(text)
                if message:
                    message = text != "."
                    if not message:
                        self._answer(line, "250 kept")
                    continue
                message = text.lower() == "data"
                self._answer(
                    line,
                    "354 go on" if message else "221 bye" if text.lower() == "quit" else "250 ok",
                )
        self._socket.close()

    @staticmethod
    def _answer(line: object, text: str) -> None:
        line.write(f"{text}\r\n".encode())  # type: ignore[attr-defined]
        line.flush()  # type: ignore[attr-defined]


def test_mail_goes_to_those_of_the_step_and_says_nothing_of_the_patient() -> None:
    post = Post()
    post.start()
    mail = Mail("127.0.0.1", post.port, "twin@ward", {0: ["n@ward"], 1: ["t@ward"]}, "none")
    assert mail.wants(notice())
    mail.send(notice())
    post.join(60)
    said = "\n".join(post.said)
    assert "rcpt TO:<n@ward>" in said
    assert "t@ward" not in said
    assert "https://ward.example/alarms/a1" in said
    assert "p1" not in said.split("\n\n", 1)[1]


def test_a_step_with_nobody_is_not_this_channels() -> None:
    assert not Mail("127.0.0.1", 25, "twin@ward", {1: ["t@ward"]}).wants(notice())


def test_mail_without_a_server_is_tried_again() -> None:
    with refusing_port() as port, pytest.raises(NotDelivered) as away:
        Mail("127.0.0.1", port, "twin@ward", {0: ["n@ward"]}, "none").send(notice())
    assert away.value.again
