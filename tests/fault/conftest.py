"""One service for the faults that do not need one of their own, and the campaign's account."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.commands import eventually
from tests.support.contents import embedded_content
from tests.support.reliability import Campaign
from tests.support.runs import TwinRun, metric
from tests.support.servers import MosquittoServer
from twin.store.embedded import EmbeddedStore

#: Where each test adds a line about itself; see tests/support/reliability.py.
REPORT = os.environ.get("TWIN_FAULT_REPORT")


@dataclass(frozen=True, slots=True)
class Service:
    """A running `twin run` that takes any device, and its broker."""

    broker: MosquittoServer
    run: TwinRun

    def metric(self, name: str) -> float:
        return metric(self.run.text("/metrics"), name)

    def stored(self, device: str) -> dict[tuple[str, int], float]:
        """(signal, stamp) → value of the observations of a device, or of those it begins."""
        held = embedded_content(self.run.store).observations
        return {(key[1], key[3]): value for key, value in held.items() if key[2] == device}

    def wait_stored(self, device: str, count: int, timeout: float = 120.0) -> float:
        """Until so many of a device are in the store; the seconds that took."""
        return eventually(
            lambda: self._count(device) >= count, f"{count} of {device} stored", timeout
        )

    def _count(self, device: str) -> int:
        with EmbeddedStore(self.run.store, readonly=True) as store:
            return store.stored().get(device, 0)


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    with ExitStack() as running:
        broker = running.enter_context(MosquittoServer())
        tables = {
            "mqtt": {"port": broker.port},
            "devices": {"unknown": "register", "register_at_most": 20_000},
        }
        run = running.enter_context(TwinRun(folder, tables))
        run.wait_until_connected()
        yield Service(broker, run)
        assert run.running
        assert run.stop() == 0


Account = Callable[..., None]


@pytest.fixture
def account(request: pytest.FixtureRequest) -> Account:
    """Say what the campaign's table is to hold: runs, stall_s (the longest), lost, double."""

    def note(**numbers: float) -> None:
        for name, number in numbers.items():
            request.node.user_properties.append((name, number))

    return note


_campaign = Campaign()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    told = None if REPORT is None else _campaign.line(report, time.time(), os.getloadavg()[0])
    if REPORT is not None and told is not None:
        with Path(REPORT).open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(told) + "\n")
