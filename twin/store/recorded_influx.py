"""InfluxDB, and beside it a file with what it does not keep exactly: the raw record, anchors, and
alarms and scores whole (names of people and their words go into no database of others).

By default InfluxDB keeps of an observation its value and a rounded quality: enough for people, not
for the same estimate bit for bit. The file is an embedded store that keeps no estimates; it
is written after the database took a batch, so what it calls strayed is in the database already.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ingest.closing import Closing
from twin.estimate import Written
from twin.store.embedded import EmbeddedStore
from twin.store.influx import InfluxSink
from twin.store.protocol import Storable
from twin.store.sqlite_file import Stored


class RecordedInflux(Closing):
    """Store. sink: the database; record: its file. Closes both."""

    def __init__(self, sink: InfluxSink, record: Path) -> None:
        self.sink = sink
        self.record = EmbeddedStore(record, keeps=(Stored.OBSERVATION,))

    @property
    def position(self) -> int:
        """Position in the estimates journal up to which database and record have everything."""
        return self.sink.position

    def write_all(self, batches: Sequence[Storable], position: int | None) -> Written:
        """See `twin.store.protocol.Store`. Killed in between, both get the batch again."""
        written = self.sink.write_all(batches, None)
        self.record.write_all(batches, position)
        self.sink.progress.commit(position, (), 0)
        return written

    def close(self) -> None:
        self.record.close()
        self.sink.close()
