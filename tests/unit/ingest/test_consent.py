"""What has no basis, or is not allowed, is counted and never kept; the rest goes on."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ingest.consent import Basis
from ingest.decide import Decision, decide, replay_quarantined
from ingest.frames import Delivery
from ingest.instant import HOUR, MILLISECOND, MINUTE, parse_instant
from ingest.journal.sqlite import SqliteJournal
from ingest.payload.decoded import Reason
from ingest.quarantine import Quarantine, RefusedMessage
from ingest.registry import Registry, RegistryRefused
from ingest.registry_devices import consent, withdraw
from ingest.settings import DeviceSettings, IngestSettings, QuarantineSettings

START = parse_instant("2026-11-25T12:00:00Z")
SETTINGS = IngestSettings()


class Clock:
    """The registry's clock, set by the test."""

    now = START

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=[False, True], ids=["optional", "required"])
def registry(tmp_path: Path, clock: Clock, request: pytest.FixtureRequest) -> Iterator[Registry]:
    settings = DeviceSettings(require_basis=request.param)
    made = Registry(tmp_path / "registry.db", settings, clock)
    made.add_patient(patient="p-1")
    made.bind("watch-7", "p-1")
    yield made
    made.close()


def decided(
    registry: Registry,
    stamp: int,
    values: dict[str, object],
    device: str = "watch-7",
    **more: object,
) -> Decision:
    payload = json.dumps({"time": stamp // MILLISECOND, "values": values, **more}).encode()
    message = Delivery(f"twin/v1/{device}/telemetry", payload, registry.now(), 1, 1)
    return decide([message], registry, SETTINGS)[0]


def reasons(decision: Decision) -> Sequence[Reason]:
    return [each.reason for each in decision.rejections]


def test_without_any_basis_it_depends_on_whether_one_is_required(registry: Registry) -> None:
    decision = decided(registry, START, {"heart_rate": 72})
    required = registry.settings.require_basis
    assert reasons(decision) == ([Reason.NO_BASIS] if required else [])
    assert len(decision.observations) == (0 if required else 1)
    assert decision.kept is not required


def test_a_basis_must_hold_at_the_stamp_and_now(registry: Registry, clock: Clock) -> None:
    consent(registry, Basis("p-1", "consent", frozenset(), START - HOUR, START + HOUR))
    assert reasons(decided(registry, START, {"heart_rate": 72})) == []
    assert reasons(decided(registry, START - 2 * HOUR, {"heart_rate": 72})) == [Reason.NO_BASIS]
    clock.now = START + 2 * HOUR
    assert reasons(decided(registry, START, {"heart_rate": 72})) == [Reason.NO_BASIS]


def test_after_a_withdrawal_nothing_is_kept_until_a_new_consent(
    registry: Registry, clock: Clock
) -> None:
    consent(registry, Basis("p-1", "care"))
    clock.now += MINUTE
    assert withdraw(registry, "p-1") == [Basis("p-1", "care")]
    assert withdraw(registry, "p-1") == []
    for stamp in (START, clock.now, clock.now + MINUTE):
        assert reasons(decided(registry, stamp, {"heart_rate": 72})) == [Reason.NO_BASIS]
    consent(registry, Basis("p-1", "consent", start=clock.now))
    assert reasons(decided(registry, clock.now, {"heart_rate": 72})) == []


def test_a_withdrawal_holds_where_nobody_ever_asked_for_a_basis(registry: Registry) -> None:
    withdraw(registry, "p-1")
    assert reasons(decided(registry, START, {"heart_rate": 72})) == [Reason.NO_BASIS]


def test_a_signal_off_the_list_is_counted_and_its_neighbours_are_kept(registry: Registry) -> None:
    consent(registry, Basis("p-1", "consent", frozenset({"heart_rate"})))
    consent(registry, Basis("p-1", "research", frozenset({"activity"}), end=START - HOUR))
    decision = decided(registry, START, {"heart_rate": 72, "spo2": 97, "activity": 1})
    assert [o.signal for o in decision.observations] == ["heart_rate"]
    assert [(r.reason, r.signal, r.got) for r in decision.rejections] == [
        (Reason.NOT_ALLOWED, "spo2", ""),
        (Reason.NOT_ALLOWED, "activity", ""),
    ]
    assert not decision.kept


@pytest.mark.parametrize(
    ("values", "more", "kept"),
    [
        ({"heart_rate": 720}, {}, True),
        ({"heart_rate": 720, "spo2": 970}, {}, False),  # spo2 is not allowed
        ({"heart_rate": 720}, {"gps": "48.1"}, False),
        ({"heart_rate": 720, "gps": 48.1}, {}, False),
    ],
)
def test_a_refused_payload_is_kept_only_if_all_of_it_is_allowed(
    registry: Registry, values: dict[str, object], more: dict[str, object], kept: bool
) -> None:
    consent(registry, Basis("p-1", "consent", frozenset({"heart_rate"})))
    decision = decided(registry, START, values, **more)
    assert decision.kept is kept
    assert kept or all(each.got == "" for each in decision.rejections)


@pytest.mark.parametrize(
    ("form", "payload"),
    [
        ("telemetry", '{"time": 1795600000000, "values": {"Jane Doe": 1}}'),
        ("telemetry", '{"time": 1795600000000, "values": {"Jane Doe": [1]}}'),
        ("telemetry", '{"time": 1795600000000, "values": {}, "units": {"Jane Doe": 1}}'),
        ("telemetry", '{"values": {"Jane Doe": 1, "Jane Doe": 2}, "time": 1795600000000}'),
        ("senml", '[{"n": "heart_rate", "v": 60, "t": 1795600000, "Jane Doe_": 1}]'),
        ("fhir", '{"resourceType": "Observation", "Jane Doe": 1, "Jane Doe": 2}'),
    ],
)
def test_no_name_of_a_payload_that_may_not_be_kept_is_told(
    registry: Registry, form: str, payload: str
) -> None:
    withdraw(registry, "p-1")
    (binding, *_) = registry.bindings()
    topic = f"twin/v1/{binding.device}/{form}"
    message = Delivery(topic, payload.encode(), registry.now(), 1, 1)
    (decision,) = decide([message], registry, SETTINGS)
    assert not decision.kept or not decision.rejections
    assert "Jane Doe" not in repr(decision.rejections)


def test_what_cannot_be_a_basis_is_refused(registry: Registry) -> None:
    for basis, why in (
        (Basis("p-9", "consent"), "p-9: is not a registered patient"),
        (Basis("p-1", "habit"), "habit: is no basis"),
        (Basis("p-1", "consent", frozenset({"gps"})), "gps: is no signal"),
        (Basis("p-1", "consent", start=START, end=START), "ends before it begins"),
    ):
        with pytest.raises(RegistryRefused, match=why):
            consent(registry, basis)
    with pytest.raises(RegistryRefused):
        withdraw(registry, "p-9")


def test_consents_are_told_to_the_record(registry: Registry) -> None:
    consent(registry, Basis("p-1", "consent", frozenset({"spo2"}), START), "anna")
    withdraw(registry, "p-1", "anna")
    commands = [c for _, c in registry.take_outbox() if c.kind == "consent"]
    assert [(c.actor, c.patient) for c in commands] == [("anna", "p-1")] * 2
    allowed = {"basis": "consent", "signals": ["spo2"], "from": START, "to": None}
    assert [c.body["bases"] for c in commands] == [[allowed], []]


def test_what_waits_in_quarantine_is_dropped_where_its_patient_gave_no_basis(
    tmp_path: Path, clock: Clock
) -> None:
    registry = Registry(tmp_path / "r.db", DeviceSettings(require_basis=True), clock)
    quarantine = Quarantine(tmp_path / "q.db", QuarantineSettings())
    journal = SqliteJournal(tmp_path / "journal", reserve_bytes=1 << 20)
    decision = decided(registry, START, {"heart_rate": 61.5}, "new")
    assert reasons(decision) == [Reason.DEVICE_UNKNOWN]
    payload = b'{"time":%d,"values":{"heart_rate":61.5}}' % (START // MILLISECOND)
    quarantine.put(
        [RefusedMessage("twin/v1/new/telemetry", payload, START, "new", decision.rejections)], START
    )
    registry.add_patient(patient="p-2")
    registry.bind("new", "p-2")
    (message,) = replay_quarantined(quarantine, registry, journal, SETTINGS).messages
    assert (message.outcome, message.reasons) == ("dropped", ("no_basis",))
    assert quarantine.items(10) == []
    assert quarantine.by_device() == {"new": {"no_basis": 1}}
    journal.close()
    quarantine.close()
    registry.close()
