"""From real recordings over a real broker into both stores, compared with an offline replay."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ingest.fleet.playback import device_names
from ingest.instant import MILLISECOND, MINUTE, SECOND
from ingest.recording import read_recording
from tests.support.commands import eventually, shared_recording, succeeded, twin, wait_for
from tests.support.contents import (
    Content,
    EstimateKey,
    Numbers,
    assert_same,
    by_device,
    embedded_content,
    embedded_count,
    influx_content,
    influx_count,
    last_rows,
    replayed,
    rounded_estimates,
)
from tests.support.fleets import (
    FleetRun,
    Sample,
    joined_records,
    sent_observations,
    write_recording,
    write_registry,
)
from tests.support.runs import Tables, TwinRun, influx_tables
from tests.support.servers import InfluxServer, MosquittoServer
from twin.store.sqlite_file import open_store

pytestmark = [pytest.mark.integration, pytest.mark.slow]

BIDMC = ("bidmc_01_Numerics", "bidmc_02_Numerics")
BIDMC_COLUMNS = {"HR": "heart_rate", "RESP": "respiratory_rate", "SpO2": "spo2"}
WIDE = ("--columns", ",".join(f"{k}={v}" for k, v in BIDMC_COLUMNS.items()), "--time", "Time [s]")
GALAXY = ("galaxyppg-P02", "galaxyppg-P03")
FIRST = 10 * MINUTE
SPEED = 60.0
#: Before every recording; a fleet re-stamps them, so they lie within the last hours.
BEGINNING = "2026-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Line:
    """What was sent through a whole line, and what both stores hold of it."""

    sent: Mapping[str, Path]
    embedded: Content
    influx: Content
    folder: Path
    history: Mapping[str, Any]

    def replayed(self, *names: str) -> dict[EstimateKey, Numbers]:
        """Offline estimates of what was sent."""
        records = [self.sent[name] for name in names]
        record = joined_records(self.folder / "joined.csv", records)
        return replayed(record, self.folder / "replayed.parquet")


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """Two BIDMC recordings and two GalaxyPPG persons, played at once into both stores; killed when
    all has come, before what was belated is folded in, and started again."""
    folder = tmp_path_factory.mktemp("line")
    galaxy = [galaxy_recording(folder / f"{name}.csv") for name in GALAXY]
    bidmc = [shared_recording(f"bidmc/{name}.csv") for name in BIDMC]
    registry = write_registry(folder / "devices.csv", bindings([*bidmc, *galaxy]))
    with ExitStack() as running:
        broker = running.enter_context(MosquittoServer())
        influx = running.enter_context(InfluxServer())
        tables: Tables = {
            "mqtt": {"port": broker.port},
            "devices": {"file": str(registry)},
            **influx_tables(influx),
        }
        run = running.enter_context(TwinRun(folder / "run", tables))
        run.wait_until_connected()
        options = [(path, WIDE) for path in bidmc] + [(path, ()) for path in galaxy]
        fleets = [
            running.enter_context(FleetRun(folder, path, broker.port, SPEED, *more))
            for path, more in options
        ]
        sent = {path.stem: fleet.wait() for (path, _), fleet in zip(options, fleets, strict=True)}
        expected = len(sent_observations(*sent.values()))
        wait_for(lambda: embedded_count(run.store), expected)
        wait_for(lambda: influx_count(influx), expected)
        run.kill()
        run.start()
        for name in ("store.db", "influx-record.db"):
            eventually(lambda path=run.data_dir / name: at_rest(path), f"{name} at rest", 90.0)
        history = run.get(f"/api/v1/patients/{GALAXY[0]}/signals/heart_rate?from={BEGINNING}")
        assert run.stop() == 0
        content = embedded_content(run.store), influx_content(influx)
        yield Line(sent, *content, folder, history)


def at_rest(path: Path) -> bool:
    """Whether nothing waits to be filtered again, of a store or of the record beside one."""
    with closing(open_store(path, readonly=True)) as store:
        asked = "SELECT count(*) FROM strayed WHERE since IS NOT NULL OR doing IS NOT NULL"
        return int(store.execute(asked).get) == 0


def bindings(recordings: list[Path]) -> dict[str, str]:
    """Device as topics name it → patient, of each recording."""
    found: dict[str, str] = {}
    for path in recordings:
        wide = path.stem in BIDMC
        read = read_recording(path, BIDMC_COLUMNS, "Time [s]") if wide else read_recording(path)
        found |= {name: patient for (patient, _), name in device_names(read).items()}
    return found


def galaxy_recording(path: Path) -> Path:
    """The first ten minutes of one person's wristband and watch: two devices, one heart rate.

    The watch hands its values over up to twelve minutes later, in bursts.
    """
    name, person = path.stem, path.stem[-3:]
    band = shared_recording(f"galaxyppg/{person}/E4/HR.csv")
    watch = shared_recording(f"galaxyppg/{person}/GalaxyWatch/HR.csv")
    samples = [*band_samples(band, name)]
    end = samples[0].measured_at + FIRST
    samples += watch_samples(watch, name)
    return write_recording(path, (s for s in samples if s.measured_at < end))


def band_samples(path: Path, name: str) -> Iterator[Sample]:
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            stamp = int(row["timestamp"]) * 1_000
            yield Sample(name, f"e4-{name}", "heart_rate", float(row["value"]), stamp, stamp)


def watch_samples(path: Path, name: str) -> Iterator[Sample]:
    """Without seconds for which the watch gives no heart rate."""
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            if int(row["hr"]) and row["hrStatus"] == "1":
                stamp, received = (int(row[k]) * MILLISECOND for k in ("timestamp", "dataReceived"))
                yield Sample(name, f"watch-{name}", "heart_rate", float(row["hr"]), stamp, received)


def test_both_stores_hold_exactly_the_observations_that_were_acknowledged(line: Line) -> None:
    sent = sent_observations(*line.sent.values())
    assert len(sent) > 3_500
    assert_same(line.embedded.observations, sent, "observations in the embedded store")
    assert_same(line.influx.observations, sent, "observations in InfluxDB")


def test_bidmc_estimates_in_influx_are_those_of_a_replay_to_the_last_bit(line: Line) -> None:
    assert not [key for key in line.embedded.belated if key[0] in BIDMC]
    expected = line.replayed(*BIDMC)
    assert {key[1] for key in expected} == set(BIDMC_COLUMNS.values())
    assert_same(line.influx.estimates_of(BIDMC), expected, "estimates in InfluxDB")


def test_bidmc_estimates_in_the_embedded_store_are_those_of_a_replay_rounded(line: Line) -> None:
    expected = rounded_estimates(line.replayed(*BIDMC))
    assert_same(line.embedded.estimates_of(BIDMC), expected, "estimates in the embedded store")


def test_a_stream_behind_another_is_folded_in_to_the_last_bit(line: Line) -> None:
    belated = line.embedded.belated
    assert set(by_device(belated)) == {f"watch-{name}" for name in GALAXY}
    assert {key[0] for key in belated} == set(GALAXY)
    expected = line.replayed(*GALAXY)
    assert len(expected) > 1_000
    assert_same(line.influx.estimates_of(GALAXY), expected, "estimates in InfluxDB")
    kept = line.embedded.estimates_of(GALAXY)
    assert_same(kept, rounded_estimates(expected), "estimates in the embedded store")


def test_bands_in_influx_are_those_of_a_replay_and_end_where_the_signal_does(line: Line) -> None:
    people = (*BIDMC, *GALAXY)
    line.replayed(*people)
    expected = last_rows(line.folder / "replayed.parquet", "lo95", "hi95")
    assert_same(line.influx.bands, expected, "bands in InfluxDB")
    assert max(high for (_, code, _), (_, high) in expected.items() if code == "spo2") == 100.0


def test_the_history_says_what_was_filtered_again(line: Line) -> None:
    first = min(key[3] for key in line.embedded.belated if key[0] == GALAXY[0])
    last = max(key[2] for key in line.embedded.estimates if key[0] == GALAXY[0])
    (begun, until) = line.history["revised"][0]
    assert begun <= first // MILLISECOND
    assert until == last // MILLISECOND


def test_replaying_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    recording = shared_recording(f"bidmc/{BIDMC[0]}.csv")
    outs = [tmp_path / "one.csv", tmp_path / "two.csv"]
    for out in outs:
        succeeded(twin("replay", recording, "--out", out, *WIDE))
    first, second = (out.read_bytes() for out in outs)
    assert first.count(b"\n") > 1_400
    assert first == second


def test_a_record_shuffled_within_ten_seconds_ends_in_the_same_state(tmp_path: Path) -> None:
    recording = shared_recording(f"bidmc/{BIDMC[0]}.csv")
    read = read_recording(recording, BIDMC_COLUMNS, "Time [s]")
    chance = random.Random(9)
    columns = zip(read.signal, read.value.tolist(), read.measured_at.tolist(), strict=True)
    samples = [
        Sample("p", "monitor", signal, value, stamp, stamp + chance.randrange(10 * SECOND))
        for signal, value, stamp in columns
    ]
    # The newest comes last in both, so that both end with a row about the same moment.
    newest = max(s.measured_at for s in samples)
    samples = [s for s in samples if s.measured_at < newest] + [
        Sample(s.patient, s.device, s.signal, s.value, newest, newest + 10 * SECOND)
        for s in samples
        if s.measured_at == newest
    ]
    record = write_recording(tmp_path / "shuffled.csv", samples)
    ordered = final_rows(replayed(record, tmp_path / "measured.parquet"))
    shuffled = final_rows(replayed(record, tmp_path / "received.parquet", "received"))
    assert len(ordered) == 3
    assert shuffled == ordered


def final_rows(estimates: Mapping[EstimateKey, Numbers]) -> dict[tuple[str, str], object]:
    """(patient, signal) → the newest estimate and its stamp."""
    found: dict[tuple[str, str], object] = {}
    for patient, signal, stamp in sorted(estimates, key=lambda key: key[2]):
        found[patient, signal] = (stamp, estimates[patient, signal, stamp])
    return found
