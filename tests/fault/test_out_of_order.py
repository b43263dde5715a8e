"""Fault: every message comes three times and out of order. Budget: 0 lost, 0 double; the estimates
are those of the sorted record."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from ingest.instant import MILLISECOND, SECOND
from tests.fault.conftest import Account, Service
from tests.support.commands import eventually
from tests.support.contents import assert_same, embedded_content, replayed, rounded_estimates
from tests.support.fleets import Sample, write_recording
from tests.support.publisher import publish_all, reading

pytestmark = [pytest.mark.fault, pytest.mark.slow]

DEVICES, READINGS = 8, 120


def test_any_order_within_the_horizon_gives_the_same_estimates(
    service: Service, tmp_path: Path, account: Account
) -> None:
    chance = random.Random(12)
    start = time.time_ns() // SECOND * SECOND - 400 * SECOND
    arrivals, samples = [], []
    for device in range(DEVICES):
        phase = chance.randrange(1_000) * MILLISECOND
        for n in range(READINGS):
            stamp, value = start + n * SECOND + phase, 60.0 + n / 4
            samples.append(Sample("", f"mixed-{device}", "heart_rate", value, stamp, stamp))
            late = [chance.randrange(6 * SECOND) for _ in range(3)]
            arrivals += [(stamp + delay, device, stamp, value) for delay in late]
    arrivals.sort()
    publish_all(
        service.broker.port,
        [reading(f"mixed-{d}", stamp, {"heart_rate": value}) for _, d, stamp, value in arrivals],
    )
    stall = max(service.wait_stored(f"mixed-{n}", READINGS) for n in range(DEVICES))
    held = embedded_content(service.run.store)
    patient = {key[2]: key[0] for key in held.observations if key[2].startswith("mixed-")}
    named = [
        Sample(patient[s.device], s.device, s.signal, s.value, s.measured_at, s.received_at)
        for s in samples
    ]
    record = write_recording(tmp_path / "sorted.csv", named)
    expected = rounded_estimates(replayed(record, tmp_path / "replayed.parquet"))
    found = held.estimates_of(patient.values())
    assert_same(found, expected, "estimates")

    def duplicates() -> list[int]:
        ledgers = service.run.ledgers()
        return [ledgers[device]["duplicate"] for device in patient]

    # The last to come was perhaps one of them.
    eventually(lambda: duplicates() == [2 * READINGS] * DEVICES, "all told apart")
    assert not [key for key in held.belated if key[2] in patient]
    account(runs=1, stall_s=stall)
