"""One dead gateway is one event: in the API, on ward and devices page, in heartbeats; it ends by
itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime
from itertools import count
from zoneinfo import ZoneInfo

import httpx2 as httpx
import pytest

from ingest.instant import SECOND
from ingest.journal.protocol import Entry
from tests.support.care import SIMULATED, feed_of
from tests.support.intake_line import WARD, IntakeLine, silent_ward
from tests.support.twins import T0
from tests.support.ward import MemoryHistory, MemoryPeople, MemoryQuarantine
from twin.care.app import create_app
from twin.care.feed import Feed
from twin.estimate import encode_output


def fed(line: IntakeLine) -> Feed:
    feed = feed_of()
    feed.now = lambda: T0 + round(line.now * SECOND)
    take(feed, line)
    return feed


def take(feed: Feed, line: IntakeLine) -> None:
    entries = [Entry(0, n, encode_output(output)) for n, output in enumerate(line.outputs, 1)]
    feed.take(entries, len(entries))


def ask(feed: Feed, path: str) -> httpx.Response:
    app = create_app(SIMULATED, feed, MemoryHistory(), MemoryPeople(), MemoryQuarantine())

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get(path)

    return asyncio.run(send())


def beats(feed: Feed) -> Sequence[str]:
    """The English lines of a heartbeat that somebody hears."""

    async def listen() -> Sequence[str]:
        feed._loop = asyncio.get_running_loop()
        client = feed.hub.subscribe("")
        feed._tell(next(SECONDS))
        while True:
            for frame in await asyncio.wait_for(client.take(), 60):
                if b"event: hb" in frame.payload:
                    said = json.loads(frame.payload.partition(b"data: ")[2])
                    return said.get("silences", {}).get("en", [])

    return asyncio.run(listen())


#: Of a monotonic clock, a heartbeat apart.
SECONDS = count(1e6, 10.0)
LINE = "Gateway gw is silent since {}: 3 devices, 3 patients behind it"


def test_a_dead_gateway_is_one_event_with_devices_patients_and_since_when() -> None:
    feed = fed(silent_ward(WARD))
    said = ask(feed, "/api/v1/devices").json()
    (event,) = said["silences"]
    since = event.pop("since")
    assert event == {"cause": "gateway", "gateway": "gw", "devices": 3, "patients": 3}
    (line,) = beats(feed)
    on_site = datetime.fromisoformat(since).astimezone(ZoneInfo(SIMULATED.zone))
    assert line == LINE.format(f"{on_site:%H:%M:%S}")
    for path in ("/", "/devices", "/wall"):
        assert f'<p class="banner">{line}</p>' in ask(feed, path).text, path
        french = ask(feed, f"{path}?lang=fr").text
        assert "Passerelle gw muette depuis" in french, path
        assert "3 capteurs, 3 patients derrière elle" in french, path


def test_it_ends_by_itself_when_one_of_its_devices_is_heard() -> None:
    line = silent_ward(WARD)
    feed = fed(line)
    assert len(beats(feed)) == 1
    line.outputs.clear()
    line.send(device="gw/a", patient="p1")
    line.tick()
    take(feed, line)
    assert beats(feed) == []
    assert ask(feed, "/api/v1/devices").json()["silences"] == []
    assert 'class="banner">Gateway' not in ask(feed, "/").text


@pytest.mark.parametrize("path", ["/", "/devices"])
def test_nothing_is_said_while_all_are_heard(path: str) -> None:
    feed = fed(IntakeLine())
    assert beats(feed) == []
    assert 'class="banner">Gateway' not in ask(feed, path).text
