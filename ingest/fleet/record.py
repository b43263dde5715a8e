"""What was sent and acknowledged, in the columns of replay: the file to compare with."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from ingest.closing import Closing
from ingest.fleet.message import Message
from ingest.instant import MILLISECOND, format_instant
from ingest.recording import LONG_COLUMNS


class SentRecord(Closing):
    """A CSV file that grows by each acknowledged message. Not safe from several threads.

    patients: device → patient as the file shall name it; a device that is not in it stands for
    itself. A message that the fleet sent twice is written twice, as ingest received it.
    """

    def __init__(self, path: Path, patients: Mapping[str, str]) -> None:
        self._patients = patients
        self._file = path.open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file, lineterminator="\n")
        self._rows.writerow(LONG_COLUMNS)

    def write(self, message: Message, start: int, sent_at: int) -> None:
        """Append the message's values: stamps of the run that started at `start`, ns UTC."""
        patient = self._patients.get(message.device, message.device)
        received = format_instant(sent_at)
        for i, time in enumerate(message.times):
            stamp = start + time
            if not message.exact:
                stamp = stamp // MILLISECOND * MILLISECOND
            measured = format_instant(stamp)
            for signal, column in message.values.items():
                value = column[i]
                if value is None:
                    continue
                level = message.quality[signal][i] if signal in message.quality else None
                self._rows.writerow(
                    (
                        patient,
                        message.device,
                        signal,
                        repr(value),
                        measured,
                        received,
                        message.units.get(signal, ""),
                        "",
                        "" if level is None else repr(level),
                    )
                )

    def close(self) -> None:
        self._file.close()
