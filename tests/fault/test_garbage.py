"""Fault: a flood of garbage and payloads of 100 kB beside good ones. Budget: 0 lost, 0 double."""

from __future__ import annotations

import json
import random
import time
from threading import Thread

import pytest

from ingest.instant import MILLISECOND, SECOND
from tests.fault.conftest import Account, Service
from tests.support.commands import eventually
from tests.support.publisher import Message, publish_all, reading

pytestmark = [pytest.mark.fault, pytest.mark.slow]

GARBAGE, LARGE = 4_000, 10


def garbage(chance: random.Random) -> Message:
    """Bytes, cut messages, wrong shapes: none of it usable."""
    whole = b'{"time":1764000000000,"values":{"heart_rate":72}}'
    payload = chance.choice(
        [
            chance.randbytes(chance.randrange(1, 400)),
            whole[: chance.randrange(len(whole))],
            b'{"time":"yesterday","values":{"heart_rate":72}}',
            b'{"time":1764000000000,"values":{"heart_rate":"high"}}',
            b"[" * 300,
        ]
    )
    return f"twin/v1/junk-{chance.randrange(50)}/telemetry", payload


def large(device: str, start: int) -> Message:
    """A backlog of some 100 kB in one message: 3 600 samples."""
    stamps = [(start + n * SECOND // 10) // MILLISECOND for n in range(3_600)]
    said = {
        "times": stamps,
        "values": {"heart_rate": [60.123456789 + n / 100 for n in range(3_600)]},
    }
    return f"twin/v1/{device}/telemetry", json.dumps(said).encode()


def test_good_devices_are_heard_while_others_send_garbage(
    service: Service, account: Account
) -> None:
    chance = random.Random(4)
    port = service.broker.port
    start = time.time_ns() // SECOND * SECOND - 3_600 * SECOND
    before = service.metric("twin_messages_received_total")
    refused = service.metric("twin_observations_refused_total")
    backlog = [large(f"backlog-{n}", start) for n in range(LARGE)]
    assert min(len(payload) for _, payload in backlog) > 100_000
    junk = [garbage(chance) for _ in range(GARBAGE)]
    flood = Thread(target=publish_all, args=(port, junk + backlog))
    now = time.time_ns() // MILLISECOND * MILLISECOND
    good = [reading("good", now + n * SECOND // 10, {"spo2": 90 + n % 9}) for n in range(50)]
    flood.start()
    publish_all(port, good, rate=20)
    stall = service.wait_stored("good", len(good))
    flood.join()
    for n in range(LARGE):
        service.wait_stored(f"backlog-{n}", 3_600)
    total = before + GARBAGE + LARGE + len(good)
    eventually(lambda: service.metric("twin_messages_received_total") == total, "received")
    eventually(
        lambda: service.metric("twin_observations_refused_total") == refused + GARBAGE, "refused"
    )
    eventually(lambda: service.run.get("/healthz")["status"] == "ok", "well")
    account(runs=1, stall_s=stall)
