"""What a twin makes of observations as they arrive, written to stores; and the same in order."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from ingest.instant import MILLISECOND
from ingest.observation import DeviceId, Observation, PatientId, SignalCode, batch_of
from tests.support.commands import shared_recording
from twin.anchor import Anchors
from twin.estimate import EstimateBatch, decode_output, encode_output
from twin.estimation.models import ModelFile, base_model
from twin.estimation.replay import replay
from twin.runtime.refilter import Sink
from twin.step import Placed, TwinState, new_state, step
from twin.store.blocks import rounded
from twin.store.embedded import EmbeddedStore

#: (patient, signal, stamp) → mean, std, trend.
Estimates = dict[tuple[str, str, int], tuple[float, float, float]]


def galaxy(person: str) -> list[Observation]:
    """The wrist band's and the watch's heart rates of a GalaxyPPG person, in order of arrival.

    The watch hands its values over minutes later, in bursts.
    """
    said = [*_band(person), *_watch(person)]
    return sorted(said, key=lambda o: (o.received_at, o.measured_at))


def _band(person: str) -> Iterator[Observation]:
    path = shared_recording(f"galaxyppg/{person}/E4/HR.csv")
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            stamp = int(row["timestamp"]) * 1_000
            yield heart_rate(person, "e4", float(row["value"]), stamp, stamp)


def _watch(person: str) -> Iterator[Observation]:
    path = shared_recording(f"galaxyppg/{person}/GalaxyWatch/HR.csv")
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            if int(row["hr"]) and row["hrStatus"] == "1":
                stamp, received = (int(row[k]) * MILLISECOND for k in ("timestamp", "dataReceived"))
                yield heart_rate(person, "watch", float(row["hr"]), stamp, received)


def heart_rate(
    patient: str, device: str, value: float, stamp: int, received: int, noise_std: float = np.nan,
    quality: float = np.nan,
) -> Observation:  # fmt: skip
    """Measured at `stamp`, ns."""
    who = PatientId(patient), DeviceId(device), SignalCode("heart_rate")
    return Observation(*who, value, stamp, received, stamp, noise_std=noise_std, quality=quality)


@dataclass(slots=True)
class LiveLine:
    """Steps observations in order of arrival and writes what comes of it to stores."""

    stores: Sequence[Sink]
    model: ModelFile = field(default_factory=base_model)
    state: TwinState = field(init=False)
    position: int = 0

    def __post_init__(self) -> None:
        self.state = new_state(1, self.model)

    def arrive(self, arrived: Sequence[Observation], at_once: int = 50) -> None:
        """In batches of so many."""
        for start in range(0, len(arrived), at_once):
            self.position += 1
            batch = batch_of(arrived[start : start + at_once])
            _, said = step(self.state, [Placed(0, self.position, batch)])
            outputs = [decode_output(encode_output(each)) for each in said.get(0, ())]
            kept = [each for each in outputs if isinstance(each, EstimateBatch | Anchors)]
            for store in self.stores:
                store.write_all(kept, self.position)


def in_order(said: Iterable[Observation], model: ModelFile | None = None) -> Estimates:
    """What `twin replay --order measured` says: of each stamp the last row."""
    said = list(said)
    columns = {
        "patient": [str(o.patient) for o in said],
        "device": [str(o.device) for o in said],
        "signal": [str(o.signal) for o in said],
        "value": [o.value for o in said],
        "measured_at": [o.measured_at for o in said],
        "received_at": [o.received_at for o in said],
        "noise_std": pa.array([o.noise_std for o in said], from_pandas=True),
        "quality": pa.array([o.quality for o in said], from_pandas=True),
    }
    table = replay(pa.table(columns), model=model).table
    stamps = table["as_of"].to_numpy().astype(np.int64).tolist()
    keys = zip(table["patient"].to_pylist(), table["signal"].to_pylist(), stamps, strict=True)
    numbers = zip(*(table[name].to_pylist() for name in ("mean", "std", "trend")), strict=True)
    return dict(zip(keys, numbers, strict=True))


def as_kept(estimates: Estimates) -> Estimates:
    """Rounded as the embedded store does it."""
    keys = list(estimates)
    table = np.array([estimates[key] for key in keys])
    return {key: tuple(rounded(row, key[1]).tolist()) for key, row in zip(keys, table, strict=True)}


def held(store: EmbeddedStore) -> Estimates:
    """What an embedded store says."""
    return {
        (each.patient, each.signal, int(row["time"])): (
            float(row["mean"]),
            float(row["std"]),
            float(row["trend"]),
        )
        for each in store.estimates()
        for row in each.rows
    }
