"""What the worker reports of devices, folded: the newest word holds, and one cause is one event."""

from __future__ import annotations

import msgspec

from tests.support.intake_line import IntakeLine
from tests.support.twins import T0
from twin.care.told import Told, by_device, grouped, without_ingest
from twin.device_report import DeviceReports, SystemEvent


def told(line: IntakeLine) -> Told:
    fold = Told()
    for output in line.outputs:
        if isinstance(output, DeviceReports | SystemEvent):
            fold.fold(output)
    return fold


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


WARD = {"gw/a": "p1", "gw/b": "p2", "gw/c": "p3", "watch": "p1"}


def test_one_dead_gateway_is_one_event_with_a_count() -> None:
    groups = grouped(told(silent_ward(WARD)).facts())
    said = sorted((g.cause, g.gateway, g.count) for g in groups)
    assert said == [("gateway", "gw", 3), ("late", "", 1)]


def test_numbers_of_all_devices_are_summed() -> None:
    line = IntakeLine()
    line.tick()
    for number in (0, 1, 1, 4):
        for device, patient in WARD.items():
            line.send(1.0 + number, device=device, patient=patient, number=number)
        line.tick()
    line.run(6)
    summed = told(line).numbers()
    assert summed == {"missing": 0, "open": 8, "redelivered": 4, "restarts": 0}
    line.run(70)
    summed = told(line).numbers()
    assert summed == {"missing": 8, "open": 0, "redelivered": 4, "restarts": 0}


def test_a_gateway_of_which_one_device_still_speaks_is_not_dead() -> None:
    line = silent_ward(WARD)
    line.send(device="gw/b", patient="p2")
    line.tick()
    groups = grouped(told(line).facts())
    assert sorted((g.cause, g.gateway, g.count) for g in groups) == [("late", "", 1)] * 3


def test_without_a_broker_all_devices_are_one_event() -> None:
    (group,) = grouped(told(silent_ward(WARD, broker=False)).facts())
    assert (group.cause, group.count) == ("broker", 4)


def test_without_ingest_all_that_were_heard_are_one_event() -> None:
    line = silent_ward(WARD | {"other": "p4"})
    for device in ("other", "watch"):
        line.send(device=device, patient=(WARD | {"other": "p4"})[device])
    line.tick()
    groups = grouped(without_ingest(told(line).facts(), T0))
    said = sorted((g.cause, g.gateway, g.count) for g in groups)
    assert said == [("gateway", "gw", 3), ("ingest", "", 2)]


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
