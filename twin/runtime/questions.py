"""What the page asks of the twin's machinery: scenarios from snapshots, smoothing from the record.

The kernel is loaded when the first question comes. Snapshots and record are only read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ingest.catalogue import SIGNALS
from ingest.instant import DAY
from twin.bands import bands
from twin.care.questions import Columns, Unanswerable

if TYPE_CHECKING:
    from ingest.recording import Recording
    from twin.config import Config

#: What was measured so long before an interval is filtered first; after that an estimate has
#: forgotten where it began.
WARM_UP = DAY
#: More measurements than this are not smoothed for a page.
MOST = 20_000


def questions_of(config: Config) -> TwinQuestions:
    """Those of a configuration's data folder."""
    paths = config.paths
    records = (paths.store, paths.influx_record)
    return TwinQuestions(paths.snapshots, config.journal.partitions, records, config.model.file)


@dataclass(frozen=True, slots=True)
class TwinQuestions:
    """See `twin.care.questions.Questions`. records: stores' files, the first that is there counts;
    model: the configured file, None: the one that ships."""

    snapshots: Path
    partitions: int
    records: tuple[Path, ...]
    model: Path | None

    def scenario(self, patient: str, asked: bytes) -> Mapping[str, Columns]:
        from twin.branch import branch_of_snapshots
        from twin.estimation.scenario import ScenarioError, curves, personal, read_scenario
        from twin.snapshot import SnapshotUnreadable

        try:
            what = read_scenario(asked, "body", toml=False)
            branch = branch_of_snapshots(self.snapshots, self.partitions, patient)
            what = personal(what, branch.responses.of_patient(patient))
            made = curves(branch.bank, patient, branch.devices, what)
        except (ScenarioError, SnapshotUnreadable) as error:
            raise Unanswerable(str(error)) from error
        found = {}
        for curve in made:
            signal = SIGNALS[curve.signal]
            numbers = {"mean": curve.mean, "std": curve.std, "known_std": curve.known_std}
            for band, half in zip((50, 90, 95), curve.halves, strict=True):
                numbers[f"lo{band}"] = np.clip(curve.mean - half, signal.lower, signal.upper)
                numbers[f"hi{band}"] = np.clip(curve.mean + half, signal.lower, signal.upper)
            found[curve.signal] = Columns(
                curve.at.tolist(), {name: each.tolist() for name, each in numbers.items()}
            )
        return found

    def smoothed(self, patient: str, signal: str, start: int, end: int) -> Columns:
        from twin.estimation.models import base_model, parse_model
        from twin.estimation.smoother import smooth

        recording = self._recorded(patient, signal, start - WARM_UP, end + WARM_UP)
        inside = (recording.measured_at >= start) & (recording.measured_at < end)
        if int(inside.sum()) > MOST:
            raise Unanswerable(f"from: expected an interval of at most {MOST} measurements")
        try:
            model = (
                base_model()
                if self.model is None
                else parse_model(self.model.read_text("utf-8"), str(self.model))
            )
            found = smooth(recording, start, end, model)
        except ValueError as error:
            raise Unanswerable(str(error)) from error
        band = bands(found.mean, found.std)
        numbers = {
            "mean": found.mean,
            "std": found.std,
            "lo50": band.lo50,
            "hi50": band.hi50,
            "lo95": band.lo95,
            "hi95": band.hi95,
            "filtered_mean": found.filtered_mean,
            "filtered_std": found.filtered_std,
        }
        return Columns(found.at.tolist(), {name: each.tolist() for name, each in numbers.items()})

    def _recorded(self, patient: str, signal: str, start: int, end: int) -> Recording:
        from ingest.recording import Recording
        from twin.store.reading import Reading

        path = next((path for path in self.records if path.exists()), None)
        if path is None:
            raise Unanswerable("there is no record here yet")
        reading = Reading(path)
        try:
            found = reading.observations(patient, start, end)
            parts = [(piece.device, piece.rows) for piece in found if piece.signal == signal]
        finally:
            reading.close()
        if not parts:
            raise Unanswerable("nothing was measured in this interval")
        devices = [device for device, rows in parts for _ in range(len(rows))]
        n = len(devices)

        def column(name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
            return np.concatenate([rows[name] for _, rows in parts]).astype(np.float64)

        def stamps(name: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
            return np.concatenate([rows[name] for _, rows in parts]).astype(np.int64)

        return Recording(
            [patient] * n,
            devices,
            [signal] * n,
            column("value"),
            stamps("time"),
            stamps("received_at"),
            column("noise_std"),
            column("quality"),
            np.arange(n),
            0,
            {},
        )
