"""The page's parts put together on an empty journal, without thread or socket."""

import json
import tempfile
from pathlib import Path
from typing import Any

from ingest.instant import SECOND
from ingest.journal.protocol import Entry
from ingest.journal.sqlite import SqliteJournal
from tests.support.ward import T0, MemoryHistory, MemoryPeople, MemoryQuarantine, Said, batch_of
from twin.care.access import Access
from twin.care.feed import Feed
from twin.care.hub import Client
from twin.care.names import Names
from twin.care.parts import Parts
from twin.care.settings import CareSettings, Health
from twin.estimate import encode_output

#: What the pipeline's clock says in these tests: 30 s after T0.
NOW = T0 + 30 * SECOND
SIMULATED = CareSettings(simulated=True, token=None, zone="Europe/Paris", build="test")


def feed_of(*said: Said, people: MemoryPeople | None = None) -> Feed:
    """A feed that has folded these rows; its journal is never read."""
    with tempfile.TemporaryDirectory() as folder:
        journal = SqliteJournal(Path(folder), reserve_bytes=1 << 16)
        journal.close()
    feed = Feed(journal, people or MemoryPeople(), lambda: NOW, zone=SIMULATED.zone)
    if said:
        feed.take([Entry(0, 1, encode_output(batch_of(*said)))], 1)
        feed.read_labels()
        feed.make_frames()
    return feed


def parts_of(feed: Feed, settings: CareSettings = SIMULATED) -> Parts:
    return Parts(
        settings,
        feed,
        MemoryHistory(),
        MemoryPeople(),
        MemoryQuarantine(),
        Health,
        tuple,
        Access(settings.token),
        Names(),
        feed.commands,
    )


async def told(client: Client) -> list[dict[str, Any]]:
    """Bodies of the frames that wait for a client."""
    return [
        json.loads(frame.payload.split(b"data: ", 1)[1].strip()) for frame in await client.take()
    ]
