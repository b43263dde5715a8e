"""Journal time as the ticker writes it, with a clock and a monotonic that the test moves."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ingest.instant import MILLISECOND, SECOND
from ingest.journal.sqlite import SqliteJournal
from ingest.mqtt import Subscriber
from ingest.observation import Command, Tick, decode_record
from ingest.quarantine import Quarantine
from ingest.registry import Registry
from ingest.settings import IngestSettings
from ingest.tail import TailWriter
from ingest.ticker import Ticker
from ingest.writer import Counters

START = 1_795_000_000 * SECOND


@dataclass
class Clocks:
    """now and monotonic, in ns."""

    wall: int = START
    ran: int = 0

    def pass_by(self, wall: int, ran: int) -> None:
        self.wall += wall
        self.ran += ran


class Ticking:
    def __init__(self, folder: Path) -> None:
        settings = IngestSettings()
        self.clocks = Clocks()
        self.journal = SqliteJournal(folder, reserve_bytes=1 << 20)
        self.registry = Registry(folder / "r.db", settings.devices, lambda: self.clocks.wall)
        self.quarantine = Quarantine(folder / "q.db", settings.quarantine)
        self.tail = TailWriter(folder)
        self.counters = Counters()
        self.subscriber = Subscriber(settings.mqtt, lambda: self.clocks.wall)

    def ticker(self, speed: float = 1.0) -> Ticker:
        return Ticker(
            self.subscriber,
            self.journal,
            self.registry,
            self.quarantine,
            self.tail,
            self.counters,
            lambda: self.clocks.wall,
            lambda: self.clocks.ran,
            speed,
        )

    def records(self) -> list[object]:
        reader = self.journal.reader("observations", 0)
        return [decode_record(entry.record) for entry in reader.read(1000, 0)]

    def close(self) -> None:
        self.tail.close()
        self.quarantine.close()
        self.registry.close()
        self.journal.close()


@pytest.fixture
def ticking(tmp_path: Path) -> Iterator[Ticking]:
    ticking = Ticking(tmp_path)
    yield ticking
    ticking.close()


def test_each_beat_is_a_tick_with_the_state_of_the_broker(ticking: Ticking) -> None:
    ticker = ticking.ticker()
    ticker.beat()
    ticking.clocks.pass_by(SECOND, SECOND)
    ticker.beat()
    assert ticking.records() == [Tick(START, False), Tick(START + SECOND, False)]
    assert ticking.counters.ticks == 2


@pytest.mark.parametrize(
    ("wall", "ran", "stepped"),
    [
        (SECOND, SECOND, False),
        (SECOND + 999 * MILLISECOND, SECOND, False),
        (2 * SECOND, SECOND, True),
        (0, SECOND, True),
        (-3600 * SECOND, SECOND, True),
        (60 * SECOND, 60 * SECOND, False),  # suspended, but the clock went on as it should
    ],
)
def test_a_clock_that_leaves_the_monotonic_by_a_second_has_stepped(
    ticking: Ticking, wall: int, ran: int, stepped: bool
) -> None:
    ticker = ticking.ticker()
    ticker.beat()
    ticking.clocks.pass_by(wall, ran)
    ticker.beat()
    assert ticking.records()[-1] == Tick(START + wall, False, stepped)


def test_a_fast_clock_ticks_for_each_of_its_seconds_and_does_not_step(ticking: Ticking) -> None:
    ticker = ticking.ticker(speed=60)
    ticker.beat()
    ticking.clocks.pass_by(3 * SECOND, 50 * MILLISECOND)
    ticker.beat()
    assert ticking.records()[-3:] == [Tick(START + i * SECOND, False) for i in (1, 2, 3)]


def test_the_registrys_commands_are_appended_and_forgotten(ticking: Ticking) -> None:
    patient = ticking.registry.add_patient()
    ticking.registry.bind("watch-7", patient)
    (waiting,) = ticking.registry.take_outbox()
    ticking.ticker().beat()
    command, tick = ticking.records()
    assert isinstance(command, Command)
    assert command == waiting[1]
    assert isinstance(tick, Tick)
    assert ticking.registry.take_outbox() == []
