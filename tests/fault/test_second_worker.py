"""Fault: a second worker, ingest or store writer on one folder. Budget: 0 lost, 0 double."""

from __future__ import annotations

import time

import pytest

from ingest.instant import SECOND
from tests.fault.conftest import Account, Service
from tests.support.commands import twin
from tests.support.publisher import publish_all, reading

pytestmark = [pytest.mark.fault, pytest.mark.slow]


@pytest.mark.parametrize(
    ("role", "why"),
    [
        ("worker", "has a worker"),
        ("ingest", "has an ingest process"),
        ("store", "another process"),
    ],
)
def test_a_second_one_is_refused_and_the_first_goes_on(
    role: str, why: str, service: Service, account: Account
) -> None:
    start = time.time_ns() // SECOND * SECOND - 60 * SECOND
    sent = [reading(f"beside-{role}", start + n * SECOND, {"spo2": 90 + n % 9}) for n in range(40)]
    publish_all(service.broker.port, sent[:20])

    second = twin("run", "-c", service.run.config, "--role", role, timeout=300)

    assert second.returncode == 1
    assert why in second.stderr
    publish_all(service.broker.port, sent[20:])
    stall = service.wait_stored(f"beside-{role}", 40)
    assert len(service.stored(f"beside-{role}")) == 40
    account(runs=1, stall_s=stall)
