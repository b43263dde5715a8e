"""The pipeline's ledger says exactly what a fault script did: decided, stepped, counted."""

from __future__ import annotations

from collections import Counter
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.decide import Decider
from ingest.fleet.message import Message
from ingest.fleet.script import Fault, FaultKind, FaultScript, Told, scripted, told
from ingest.fleet.settings import Rates
from ingest.fleet.simulation import messages
from ingest.instant import MILLISECOND, SECOND
from ingest.mqtt import Delivery
from ingest.observation import decode_record
from ingest.registry import Registry
from ingest.settings import DeviceSettings, IngestSettings
from tests.support.intake_line import PARTITIONS, IntakeLine
from tests.support.twins import T0
from twin.estimate import EstimateBatch, Kind, Verdict

RATES = Rates(watch_s=1.0, patch_s=4.0)
SECONDS = 60


def sent(*faults: Fault) -> list[Message]:
    script = FaultScript(patients=1, seed=3, rates=RATES, fault=faults)
    stream = takewhile(lambda m: m.at < SECONDS * SECOND, messages(script))
    return list(scripted(script, stream))


def ledgers(stream: list[Message]) -> dict[str, Told]:
    """What the line makes of the messages: ingest's decisions, then the worker's accounts."""
    found: dict[str, Told] = {}
    line = IntakeLine()
    ingest = IngestSettings(devices=DeviceSettings(unknown="register"))
    with TemporaryDirectory() as folder:
        registry = Registry(Path(folder) / "registry.db", ingest.devices, lambda: T0)
        registry.register(dict.fromkeys(message.device for message in stream))
        decider = Decider(registry, ingest, PARTITIONS)
        line.tick()
        for place, message in enumerate(stream):
            while line.now * SECOND < message.at:
                line.tick()
            at = T0 + message.at + 10 * MILLISECOND + place  # no two are received at once
            delivery = Delivery(message.topic, message.payload(T0), at, 1, 1)
            decided = decider.decide([delivery])
            ledger = found.setdefault(message.device, Told())
            for _, decision in decided.explained:
                for each in decision.rejections:
                    ledger.refused[str(each.reason)] += each.samples
            ledger.received += decided.accepted
            for _, record in decided.records:
                line.put(None, decode_record(record))
        patients = {device: str(registry.patient_at(device, T0)) for device in found}
        registry.close()
    line.run(75)
    again = belated_again(line)
    for device, ledger in found.items():
        ledger.received += sum(ledger.refused.values())
        heard = line.reports(device, patients[device])
        account = line.account(device, patients[device]) if heard else {}
        assert ledger.received == sum(ledger.refused.values()) + sum(
            account.get(v.name.lower(), 0) for v in Verdict
        )
        for name in ("duplicate", "redelivered", "missing", "restarts"):
            setattr(ledger, name, account.get(name, 0))
        ledger.duplicate += again[patients[device], device]
    return found


def belated_again(line: IntakeLine) -> Counter[tuple[str, str]]:
    """(patient, device) → samples that came again, deeper than the ring, which forgot them."""
    known, again = set(), Counter[tuple[str, str]]()
    for output in line.outputs:
        rows = output.rows if isinstance(output, EstimateBatch) else ()
        for row in rows:
            if row["kind"] == Kind.VERDICT and row["verdict"] != Verdict.REFUSED:
                wearer = output.patients[row["patient"]], output.devices[row["device"]]
                key = *wearer, output.signals[row["signal"]], int(row["device_stamp"])
                again[wearer] += key in known and row["verdict"] == Verdict.BELATED
                known.add(key)
    return again


def assert_told(*faults: Fault) -> None:
    stream = sent(*faults)
    expected = {device: ledger for device, ledger in told(stream).items() if ledger.received}
    assert ledgers(stream) == expected


def test_without_a_fault_the_ledger_is_clean() -> None:
    for ledger in ledgers(sent()).values():
        assert (ledger.duplicate, ledger.missing, ledger.refused) == (0, 0, Counter())
        assert ledger.received > 0
    assert_told()


def test_lost_twice_and_out_of_order_messages_are_told_apart() -> None:
    assert_told(
        Fault(kind="lost", device="watch-01", at_s=5, duration_s=30, every=4),
        Fault(kind="duplicated", device="watch-01", every=5),
        Fault(kind="reordered", device="patch-01", every=3, delay_s=9),
    )


def test_a_burst_that_holds_a_message_twice_tells_of_both() -> None:
    stream = sent(
        Fault(kind="duplicated", device="patch-01", every=4, delay_s=3),
        Fault(kind="held", device="patch-01", at_s=10, duration_s=8),
    )
    found = ledgers(stream)
    assert found["patch-01"].redelivered == 3
    assert found == {d: t for d, t in told(stream).items() if t.received}


def test_a_message_twice_in_a_burst_deeper_than_the_ring_is_told_too() -> None:
    """As the property below once found it: the copy of the oldest comes after 24 newer ones."""
    assert_told(
        Fault(kind="held", device="watch-01", duration_s=25),
        Fault(kind="duplicated", device="watch-01", duration_s=2, delay_s=1),
    )


def test_a_burst_after_offline_and_a_silent_device_lose_nothing() -> None:
    stream = sent(
        Fault(kind="held", device="watch-01", at_s=10, duration_s=20),
        Fault(kind="silent", device="patch-01", at_s=10, duration_s=20),
    )
    found = ledgers(stream)
    assert found == {d: t for d, t in told(stream).items() if t.received}
    assert not any(each.missing for each in found.values())


def test_what_a_silent_device_would_have_sent_twice_is_one_number_less() -> None:
    assert_told(
        Fault(kind="duplicated", device="watch-01", duration_s=2),
        Fault(kind="silent", device="watch-01", duration_s=2),
    )


def test_wrong_units_names_and_times_are_refused_and_their_numbers_are_no_gaps() -> None:
    stream = sent(
        Fault(kind="unit", device="watch-01", every=6),
        Fault(kind="seconds", device="watch-01", at_s=20, duration_s=10, every=2),
        Fault(kind="offset", device="watch-01", at_s=40, duration_s=10),
        Fault(kind="artefact", device="patch-01", at_s=10, duration_s=20, factor=40),
    )
    found = ledgers(stream)
    assert found == {d: t for d, t in told(stream).items() if t.received}
    assert not any(each.missing for each in found.values())
    reasons = {reason for each in found.values() for reason in each.refused}
    assert reasons == {"unit_unknown", "ancient", "future", "value_out_of_range"}


def test_a_payload_that_names_another_device_is_refused_and_missing_from_its_own() -> None:
    assert_told(Fault(kind="identity", device="watch-01", at_s=10, duration_s=10))


def test_a_thief_whom_nobody_stops_is_in_its_own_ledger_and_refused_in_its_victims() -> None:
    assert_told(
        Fault(kind="stolen", device="watch-01", at_s=10, duration_s=10, every=2),
        Fault(kind="duplicated", device="watch-01", every=3),
    )


def test_a_reboot_without_mark_is_a_new_count() -> None:
    stream = sent(Fault(kind="reboot", device="watch-01", at_s=30, duration_s=20))
    assert ledgers(stream)["watch-01"].restarts == 1
    assert_told(Fault(kind="reboot", device="watch-01", at_s=30, duration_s=20))


KINDS = sorted({*get_args(FaultKind)} - {"reboot", "stolen", "connecting"})
FAULTS = st.builds(
    Fault,
    kind=st.sampled_from(KINDS),
    device=st.sampled_from(["watch-01", "patch-01", None]),
    at_s=st.integers(0, 50).map(float),
    duration_s=st.integers(1, 30).map(float),
    every=st.integers(1, 4),
    delay_s=st.integers(1, 12).map(float),
    factor=st.sampled_from([0.1, 1.2, 40.0]),
)


@settings(max_examples=12, deadline=None)
@given(st.lists(FAULTS, max_size=4))
def test_whatever_the_script_the_ledger_says_what_it_did(faults: list[Fault]) -> None:
    assert_told(*faults)
