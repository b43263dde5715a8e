"""What the worker reports of devices, folded: the newest word holds, and one cause is one event."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.instant import SECOND
from tests.support.intake_line import WARD, IntakeLine, silent_ward
from tests.support.twins import T0
from twin.care.facts import by_device, without_ingest
from twin.care.ledger import Account, accounts_of
from twin.care.told import Told
from twin.device_report import DeviceReports, SystemEvent
from twin.estimate import EstimateBatch, Output


def folded(outputs: Sequence[Output]) -> Told:
    fold = Told()
    for output in outputs:
        if isinstance(output, DeviceReports | EstimateBatch | SystemEvent):
            fold.fold(output)
    return fold


def told(line: IntakeLine) -> Told:
    return folded(line.outputs)


def test_one_dead_gateway_is_one_event_with_a_count() -> None:
    (group,) = told(silent_ward(WARD)).silences(None)
    assert (group.cause, group.gateway) == ("gateway", "gw")
    assert (group.devices, group.patients) == (3, 3)
    assert group.since == T0 + 71 * SECOND


def test_a_gateway_is_one_event_whose_devices_explain_themselves_and_who_changed_patients() -> None:
    line = IntakeLine()
    line.tick()
    line.declare("gw/new", "p4", kind="binding")
    line.send(device="gw/a", patient="p9")
    line.declare("gw/a", "p9", kind="binding", to=T0 + 2 * SECOND)
    for _ in range(10):
        for device, patient in WARD.items():
            line.send(device=device, patient=patient)
        line.tick()
    line.say("gw/c", "p3", contact=False)
    line.run(70)
    (group,) = told(line).silences(None)
    assert (group.cause, group.gateway, group.devices) == ("gateway", "gw", 2)


def test_a_gateway_that_the_broker_lost_is_an_event_with_one_device_and_ends_by_itself() -> None:
    line = IntakeLine()
    line.tick()
    line.send(device="gw/a")
    line.tick()
    line.say("gw", "", online=False)
    line.run(30)
    (group,) = told(line).silences(None)
    assert (group.cause, group.gateway, group.devices) == ("gateway", "gw", 1)
    line.say("gw", "", online=True)
    line.send(device="gw/a")
    line.tick()
    assert told(line).silences(None) == []


def test_numbers_of_all_devices_are_summed() -> None:
    line = IntakeLine()
    line.tick()
    for number in (0, 1, 1, 4):
        for device, patient in WARD.items():
            line.send(1.0 + number, device=device, patient=patient, number=number)
        line.tick()
    line.run(11)
    summed = told(line).totals().messages
    assert summed == {"missing": 0, "open": 8, "redelivered": 4, "restarts": 0}
    line.run(70)
    summed = told(line).totals().messages
    assert summed == {"missing": 8, "open": 0, "redelivered": 4, "restarts": 0}


def account(fold: Told, device: str = "watch") -> Account:
    return accounts_of(fold.facts())[device]


def test_a_device_s_account_is_exact_at_once_and_with_the_reasons_of_refusals() -> None:
    line = IntakeLine()
    line.tick()
    line.send(1.0, 2.0, 2.0)
    line.send(3.0, signal="moonlight")
    line.send(4.0, value=float("nan"))
    for fold in (told(line), Told.of(told(line).state())):
        seen = account(fold)
        assert (seen.accepted, seen.duplicate) == (2, 1)
        assert seen.refused == {"no_model": 1, "value_not_a_number": 1}
        assert fold.totals().refused == seen.refused
        assert by_device(fold.facts())["watch"].reported_at == 0


message = st.tuples(
    st.sampled_from(["watch", "ring"]),
    st.sampled_from(["p1", "p2"]),
    st.sampled_from(["heart_rate", "moonlight"]),
    st.lists(st.integers(0, 40).map(float), min_size=1, max_size=3),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(message | st.none(), max_size=20), st.floats(0, 1))
def test_whoever_reads_from_anywhere_has_the_worker_s_account_after_its_next_reports(
    events: list[tuple[str, str, str, list[float]] | None], begins: float
) -> None:
    line = IntakeLine()
    line.declare("ring", "p1", expected_interval_s={"heart_rate": 10.0})
    for event in events:
        if event is None:
            line.tick()
        else:
            device, patient, signal, stamps = event
            line.send(*stamps, device=device, patient=patient, signal=signal)
    before = len(line.outputs)
    for device, patient in product(("watch", "ring"), ("p1", "p2")):
        line.send(device=device, patient=patient)
    whole = accounts_of(told(line).facts())
    line.run(12)
    assert accounts_of(told(line).facts()) == whole
    assert accounts_of(folded(line.outputs[round(begins * before) :]).facts()) == whole


def test_a_device_that_says_nothing_is_told_again_after_an_hour() -> None:
    line = IntakeLine()
    line.tick()
    line.send()
    line.run(100)
    whole, before = accounts_of(told(line).facts()), len(line.outputs)
    for _ in range(1_205):
        line.tick(3)
    assert accounts_of(folded(line.outputs[before:]).facts()) == whole


def test_a_gateway_of_which_one_device_still_speaks_is_not_dead() -> None:
    line = silent_ward(WARD)
    line.send(device="gw/b", patient="p2")
    line.tick()
    assert told(line).silences(None) == []


def test_without_a_broker_all_devices_are_one_event() -> None:
    (group,) = told(silent_ward(WARD, broker=False)).silences(None)
    assert (group.cause, group.devices, group.patients) == ("broker", 4, 3)


def test_without_ingest_all_that_were_heard_are_one_event() -> None:
    line = silent_ward(WARD | {"other": "p4"})
    for device in ("other", "watch"):
        line.send(device=device, patient=(WARD | {"other": "p4"})[device])
    line.tick()
    groups = told(line).silences(T0)
    said = [(g.cause, g.gateway, g.devices) for g in groups]
    assert said == [("gateway", "gw", 3), ("ingest", "", 2)]
    assert groups[1].since == T0
    silent = {one.device: one.silence for one in without_ingest(told(line).facts(), T0)}
    assert silent["watch"] == silent["other"] == "ingest"


def test_a_device_that_went_to_another_patient_is_shown_as_on_the_newest() -> None:
    line = IntakeLine()
    line.tick()
    line.send(patient="p1")
    line.run(65)
    line.send(patient="p2")
    line.run(65)
    assert by_device(told(line).facts())["watch"].patient == "p2"


def test_what_is_saved_comes_back() -> None:
    fold = told(silent_ward(WARD, broker=False))
    again = Told.of(fold.state())
    assert again.facts() == fold.facts()
    assert list(again.events) == list(fold.events) != []


def test_what_another_build_saved_is_left_out() -> None:
    state = told(silent_ward(WARD)).state()
    assert Told.of(msgspec.structs.replace(state, layout="other")).facts() == []
