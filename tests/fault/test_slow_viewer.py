"""Fault: viewers of the page that do not read. Budget: 0 lost, 0 double, nobody else waits."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack

import httpx2
import psutil
import pytest

from ingest.instant import SECOND
from tests.fault.conftest import Account, Service
from tests.support.commands import eventually
from tests.support.publisher import publish_all, reading

pytestmark = [pytest.mark.fault, pytest.mark.slow]

VIEWERS = 30


def test_viewers_that_do_not_read_hold_up_nobody(service: Service, account: Account) -> None:
    run = service.run
    start = time.time_ns() // SECOND * SECOND - 300 * SECOND
    readings = [
        reading(f"seen-{n % 20}", start + n // 20 * SECOND, {"heart_rate": 60 + n % 40, "spo2": 95})
        for n in range(6_000)
    ]
    process = psutil.Process(run._process.pid)
    with ExitStack() as opened:
        for _ in range(VIEWERS):
            deaf = opened.enter_context(socket.create_connection(("127.0.0.1", run.port)))
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
            deaf.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        before = process.memory_info().rss
        publish_all(service.broker.port, readings)
        stall = max(service.wait_stored(f"seen-{n}", 600) for n in range(20))
        with httpx2.stream("GET", f"{run.url}/api/v1/stream", timeout=60.0) as stream:
            assert next(stream.iter_lines())
        assert process.memory_info().rss - before < 100 << 20
        eventually(lambda: run.get("/healthz")["status"] == "ok", "well")
    account(runs=VIEWERS, stall_s=stall)
