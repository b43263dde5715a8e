"""`twin fleet` as a process, and the recordings that it plays and writes."""

from __future__ import annotations

import csv
import random
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from ingest.instant import SECOND, parse_instant
from ingest.recording import LONG_COLUMNS, read_recording
from tests.support.commands import TWIN
from tests.support.contents import ObservationKey

#: Where synthetic recordings begin; a fleet re-stamps them.
EPOCH = parse_instant("2026-01-01T00:00:00Z")


#: From launch to connected of a `twin run`, on a machine of two cores that is twice as slow as an
#: idle one: its tests still are in time.
_SLOW_START_S = 5.0


def fitting_speed(speed: float, connected_s: float) -> float:
    """The speed for a recording of which something must be left when the test has done this or
    that: slower where `twin run` took long from launch to connected, as all will there."""
    return speed * min(1.0, _SLOW_START_S / connected_s)


class FleetRun:
    """`twin fleet` playing a recording; `sent` is its record of what the broker acknowledged."""

    def __init__(
        self, folder: Path, recording: Path, port: int, speed: float, *options: str
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.sent = folder / f"sent-{recording.stem}.csv"
        settings = folder / f"fleet-{recording.stem}.toml"
        settings.write_text(f'[connection]\nclient_id = "fleet-{recording.stem}"\n')
        self._words = folder / f"fleet-{recording.stem}.log"
        with self._words.open("wb") as words:
            self._process = subprocess.Popen(
                [
                    *(*TWIN, "fleet", "-c", str(settings)),
                    *("--recording", str(recording), "--speed", str(speed)),
                    *("--record", str(self.sent), "--host", "127.0.0.1", "--port", str(port)),
                    *options,
                ],
                stdout=words,
                stderr=words,
            )

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def wait(self, seconds: float = 300.0) -> Path:
        """Until it has played all; fails the test if it failed. Its record."""
        code = self._process.wait(seconds)
        assert code == 0, f"twin fleet ended with {code}: {self._words.read_text()[-2000:]}"
        return self.sent

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.running:
            self._process.terminate()
            self._process.wait(60)


@dataclass(frozen=True, slots=True)
class Sample:
    """A row of a long recording."""

    patient: str
    device: str
    signal: str
    value: float
    measured_at: int
    received_at: int


def write_recording(path: Path, samples: Iterable[Sample]) -> Path:
    """A long CSV file with epoch ns."""
    with path.open("w", encoding="utf-8", newline="") as lines:
        rows = csv.writer(lines)
        rows.writerow(LONG_COLUMNS[:6])
        rows.writerows(
            (s.patient, s.device, s.signal, repr(s.value), s.measured_at, s.received_at)
            for s in samples
        )
    return path


def write_registry(path: Path, patients: Mapping[str, str]) -> Path:
    """A registry file: device → patient."""
    rows = [f"{device},{patient}\n" for device, patient in patients.items()]
    path.write_text("device,patient\n" + "".join(rows), encoding="utf-8")
    return path


def sent_observations(*records: Path) -> dict[ObservationKey, float]:
    """What fleets sent, each identity once with the value that came first."""
    sent: dict[ObservationKey, float] = {}
    for record in records:
        read = read_recording(record)
        keys = zip(read.patient, read.signal, read.device, read.measured_at.tolist(), strict=True)
        for key, value in zip(keys, read.value.tolist(), strict=True):
            sent.setdefault(key, value)
    return sent


def joined_records(path: Path, records: Sequence[Path], leave_out: object = ()) -> Path:
    """One record of several, without the observations whose keys are in `leave_out`."""
    unwanted = set(leave_out) if isinstance(leave_out, Iterable) else set()
    with path.open("w", encoding="utf-8", newline="") as lines:
        rows = csv.DictWriter(lines, LONG_COLUMNS)
        rows.writeheader()
        for record in records:
            with record.open(encoding="utf-8", newline="") as source:
                for row in csv.DictReader(source):
                    stamp = parse_instant(row["measured_at"])
                    if (row["patient"], row["signal"], row["device"], stamp) not in unwanted:
                        rows.writerow(row)
    return path


def synthetic_samples(devices: int, seconds: int, seed: int) -> Iterator[Sample]:
    """A message a second of each device, two signals in it; one in thirty comes twice.

    They come out of order within six seconds, which every ring takes. No two observations of a
    device have the same value, so that none can stand for another.
    """
    chance = random.Random(seed)
    signals = (("heart_rate", 50.0, 100.0), ("respiratory_rate", 8.0, 24.0))
    for device in range(devices):
        phase = chance.randrange(SECOND)
        for second in range(seconds):
            stamp = EPOCH + second * SECOND + phase
            received = stamp + chance.randrange(6 * SECOND)
            again = received + 2 * SECOND if chance.random() < 1 / 30 else None
            for arrived in (received,) if again is None else (received, again):
                for signal, low, span in signals:
                    value = low + span * second / seconds
                    yield Sample(
                        f"patient-{device}", f"watch-{device}", signal, value, stamp, arrived
                    )


def synthetic_registry(path: Path, devices: int) -> Path:
    """The registry file that belongs to `synthetic_samples`."""
    return write_registry(path, {f"watch-{n}": f"patient-{n}" for n in range(devices)})
