"""What the twin says of the clocks of real recordings: `python -m bench.clocks DATA`; a table out.

DATA holds GalaxyPPG (Park et al., Scientific Data 2025) as `galaxyppg/P02/…`: one person with a
chest strap read by a phone whose clock is nine hours ahead, a watch that hands over up to thirteen
minutes late, and a wristband that smooths. Each message is decided by ingest and stepped by the
twin with a tick a second, as when it is received. The recordings of strap and wristband have no
receipts: they are taken as received `_AFTER` after the moment that they were measured.
"""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ingest.decide import Decider
from ingest.device_model import DeviceModel
from ingest.instant import HOUR, MILLISECOND, SECOND
from ingest.journal.protocol import ALL_PARTITIONS, partition_of
from ingest.mqtt import Delivery
from ingest.observation import Record, Tick, decode_record
from ingest.registry import Registry
from ingest.registry_devices import add_device, declare_models
from ingest.settings import DeviceSettings, IngestSettings
from twin.device_report import DeviceReports
from twin.estimate import EstimateBatch, Kind, Output, Verdict
from twin.step import Placed, new_state, step

_PARTITIONS, _PERSON = 4, "P02"
_AFTER = 200 * MILLISECOND
#: GalaxyPPG is of Korea: the phone's clock shows the local hour as if it were UTC.
_AHEAD = 9 * HOUR


@dataclass(frozen=True, slots=True)
class Sample:
    """A heart rate: the device's own stamp and the receipt, ns UTC."""

    stamp: int
    received: int
    value: float


@dataclass(frozen=True, slots=True)
class Case:
    """A recording, and what is declared of its device."""

    title: str
    samples: Sequence[Sample]
    clock_offset: int = 0
    delay_s: float = 0.0


@dataclass(slots=True)
class Said:
    """What ingest and the twin made of a case. moved: s by which stamps were moved, least, most."""

    samples: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    latest: dict[str, float] = field(default_factory=dict)
    moved: tuple[float, float] = (0.0, 0.0)


def cases(folder: Path) -> Iterator[Case]:
    """Raises FileNotFoundError where the recordings are not."""
    strap = [_at_once(int(r["phoneTimestamp"]) * MILLISECOND, r["hr"], _AHEAD)
             for r in _rows(folder / "PolarH10" / "HR.csv")]  # fmt: skip
    watch = [
        Sample(*(int(r[k]) * MILLISECOND for k in ("timestamp", "dataReceived")), float(r["hr"]))
        for r in _rows(folder / "GalaxyWatch" / "HR.csv")
        if r["hrStatus"] == "1" and int(r["hr"])
    ]
    band = [
        _at_once(int(r["timestamp"]) * 1_000, r["value"]) for r in _rows(folder / "E4" / "HR.csv")
    ]
    yield Case("phone 9 h ahead", strap)
    yield Case("the same, `clock_offset_s = 32400`", strap, clock_offset=_AHEAD)
    yield Case("watch in batches", watch)
    yield Case("wristband", band)
    yield Case("the same, `delay_s = 30`", band, delay_s=30.0)


def heard(case: Case) -> Said:
    """Decide, step and count all of a case."""
    with TemporaryDirectory() as folder:
        registry = _registered(Path(folder), case)
        try:
            return _heard(case, registry)
        finally:
            registry.close()


def _registered(folder: Path, case: Case) -> Registry:
    first = min(s.received for s in case.samples)
    registry = Registry(folder / "registry.db", DeviceSettings(), lambda: first)
    declare_models(registry, [DeviceModel(name="model", delay_s=case.delay_s)], "bench")
    add_device(registry, "device", "model", clock_offset=case.clock_offset)
    registry.bind("device", registry.add_patient(patient="p-1"))
    return registry


def _heard(case: Case, registry: Registry) -> Said:
    said, outputs, state = Said(len(case.samples)), list[Output](), new_state(_PARTITIONS)
    partition = partition_of("p-1", _PARTITIONS)
    position = 0

    def put(record: Record, where: int) -> None:
        nonlocal position
        position += 1
        for part in step(state, [Placed(where, position, record)])[1].values():
            outputs.extend(part)

    for _, command in registry.take_outbox():
        put(command, partition if command.patient else ALL_PARTITIONS)
    decider = Decider(registry, IngestSettings(), _PARTITIONS)
    in_order = sorted(case.samples, key=lambda s: s.received)
    second = in_order[0].received // SECOND
    for sample in in_order:
        while second * SECOND < sample.received:
            put(Tick(second * SECOND, True, False), ALL_PARTITIONS)
            second += 1
        decided = decider.decide([_delivery(sample)])
        for _, decision in decided.explained:
            said.refused.update(str(each.reason) for each in decision.rejections)
        for _, record in decided.records:
            put(decode_record(record), partition)
    for later in range(second, second + 90):
        put(Tick(later * SECOND, True, False), ALL_PARTITIONS)
    _count(outputs, said)
    return said


def _delivery(sample: Sample) -> Delivery:
    payload = b'{"time":%d,"values":{"heart_rate":%r}}'
    text = payload.replace(b"%r", repr(sample.value).encode()) % (sample.stamp // MILLISECOND)
    return Delivery("twin/v1/device/telemetry", text, sample.received, 1, 1)


def _count(outputs: Sequence[Output], said: Said) -> None:
    least, most = np.inf, -np.inf
    for output in outputs:
        if isinstance(output, EstimateBatch):
            rows = output.rows[output.rows["kind"] == Kind.VERDICT]
            said.verdicts.update(Verdict(v).name.lower() for v in rows["verdict"].tolist())
            moved = (rows["measured_at"] - rows["device_stamp"]) / SECOND
            least, most = min(least, moved.min(initial=least)), max(most, moved.max(initial=most))
        elif isinstance(output, DeviceReports):
            names = ("offset", "offset_std", "drift", "drift_std", "correction")
            said.latest = {name: float(output.rows[-1][name]) for name in names}
    if said.verdicts:
        said.moved = (float(least), float(most))


def _at_once(stamp: int, value: str, ahead: int = 0) -> Sample:
    return Sample(stamp, stamp - ahead + _AFTER, float(value))


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines)


def row(case: Case, said: Said) -> str:
    """The case as a line of docs/devices.md."""
    clock = said.latest
    known = clock and np.isfinite(clock["offset"])
    offset = f"{clock['offset']:+.2f} ± {clock['offset_std']:.2f} s" if known else "–"
    drift = f"{clock['drift']:+.0f} ± {clock['drift_std']:.0f}" if known else "–"
    refused = ", ".join(f"`{reason}` {n}" for reason, n in said.refused.items()) or "none"
    lateness = max(s.received - s.stamp for s in case.samples) / SECOND
    told = f"{lateness:+.0f} s" if lateness > -HOUR / SECOND else f"{lateness / 3600:+.0f} h"
    moved = "no" if said.moved == (0, 0) else f"{said.moved[0]:+.1f} … {said.moved[1]:+.1f} s"
    return f"| {case.title} | {said.samples} | {told} | {refused} | {offset} | {drift} | {moved} |"


def main() -> None:
    print("| recording | samples | latest receipt | refused | offset | drift, ppm | moved |")
    print("|---|---|---|---|---|---|---|")
    for case in cases(Path(sys.argv[1]) / "galaxyppg" / _PERSON):
        print(row(case, heard(case)), flush=True)


if __name__ == "__main__":
    main()
