"""Fault: 1 000 devices (10 000 in `make fault`) connect at once. Budget: 0 lost, 0 double.

TWIN_FAULT_DEVICES says how many, 1 000 without it.
"""

from __future__ import annotations

import asyncio
import os
import resource
import struct
import time
from pathlib import Path

import pytest

from ingest.instant import SECOND
from tests.fault.conftest import Account
from tests.support.commands import wait_for
from tests.support.contents import embedded_content, embedded_count
from tests.support.publisher import reading
from tests.support.runs import TwinRun
from tests.support.servers import MosquittoServer

DEVICES = int(os.environ.get("TWIN_FAULT_DEVICES", "1000"))
pytestmark = [pytest.mark.fault, pytest.mark.slow, pytest.mark.timeout(300)]


def test_all_are_heard(mosquitto_server: MosquittoServer, tmp_path: Path, account: Account) -> None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < DEVICES + 500:
        pytest.skip(f"{DEVICES} connections are more than this machine allows ({hard})")
    devices = {"unknown": "register", "register_at_most": DEVICES}
    tables = {"mqtt": {"port": mosquitto_server.port}, "devices": devices}
    stamp = time.time_ns() // SECOND * SECOND
    with TwinRun(tmp_path, tables) as run:
        run.wait_until_connected()
        begun = time.monotonic()
        asyncio.run(connect_all(mosquitto_server.port, stamp))
        wait_for(lambda: embedded_count(run.store), DEVICES, 60.0)
        took = time.monotonic() - begun
        assert run.stop() == 0
    held = embedded_content(run.store).observations
    assert {key[2] for key in held} == {f"watch-{n}" for n in range(DEVICES)}
    assert len(held) == DEVICES
    account(runs=1, stall_s=took, devices=DEVICES)


async def connect_all(port: int, stamp: int) -> None:
    """Every device at once; each stays until all are acknowledged."""
    done = asyncio.Event()
    left = DEVICES
    at_once = asyncio.Semaphore(2_000)  # half-made connections; the listener's queue is shorter

    async def device(n: int) -> None:
        nonlocal left
        async with at_once:
            reader, writer = await connected(port)
            name = f"watch-{n}"
            topic, payload = reading(name, stamp, {"heart_rate": 60 + n % 60})
            writer.write(connect_packet(name) + publish_packet(topic, payload))
            await writer.drain()
            await reader.readexactly(4)  # CONNACK
            await reader.readexactly(4)  # PUBACK
        left -= 1
        if left == 0:
            done.set()
        await done.wait()
        writer.close()

    await asyncio.gather(*(device(n) for n in range(DEVICES)))


async def connected(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    for _ in range(50):
        try:
            return await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.2)
    raise TimeoutError("the broker takes no more connections")


def connect_packet(client: str) -> bytes:
    body = b"\x00\x04MQTT\x04\x02\x00\x3c" + text(client)
    return b"\x10" + length(len(body)) + body


def publish_packet(topic: str, payload: bytes) -> bytes:
    body = text(topic) + b"\x00\x01" + payload
    return b"\x32" + length(len(body)) + body


def text(said: str) -> bytes:
    return struct.pack(">H", len(said)) + said.encode()


def length(n: int) -> bytes:
    return bytes([n]) if n < 128 else bytes([n % 128 | 128, n // 128])
