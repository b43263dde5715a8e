"""What a process without a page answers to those who watch it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from twin.care.settings import Health, Metric
from twin.runtime.monitor import MonitorServer

HEALTH = [Health()]


@pytest.fixture
def address() -> Iterator[str]:
    HEALTH[0] = Health()
    one = Metric("twin_ticks_total", {"store": "a"}, 3, "Ticks.")
    server = MonitorServer("127.0.0.1", 0, lambda: HEALTH[0], lambda: [one])
    server.start()
    yield f"http://127.0.0.1:{server.port}"
    server.stop()


def test_metrics_are_in_prometheus_text_format(address: str) -> None:
    answer = httpx2.get(f"{address}/metrics", timeout=60)

    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert answer.text.splitlines()[-1] == 'twin_ticks_total{store="a"} 3'


def test_an_outage_outside_is_degraded_and_needs_no_restart(address: str) -> None:
    HEALTH[0] = Health(degraded=("broker",), parts={"broker": "not connected"})

    for path in ("/healthz", "/readyz"):
        answer = httpx2.get(address + path, timeout=60)
        assert answer.status_code == 200
        assert answer.json() == {
            "status": "degraded",
            "degraded": ["broker"],
            "parts": {"broker": "not connected"},
        }


def test_what_cannot_go_on_or_cannot_serve_is_503(address: str) -> None:
    HEALTH[0] = Health(alive=True, ready=False)
    assert httpx2.get(f"{address}/healthz", timeout=60).status_code == 200
    assert httpx2.get(f"{address}/readyz", timeout=60).status_code == 503

    HEALTH[0] = Health(alive=False, ready=False)
    assert httpx2.get(f"{address}/healthz", timeout=60).json()["status"] == "failed"


def test_anything_else_is_not_there(address: str) -> None:
    assert httpx2.get(f"{address}/api/v1/patients", timeout=60).status_code == 404
