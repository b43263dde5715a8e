"""Whose a device is at a stamp: bindings, and the time around a change of patient."""

from ingest.binding import Binding, in_order, patient_at
from ingest.instant import MINUTE, parse_instant
from ingest.observation import DeviceId, PatientId
from ingest.payload.decoded import Reason

NOW = parse_instant("2026-11-25T12:00:00Z")
WATCH = DeviceId("watch-7")
HOUR = 60 * MINUTE


def binding(patient: str, start: int | None, end: int | None) -> Binding:
    return Binding(WATCH, PatientId(patient), start, end)


def whose(stamp: int, *bindings: Binding) -> str:
    return patient_at(in_order(bindings), stamp, 10 * MINUTE)


def test_a_binding_holds_from_its_start_to_before_its_end() -> None:
    only = binding("p-1", NOW, NOW + HOUR)
    assert whose(NOW, only) == "p-1"
    assert whose(NOW + HOUR - 1, only) == "p-1"
    assert whose(NOW - 1, only) is Reason.DEVICE_UNBOUND
    assert whose(NOW + HOUR, only) is Reason.DEVICE_UNBOUND


def test_near_a_change_of_patient_nobody_guesses() -> None:
    change = (binding("p-1", None, NOW), binding("p-2", NOW, None))
    assert whose(NOW - 10 * MINUTE, *change) == "p-1"
    assert whose(NOW - 10 * MINUTE + 1, *change) is Reason.BINDING_AMBIGUOUS
    assert whose(NOW, *change) is Reason.BINDING_AMBIGUOUS
    assert whose(NOW + 10 * MINUTE - 1, *change) is Reason.BINDING_AMBIGUOUS
    assert whose(NOW + 10 * MINUTE, *change) == "p-2"


def test_a_pause_on_the_same_patient_is_no_change() -> None:
    pause = (binding("p-1", None, NOW), binding("p-1", NOW + HOUR, None))
    assert whose(NOW - 1, *pause) == "p-1"
    assert whose(NOW + MINUTE, *pause) is Reason.DEVICE_UNBOUND
    assert whose(NOW + HOUR, *pause) == "p-1"


def test_a_long_pause_between_two_patients_is_ambiguous_only_at_its_edges() -> None:
    pause = (binding("p-1", None, NOW), binding("p-2", NOW + HOUR, None))
    assert whose(NOW + MINUTE, *pause) is Reason.BINDING_AMBIGUOUS
    assert whose(NOW + 30 * MINUTE, *pause) is Reason.DEVICE_UNBOUND
    assert whose(NOW + HOUR + MINUTE, *pause) is Reason.BINDING_AMBIGUOUS
