"""`twin devices ledger`: every observation is somewhere, and the difference says where."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ingest.instant import format_instant
from ingest.journal.protocol import Progress
from ingest.journal.sqlite import SqliteJournal
from ingest.observation import batch_of, encode_record
from ingest.payload.decoded import Reason, Rejection
from ingest.quarantine import Quarantine, RefusedMessage
from ingest.settings import QuarantineSettings
from tests.support.command import twin
from tests.support.device_reports import reported
from tests.support.estimates import SECOND, T0, batch, observed
from tests.support.journals import Told
from tests.support.twins import observation
from twin.care.latest import Latest
from twin.care.saved import save_fold
from twin.device_report import DeviceReports, Silence
from twin.estimate import EstimateBatch, Verdict, encode_output
from twin.store.embedded import EmbeddedStore


class Line:
    """A data folder as a running line leaves it behind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = SqliteJournal(folder / "journal")
        self.worker = self.journal.join(Told())

    def receive(self, *values: float) -> None:
        """One record of observations of watch-1."""
        rows = [observation(i, value, device="watch-1") for i, value in enumerate(values)]
        self.journal.append("observations", [(0, encode_record(batch_of(rows)))])

    def step(self, *outputs: EstimateBatch | DeviceReports) -> None:
        """The worker commits everything received so far, with these outputs."""
        self.worker.read(100, 0.0)
        records = tuple(encode_output(output) for output in outputs)
        self.worker.commit({0: Progress(self.journal.end("observations"), records)})

    def store(self, *batches: EstimateBatch) -> None:
        """The store writer writes these, up to the end of the estimates."""
        with EmbeddedStore(self.folder / "store.db") as store:
            store.write_all(batches, self.journal.end("estimates"))

    def ledger(self) -> dict[str, Any]:
        (device,) = twin("devices", "ledger", "--json", "--data-dir", self.folder).json["devices"]
        return device

    def close(self) -> None:
        self.worker.close()
        self.journal.close()


@pytest.fixture
def line(tmp_path: Path):  # type: ignore[no-untyped-def]
    with closing(Line(tmp_path)) as made:
        yield made


def test_what_is_stored_leaves_no_difference(line: Line) -> None:
    said = batch(
        observed(T0, 70.0),
        observed(T0 + SECOND, 71.0),
        observed(T0, 70.0, verdict=Verdict.DUPLICATE),
        observed(T0, 99.0, verdict=Verdict.CONFLICT),
        observed(T0 - 9 * SECOND, 60.0, verdict=Verdict.BELATED),
    )
    line.receive(70.0, 71.0, 70.0, 99.0, 60.0)
    line.step(said)
    line.store(said)

    device = line.ledger()

    assert (device["id"], device["patient"]) == ("watch-1", "p1")
    assert device["ledger"] == {
        "received": 5,
        "duplicate": 1,
        "conflict": 1,
        "belated": 1,
        "refused": {},
        "journalled": 5,
        "estimated": 2,
        "stored": 3,
        "difference": 0,
    }
    assert device["explained"] == []


def test_difference_is_what_waits_for_twin_and_store(line: Line) -> None:
    first, second = batch(observed(T0, 70.0)), batch(observed(T0 + SECOND, 71.0))
    line.receive(70.0)
    line.step(first)
    line.store(first)
    line.receive(71.0)
    line.step(second)
    line.receive(72.0, 73.0)

    device = line.ledger()

    counts = {name: device["ledger"][name] for name in ("journalled", "estimated", "stored")}
    assert counts == {"journalled": 4, "estimated": 2, "stored": 1}
    assert device["ledger"]["difference"] == 3
    assert device["explained"] == [
        "2 in the journal, not yet taken by the twin",
        "1 estimated, not yet written to the store",
    ]


def test_saved_fold_and_the_journal_after_it_count_each_row_once(line: Line) -> None:
    first, second = batch(observed(T0, 70.0)), batch(observed(T0 + SECOND, 71.0))
    line.receive(70.0, 71.0)
    line.step(first)
    fold = Latest()
    fold.fold(first)
    fold.position = line.journal.end("estimates")
    save_fold(line.folder / "care" / "latest.bin", fold.dump())
    line.step(second)
    line.store(first, second)

    assert line.ledger()["ledger"]["estimated"] == 2


def test_refusals_of_ingest_are_received_but_not_journalled(line: Line) -> None:
    with closing(Quarantine(line.folder / "quarantine.db", QuarantineSettings())) as quarantine:
        rejection = Rejection(Reason.UNDECODABLE, "", "UTF-8", "byte 0xff at 0")
        message = RefusedMessage("twin/v1/watch-1/telemetry", b"\xff", T0, "watch-1", [rejection])
        quarantine.put([message], T0)

    ledger = line.ledger()["ledger"]

    assert (ledger["received"], ledger["journalled"]) == (1, 0)
    assert ledger["refused"] == {"undecodable": 1}
    assert ledger["difference"] == 0


def test_loss_in_the_store_is_unexplained(line: Line) -> None:
    said = batch(observed(T0, 70.0), observed(T0 + SECOND, 71.0))
    line.receive(70.0, 71.0)
    line.step(said)
    line.store(batch(observed(T0, 70.0)))

    assert line.ledger()["explained"] == ["1 unexplained"]


def test_damaged_record_of_the_estimates_is_said(line: Line) -> None:
    line.receive(70.0)
    line.worker.read(100, 0.0)
    line.worker.commit({0: Progress(line.journal.end("observations"), (b"not a record",))})

    ended = twin("devices", "ledger", "--data-dir", line.folder)

    assert ended.code == 0
    assert "1 damaged records of the estimates journal are not counted" in ended.err


def test_the_worker_s_word_of_gaps_silence_and_clock_is_in_the_ledger(line: Line) -> None:
    said = batch(observed(T0, 70.0))
    line.receive(70.0)
    line.step(
        said,
        reported(
            T0, accepted=1, missing=3, open=2, redelivered=1, restarts=1, silence=Silence.RADIO,
            since=T0, offset=-0.42, offset_std=0.1, drift=12.0, drift_std=1.0,
        ),
    )  # fmt: skip
    line.store(said)

    device = line.ledger()

    assert device["numbers"] == {
        "missing": 3, "open": 2, "redelivered": 1, "restarts": 1
    }  # fmt: skip
    assert device["silence"] == {"cause": "radio", "since": format_instant(T0)}
    assert device["clock"]["offset_s"] == -0.42
    printed = twin("devices", "ledger", "--data-dir", line.folder).out
    assert "-0.4 ± 0.1 s" in printed
    assert "2 numbers have not come yet" in printed
    assert "silent: radio since" in printed


def test_an_account_of_which_the_journal_was_trimmed_is_whole_again_with_the_next_report(
    line: Line,
) -> None:
    fifty = batch(*(observed(T0 + i * SECOND, 70.0) for i in range(50)))
    line.receive(70.0)
    line.step(reported(T0, accepted=50))
    line.store(fifty)
    line.receive(71.0)
    last = batch(observed(T0 + 50 * SECOND, 71.0))
    line.step(last)
    line.store(last)

    ledger = line.ledger()["ledger"]

    assert (ledger["estimated"], ledger["stored"], ledger["difference"]) == (51, 51, 0)


def test_of_several_reports_the_newest_counts(line: Line) -> None:
    line.step(reported(T0, missing=1))
    line.step(reported(T0, missing=4))

    assert line.ledger()["numbers"]["missing"] == 4


def test_without_a_report_nothing_is_said_of_the_device(line: Line) -> None:
    line.receive(70.0)

    device = line.ledger()

    assert (device["numbers"], device["silence"], device["clock"]) == (None, None, None)


def test_devices_are_named_or_all_are_told(line: Line) -> None:
    line.receive(70.0)
    with closing(Quarantine(line.folder / "quarantine.db", QuarantineSettings())) as quarantine:
        fault = Rejection(Reason.DEVICE_UNKNOWN, "", "a registered device", "watch-2")
        quarantine.put(
            [RefusedMessage("twin/v1/watch-2/telemetry", b"{}", T0, "watch-2", [fault])], T0
        )

    def told(*devices: str) -> list[str]:
        said = twin("devices", "ledger", *devices, "--json", "--data-dir", line.folder)
        return [each["id"] for each in said.json["devices"]]

    assert told() == ["watch-1", "watch-2"]
    assert told("watch-2") == ["watch-2"]
    assert told("watch-2", "watch-1", "watch-2") == ["watch-1", "watch-2"]
    wrong = twin("devices", "ledger", "watch-3", "--data-dir", line.folder)
    assert (wrong.code, wrong.out) == (2, "")
    assert "watch-3: nothing is known of such a device" in wrong.err
