"""Made-up journals for the pure step and the worker, and what is in their outputs."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from ingest.instant import SECOND
from ingest.journal.protocol import ALL_PARTITIONS, partition_of
from ingest.observation import Command, Observation, Record, Tick, batch_of
from tests.support.twins import T0, observation
from twin.anchor import Anchor, Anchors
from twin.device_report import DeviceReports, SystemEvent
from twin.estimate import EstimateBatch, Outcome, Output
from twin.judgement import Alarm, Judgements, Score
from twin.personal import Change
from twin.step import Placed

PARTITIONS = 4
_USUAL = {"heart_rate": 75.0, "spo2": 97.0, "glucose": 120.0}

#: A row with its names instead of indexes; numbers as bytes, so that NaN equals NaN.
Line = tuple[object, ...]


def second_of(rng: random.Random, second: int, patients: int) -> list[Observation]:
    """What a ward sends in a second: two devices each, some of it late, doubled or left out."""
    sent = []
    for n in range(patients):
        for signal, value in _USUAL.items():
            for device in ("watch", "patch") if signal == "heart_rate" else ("watch",):
                if rng.random() < 0.6:
                    late = rng.choice([0, 0, 0, 0, 1, 2, 5, 40])
                    at = max(second - late, 0)
                    value += rng.gauss(0, 2) + (50 if rng.random() < 0.02 else 0)
                    name = f"{device}-{n}"
                    o = observation(at, round(value, 1), f"p{n}", name, signal, late + 0.3)
                    sent += [o] * rng.choice([1, 1, 1, 1, 2])
    rng.shuffle(sent)
    return sent


def batches(observations: Iterable[Observation]) -> list[tuple[int, Record]]:
    """A batch for each partition."""
    parts = defaultdict[int, list[Observation]](list)
    for o in observations:
        parts[partition_of(o.patient, PARTITIONS)].append(o)
    return [(partition, batch_of(part)) for partition, part in sorted(parts.items())]


def ward_records(
    seconds: int, patients: int = 6, seed: int = 1, pause: tuple[int, int] = (0, 0)
) -> list[tuple[int, Record]]:
    """(partition, record) in journal order; nothing but ticks within `pause`."""
    rng = random.Random(seed)
    records: list[tuple[int, Record]] = []
    for second in range(seconds):
        if not pause[0] <= second < pause[1]:
            records += batches(second_of(rng, second, patients))
        records.append((ALL_PARTITIONS, Tick(T0 + second * SECOND + SECOND // 2, True)))
    return records


def placed(records: Iterable[tuple[int, Record]], first: int = 1) -> list[Placed]:
    return [Placed(p, n, record) for n, (p, record) in enumerate(records, first)]


def model_command(content: str, id_: str = "m1", at: int = T0) -> Command:
    return Command(id_, "model", "test", at, {"content": content})


def lines(outputs: Iterable[Output]) -> list[Line]:
    """The rows of these outputs in order, as they mean, wherever batches were cut."""
    found: list[Line] = []
    for output in outputs:
        if isinstance(output, Outcome):
            found.append((output.id, output.done, output.reason, output.at))
        elif isinstance(output, Judgements):
            found += [("alarm", one.patient, *_plain(one)) for one in output.alarms]
            found += [("score", one.patient, *_plain(one)) for one in output.scores]
            found += [("change", one.patient, *_plain(one)) for one in output.changes]
        elif isinstance(output, Anchors):
            found += [("anchor", *_plain(one)) for one in output.anchors]
        elif isinstance(output, DeviceReports):
            found += _device_lines(output)
        elif isinstance(output, SystemEvent):
            found.append((str(output.cause), output.at, output.seconds))
        else:
            found += _lines(output)
    return found


def _device_lines(reports: DeviceReports) -> list[Line]:
    rows = reports.rows.copy()
    names = [(reports.patients[r["patient"]], reports.devices[r["device"]]) for r in rows]
    rows["patient"] = rows["device"] = 0
    return [
        ("device", patient, device, "", "", row.tobytes())
        for (patient, device), row in zip(names, rows, strict=True)
    ]


def _plain(one: Alarm | Anchor | Change | Score) -> Iterable[str]:
    return (f"{name}={getattr(one, name)!r}" for name in one.__struct_fields__)


def _lines(batch: EstimateBatch) -> list[Line]:
    rows = batch.rows.copy()
    names = [
        (
            batch.model,
            batch.patients[row["patient"]],
            batch.devices[row["device"]] if row["device"] < len(batch.devices) else "",
            batch.signals[row["signal"]],
            batch.reasons[row["reason"]],
        )
        for row in rows
    ]
    for column in ("patient", "device", "signal", "reason"):
        rows[column] = 0
    ahead = batch.forecasts.copy()
    names += [
        (batch.model, batch.patients[row["patient"]], "", batch.signals[row["signal"]], "forecast")
        for row in ahead
    ]
    ahead["patient"] = ahead["signal"] = 0
    said = [*rows, *ahead]
    return [(*name, row.tobytes()) for name, row in zip(names, said, strict=True)]


def by_patient(outputs: Mapping[int, Sequence[Output]]) -> dict[object, list[Line]]:
    """Lines of each patient in order; outcomes under their command's id."""
    found = defaultdict[object, list[Line]](list)
    for part in outputs.values():
        for line in lines(part):
            found[line[1] if len(line) == 6 else line[0]].append(line)
    return dict(found)


def merged(
    parts: Iterable[Mapping[int, Sequence[Output]]],
) -> dict[int, list[Output]]:
    """Outputs of several steps, one after another."""
    found = defaultdict[int, list[Output]](list)
    for part in parts:
        for partition, outputs in part.items():
            found[partition] += outputs
    return dict(found)
