"""Something between us and a server: a wire that goes dead, an answer that is not the server's."""

from __future__ import annotations

import http.client
import socket
import threading
from collections import Counter, deque
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from tests.support.processes import free_port


class Wire:
    """Forwards TCP to a port. `go_dead`: the connections that there are stay open and carry
    nothing any more, as when a router in between forgot them; new ones are forwarded."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.connections = 0
        self._dead = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def go_dead(self) -> None:
        """All present connections, from now on."""
        self._dead.set()
        self._dead = threading.Event()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
                self.connections += 1
                self._open += [client, server]
                for one, other in ((client, server), (server, client)):
                    threading.Thread(
                        target=self._pump, args=(one, other, self._dead), daemon=True
                    ).start()

    def _pump(self, one: socket.socket, other: socket.socket, dead: threading.Event) -> None:
        with suppress(OSError):
            while received := one.recv(65_536):
                if dead.is_set():
                    return  # neither forwarded nor closed
                other.sendall(received)
            if not dead.is_set():
                other.shutdown(socket.SHUT_WR)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for each in (self._server, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


class Refusing:
    """An HTTP server in front of InfluxDB. Writes get the statuses of `answers` first, in turn,
    each with Retry-After 1; a body above `largest` bytes gets 413; all else is forwarded."""

    def __init__(self, target: int, largest: int = 1 << 30) -> None:
        self.answers: deque[int] = deque()
        self.given: Counter[int] = Counter()
        outer = self

        class Request(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if "/write" in self.path and outer.answers:
                    self._refuse(outer.answers.popleft())
                elif len(body) > largest:
                    self._refuse(413)
                else:
                    self._forward(body)

            def do_GET(self) -> None:
                self._forward(b"")

            def _refuse(self, status: int) -> None:
                outer.given[status] += 1
                said = b'{"code":"refused","message":"by the test"}'
                self.send_response(status)
                self.send_header("Retry-After", "1")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def _forward(self, body: bytes) -> None:
                server = http.client.HTTPConnection("127.0.0.1", target, timeout=60)
                headers = {k: v for k, v in self.headers.items() if k.lower() != "host"}
                server.request(self.command, self.path, body, headers)
                answer = server.getresponse()
                said = answer.read()
                outer.given[answer.status] += 1
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)
                server.close()

            def log_message(self, *args: object) -> None:
                pass

        self.port = free_port()
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Request)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
