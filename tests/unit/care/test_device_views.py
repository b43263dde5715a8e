"""The pages of devices: what they show, and their forms, which work without script."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import httpx2 as httpx
import pytest

from ingest.onboarding import Onboarding
from tests.support.care import NOW, SIMULATED, feed_of
from tests.support.onboarding import hear, hear_announce, onboarding_in
from tests.support.ward import MemoryHistory, MemoryPeople, Said
from twin.care.app import create_app
from twin.care.device_list import AT_ONCE

Ask = Callable[..., httpx.Response]


@pytest.fixture
def onboarding(tmp_path: Path) -> Iterator[Onboarding]:
    with onboarding_in(tmp_path, lambda: NOW) as made:
        yield made


@pytest.fixture
def ask(onboarding: Onboarding) -> Ask:
    people = MemoryPeople(dict(onboarding.registry.labels()))
    app = create_app(
        SIMULATED,
        feed_of(Said("p-1", device="watch-1"), people=people),
        MemoryHistory(),
        onboarding.registry,
        onboarding.quarantine,
        onboarding=onboarding,
    )

    def asked(path: str, form: dict[str, str] | None = None, **headers: str) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as c:
                if form is None:
                    return await c.get(path, headers=headers)
                return await c.post(path, content=urlencode(form), headers=headers)

        return asyncio.run(send())

    return asked


def test_devices_that_wait_are_shown_with_what_they_said(ask: Ask, onboarding: Onboarding) -> None:
    assert "waits to be approved" not in ask("/devices").text
    hear(onboarding, "ring-9")
    hear_announce(onboarding, "ring-9")
    html = ask("/devices").text
    assert "1 device waits to be approved" in html
    assert "twin/v1/ring-9/telemetry" in html
    assert "band-2 · 1.4.2 · S-77" in html
    assert 'action="/devices/ring-9/approve"' in html
    assert "1 capteur attend d’être approuvé" in ask("/devices?lang=fr").text


def test_the_approval_form_registers_binds_and_leads_to_the_devices_page(
    ask: Ask, onboarding: Onboarding
) -> None:
    hear_announce(onboarding, "gw/ring-9")
    form = {"patient": "Bed 1", "actor": " Anna  B. "}  # a label that one patient has
    answer = ask("/devices/gw%2Fring-9/approve", form)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/devices/gw/ring-9"
    assert "twin_name=" in answer.headers["set-cookie"]
    html = ask(answer.headers["location"]).text
    for shown in ("Bed 1", "band-2", "medical device (CE)", "1.4.2", "S-77", "the beginning"):
        assert shown in html
    assert onboarding.pending() == []


def test_of_many_that_wait_the_first_are_listed_and_the_others_counted(
    ask: Ask, onboarding: Onboarding
) -> None:
    for n in range(AT_ONCE + 3):
        hear(onboarding, f"ring-{n:03}")
    html = ask("/devices").text
    assert html.count('/approve"') == AT_ONCE
    assert f"{AT_ONCE + 3} devices wait to be approved" in html
    assert "and 3 more" in html


@pytest.mark.parametrize(
    ("form", "status", "says"),
    [
        ({"patient": "p-9", "actor": "anna"}, 404, "p-9: is not a registered patient"),
        ({"patient": "p-1"}, 422, "gives a name of 2 to 60 characters"),
        ({"actor": "anna"}, 404, "is not a registered patient"),
        ({"patient": "<b>", "actor": "anna"}, 404, "&lt;b&gt;: is not"),
    ],
)
def test_a_form_that_cannot_be_done_comes_back_with_what_was_wrong(
    ask: Ask, onboarding: Onboarding, form: dict[str, str], status: int, says: str
) -> None:
    hear(onboarding, "ring-9")
    answer = ask("/devices/ring-9/approve", form)
    assert answer.status_code == status
    assert says in answer.text
    assert 'action="/devices/ring-9/approve"' in answer.text
    assert not onboarding.registry.knows("ring-9")


def test_a_device_is_bound_released_and_retired_on_its_page(
    ask: Ask, onboarding: Onboarding
) -> None:
    onboarding.registry.bind("watch-1", "p-1", 0)
    by = {"actor": "anna"}
    assert ask("/devices/watch-1/bind", {"patient": "p-2", **by}).status_code == 303
    assert [b.patient for b in onboarding.bindings("watch-1")] == ["p-1", "p-2"]
    onboarding.registry.bind("watch-2", "p-1", 0)
    assert ask("/devices/watch-2/unbind", by).status_code == 303
    assert onboarding.bindings("watch-2")[0].end == NOW
    assert ask("/devices/watch-2/retire", by).status_code == 303
    html = ask("/devices/watch-2").text
    assert "retired" in html
    assert "<form" not in html.split('id="fresh"')[1].split("</main>")[0]


def test_a_page_shows_the_newest_refusals_of_this_device_alone(
    ask: Ask, onboarding: Onboarding
) -> None:
    onboarding.registry.bind("watch-1", "p-1")
    onboarding.registry.bind("watch-2", "p-2")
    hear(onboarding, "watch-1", '{"heart_rate":999}')
    hear(onboarding, "watch-2", '{"moon":1}')
    html = ask("/devices/watch-1").text
    assert "value_out_of_range" in html
    assert "15 to 320 /min" in html
    assert "signal_unknown" not in html


def test_a_device_that_nobody_knows_is_not_found_and_another_site_may_not_post(ask: Ask) -> None:
    assert ask("/devices/stranger").status_code == 404
    foreign = ask("/devices/watch-1/retire", {"actor": "anna"}, origin="https://evil.example")
    assert foreign.status_code == 403
