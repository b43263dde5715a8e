"""A twin that is fed message by message and tick by tick, for tests of the intake."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ingest.instant import SECOND
from ingest.journal.protocol import ALL_PARTITIONS, partition_of
from ingest.observation import (
    Command,
    DeviceId,
    DeviceState,
    DeviceStates,
    Observation,
    PatientId,
    Record,
    SignalCode,
    Tick,
    batch_of,
)
from tests.support.twins import T0
from twin.device_report import DeviceReports, Silence, SystemEvent
from twin.estimate import EstimateBatch, Kind, Output, Verdict
from twin.step import Placed, TwinState, new_state, step

PARTITIONS = 4


class IntakeLine:
    """Seconds are counted from T0; `now` is the second reached. Everything said is in `outputs`."""

    def __init__(self) -> None:
        self.state: TwinState = new_state(PARTITIONS)
        self.records: list[Placed] = []
        self.outputs: list[Output] = []
        self.now = 0.0
        self.broker = True

    def put(self, patient: str | None, record: Record) -> None:
        """A record at the next place of the journal."""
        partition = ALL_PARTITIONS if patient is None else partition_of(patient, PARTITIONS)
        placed = Placed(partition, len(self.records) + 1, record)
        self.records.append(placed)
        for part in step(self.state, [placed])[1].values():
            self.outputs += part

    def send(
        self,
        *stamps: float,
        number: int = -1,
        boot: int = 0,
        device: str = "watch",
        patient: str = "p1",
        signal: str = "heart_rate",
        after: float = 0.2,
        value: float = 70.0,
    ) -> None:
        """One message with a sample for each stamp (default: now), received `after` s from now."""
        received = T0 + round((self.now + after) * SECOND)
        self.put(
            patient,
            batch_of(
                [
                    Observation(
                        PatientId(patient), DeviceId(device), SignalCode(signal), value,
                        at, received, at, device_sequence=number, boot=boot,
                    )
                    for at in (T0 + round(s * SECOND) for s in stamps or (self.now,))
                ]
            ),
        )  # fmt: skip

    def say(self, device: str = "watch", patient: str = "p1", **said: Any) -> None:
        """The device's own state, or the broker's word of it."""
        at = T0 + round(self.now * SECOND)
        self.put(patient or None, DeviceStates((DeviceState(device, patient, at, at, **said),)))

    def declare(self, device: str = "watch", patient: str = "p1", **body: Any) -> None:
        """A command `device` (or of another `kind`)."""
        kind = str(body.pop("kind", "device"))
        id_ = f"c{len(self.records)}"
        at = T0 + round(self.now * SECOND)
        command = Command(id_, kind, "test", at, {"device": device, **body}, patient)
        self.put(patient, command)

    def tick(self, seconds: float = 1, stepped: bool = False) -> None:
        """One tick, so much later."""
        self.now += seconds
        self.put(None, Tick(T0 + round(self.now * SECOND), self.broker, stepped))

    def run(self, seconds: int) -> None:
        """Ticks and nothing else."""
        for _ in range(seconds):
            self.tick()

    def reports(self, device: str = "watch", patient: str = "p1") -> list[Mapping[str, Any]]:
        """All reports of a device on a patient, oldest first."""
        return [
            dict(zip(row.dtype.names, row.tolist(), strict=True))
            for output in self.outputs
            if isinstance(output, DeviceReports)
            for row in output.rows
            if (output.devices[row["device"]], output.patients[row["patient"]]) == (device, patient)
        ]

    def silences(self, device: str = "watch", patient: str = "p1") -> list[str]:
        """What its silence became, each change once."""
        words = [Silence(r["silence"]).word for r in self.reports(device, patient)]
        return [w for n, w in enumerate(words) if w != (words[n - 1] if n else "")]

    def account(self, device: str = "watch", patient: str = "p1") -> Mapping[str, int]:
        """The newest counts, those that are not zero."""
        names = (
            "accepted", "belated", "duplicate", "conflict", "refused", "over_rate", "redelivered",
            "missing", "open", "restarts",
        )  # fmt: skip
        newest = self.reports(device, patient)[-1]
        return {name: newest[name] for name in names if newest[name]}

    @property
    def events(self) -> Sequence[SystemEvent]:
        return [output for output in self.outputs if isinstance(output, SystemEvent)]

    def rows(self, kind: Kind = Kind.VERDICT) -> Any:
        """All rows of that kind, in order."""
        batches = [o.rows for o in self.outputs if isinstance(o, EstimateBatch)]
        rows = np.concatenate(batches)
        return rows[rows["kind"] == kind]

    def verdicts(self) -> list[Verdict]:
        return [Verdict(v) for v in self.rows()["verdict"].tolist()]


def estimates(line: IntakeLine) -> Iterable[tuple[str, int, float]]:
    """(patient, stamp, mean): what the store ends with, later words over earlier ones."""
    found: dict[tuple[str, int], float] = {}
    for output in line.outputs:
        if isinstance(output, EstimateBatch):
            for row in output.rows:
                accepted = row["kind"] == Kind.VERDICT and row["verdict"] == Verdict.ACCEPTED
                if accepted or row["kind"] == Kind.REVISION:
                    key = output.patients[row["patient"]], int(row["as_of"])
                    found[key] = float(row["mean"])
    return [(patient, at, mean) for (patient, at), mean in sorted(found.items())]


#: Devices, three of them behind a gateway, and their patients.
WARD = {"gw/a": "p1", "gw/b": "p2", "gw/c": "p3", "watch": "p1"}


def silent_ward(devices: dict[str, str], broker: bool = True) -> IntakeLine:
    """Devices (→ patients) that have spoken once a second, and then all stopped."""
    line = IntakeLine()
    line.tick()
    for _ in range(10):
        for device, patient in devices.items():
            line.send(device=device, patient=patient)
        line.tick()
    line.broker = broker
    line.run(70)
    return line
