"""Registering, approving, binding and retiring devices through the interface, with real files."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from ingest.instant import SECOND, format_instant
from ingest.observation import Command, decode_record
from ingest.onboarding import Onboarding
from tests.support.care import NOW, SIMULATED, feed_of
from tests.support.onboarding import hear, onboarding_in
from tests.support.ward import MemoryHistory
from twin.care.app import create_app

Ask = Callable[..., httpx.Response]


@pytest.fixture
def onboarding(tmp_path: Path) -> Iterator[Onboarding]:
    with onboarding_in(tmp_path, lambda: NOW) as made:
        yield made


@pytest.fixture
def ask(onboarding: Onboarding) -> Ask:
    app = create_app(
        SIMULATED,
        feed_of(),
        MemoryHistory(),
        onboarding.registry,
        onboarding.quarantine,
        onboarding=onboarding,
    )

    def asked(
        method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as c:
                content = None if body is None else json.dumps(body)
                return await c.request(method, path, content=content, headers=headers)

        return asyncio.run(send())

    return asked


def listed(ask: Ask) -> dict[str, Any]:
    answer: dict[str, Any] = ask("GET", "/api/v1/devices").json()
    return answer


def test_a_device_that_waits_is_listed_and_approved(ask: Ask, onboarding: Onboarding) -> None:
    hear(onboarding, "watch-7")
    (pending,) = listed(ask)["pending"]
    assert (pending["id"], pending["topic"]) == ("watch-7", "twin/v1/watch-7/telemetry")
    assert (pending["messages"], pending["since"]) == (1, format_instant(NOW))

    body = {"actor": "Anna B.", "patient": "p-1", "model": "band-2"}
    approved = ask("POST", "/api/v1/devices/watch-7/approve", body)

    assert approved.status_code == 200
    assert approved.json() == {
        "binding": {"device": "watch-7", "patient": "p-1", "from": None, "to": None},
        "replayed": {"used": 1, "refused": 0, "cut": 0, "dropped": 0, "observations": 1},
    }
    after = listed(ask)
    assert after["pending"] == []
    (device,) = after["devices"]
    assert (device["patient"], device["model"], device["regulatory"]) == ("p-1", "band-2", "ce")
    reader = onboarding.journal.reader("observations", 0)
    records = [decode_record(entry.record) for entry in reader.read(10, 0.0)]
    reader.close()
    assert {r.actor for r in records if isinstance(r, Command)} == {"Anna B."}


def test_a_device_behind_a_gateway_has_its_own_address(ask: Ask) -> None:
    made = ask("POST", "/api/v1/devices", {"actor": "anna", "id": "ward-gw/ring-1", "serial": "S1"})
    assert made.json()["device"]["serial"] == "S1"
    body = {"actor": "anna", "patient": "p-1"}
    bound = ask("PUT", "/api/v1/devices/ward-gw/ring-1/binding", body)
    assert bound.json()["patient"] == "p-1"
    seen = ask("GET", "/api/v1/devices/ward-gw/ring-1").json()
    assert seen["device"]["id"] == "ward-gw/ring-1"
    assert [each["patient"] for each in seen["bindings"]] == ["p-1"]


def test_a_device_goes_from_one_patient_to_the_next_and_out_of_use(ask: Ask) -> None:
    for patient, start in (("p-1", "2026-01-01T00:00:00Z"), ("p-2", None)):
        body = {"actor": "anna", "patient": patient, "from": start}
        assert ask("PUT", "/api/v1/devices/watch-7/binding", body).status_code == 200
    seen = ask("GET", "/api/v1/devices/watch-7").json()
    assert seen["bindings"] == [
        {
            "device": "watch-7",
            "patient": "p-1",
            "from": "2026-01-01T00:00:00.000000000Z",
            "to": format_instant(NOW),
        },
        {"device": "watch-7", "patient": "p-2", "from": format_instant(NOW), "to": None},
    ]
    at = format_instant(NOW + SECOND)
    ended = ask("POST", "/api/v1/devices/watch-7/unbind", {"actor": "anna", "at": at})
    assert ended.json()["to"] == at
    retired = ask("POST", "/api/v1/devices/watch-7/retire", {"actor": "anna"}).json()
    assert retired["device"]["retired"] == format_instant(NOW)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "says"),
    [
        ("POST", "/watch-7/approve", {"patient": "p-9"}, 404, "p-9: is not a registered patient"),
        ("POST", "/watch-7/approve", {"patient": "p-1", "model": "x"}, 422, "x: is not a declared"),
        ("PUT", "/watch-7/binding", {"patient": "p-1", "from": "today"}, 422, ""),
        ("PUT", "/a b/binding", {"patient": "p-1"}, 422, "a device id is"),
        ("POST", "/watch-7/unbind", {}, 404, "is bound to nobody"),
        ("POST", "/watch-7/retire", {}, 404, "is not a registered device"),
        ("POST", "/watch-7/approve", {}, 422, ""),
        ("GET", "/watch-7", None, 404, "no such device"),
    ],
)
def test_what_cannot_be_done_is_a_problem_with_its_reason(
    ask: Ask, method: str, path: str, body: dict[str, object] | None, status: int, says: str
) -> None:
    named = None if body is None else {"actor": "anna", **body}
    answer = ask(method, f"/api/v1/devices{path}", named)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.json().get("detail", "")


def test_who_does_it_is_asked_for_and_another_sites_page_may_not(ask: Ask) -> None:
    nobody = ask("POST", "/api/v1/devices", {"id": "watch-7"})
    assert (nobody.status_code, nobody.json()["name"]) == (422, "actor")
    foreign = {"origin": "https://evil.example"}
    asked = ask("POST", "/api/v1/devices", {"id": "watch-7", "actor": "anna"}, foreign)
    assert asked.status_code == 403
    assert listed(ask)["devices"] == []
