"""The stream of messages of a simulated fleet."""

from itertools import takewhile

from ingest.fleet.message import Message
from ingest.fleet.settings import Episode, Faults, FleetSettings, Rates
from ingest.fleet.simulation import bindings, messages
from ingest.instant import SECOND
from ingest.payload.native import decode
from ingest.topic import parse_topic

START = 1_764_057_600 * SECOND
SOUND = Faults(
    artefacts_per_hour=0, body_off_per_day=0, offline_per_day=0, reboots_per_day=0, duplicated=0
)


def sent(settings: FleetSettings, seconds: int) -> list[Message]:
    return list(takewhile(lambda message: message.at < seconds * SECOND, messages(settings)))


def one_patient(*episodes: Episode, faults: Faults = SOUND) -> FleetSettings:
    return FleetSettings(patients=1, faults=faults, episodes=episodes)


def test_same_settings_give_the_same_messages_relative_to_any_start() -> None:
    first, again = sent(FleetSettings(patients=3), 120), sent(FleetSettings(patients=3), 120)
    assert first == again
    assert [m.payload(START) for m in first] == [m.payload(START) for m in again]
    assert first != sent(FleetSettings(patients=3, seed=2), 120)


def test_messages_come_in_sending_order_and_are_never_stamped_after_it() -> None:
    stream = sent(FleetSettings(patients=6), 600)
    assert [m.at for m in stream] == sorted(m.at for m in stream)
    assert all(max(m.times) <= m.at for m in stream)


def test_every_payload_is_a_native_message_without_a_rejection() -> None:
    for message in sent(FleetSettings(patients=6), 300):
        decoded = decode(message.payload(START))
        assert not decoded.rejections
        values = sum(v is not None for column in message.values.values() for v in column)
        assert len(decoded.samples) == values


def test_all_devices_are_bound_and_have_topics_of_their_own() -> None:
    settings = FleetSettings(patients=6, prefix="ward-b.")
    bound = bindings(settings)
    assert len({device for device, _, _ in bound}) == len(bound)
    assert {(patient, label) for _, patient, label in bound} == {
        (i, f"Bed {i + 1}") for i in range(6)
    }
    addresses = {parse_topic(message.topic) for message in sent(settings, 120)}
    assert {a.device for a in addresses if a is not None} == {device for device, _, _ in bound}


def test_every_signal_shows_within_a_minute() -> None:
    shown = {signal for message in sent(FleetSettings(patients=3), 60) for signal in message.values}
    assert shown == {
        "heart_rate", "step_count", "activity", "hrv_rmssd", "respiratory_rate", "spo2",
        "skin_temperature", "glucose", "systolic_bp", "diastolic_bp", "mean_bp",
        "body_temperature",
    }  # fmt: skip


def test_rates_are_those_of_the_settings() -> None:
    settings = FleetSettings(patients=1, faults=SOUND, rates=Rates(watch_s=0.5, patch_s=4))
    count = [message.device for message in sent(settings, 101)].count
    assert 199 <= count("watch-01") <= 203
    assert 24 <= count("patch-01") <= 26


def test_offline_device_is_silent_and_then_sends_all_of_it_in_bursts() -> None:
    away = Episode(kind="offline", patient=1, device="watch", at_s=30, duration_s=150)
    watch = [m for m in sent(one_patient(away), 200) if m.device == "watch-01"]
    assert not [m for m in watch if 31 * SECOND < m.at < 180 * SECOND]
    bursts = [m for m in watch if len(m.times) > 1]
    assert 1 < len(bursts) < 5
    assert bursts[0].at >= 180 * SECOND
    stamps = [time for m in watch for time in m.times]
    assert len(stamps) == len(set(stamps))
    assert len(stamps) >= 198
    undisturbed = [m for m in sent(one_patient(), 200) if m.device == "watch-01"]
    assert stamps[:190] == [time for m in undisturbed for time in m.times][:190]


def test_device_that_is_taken_off_says_so_and_is_silent() -> None:
    off = Episode(kind="body_off", patient=1, device="patch", at_s=20, duration_s=60)
    patch = [m for m in sent(one_patient(off), 120) if m.device == "patch-01"]
    told = [(m.at // SECOND, m.contact) for m in patch if not m.values]
    assert told == [(20, False), (80, True)]
    assert not [m for m in patch if m.values and 21 * SECOND < m.at < 80 * SECOND]


def test_artefact_has_wrong_values_and_low_quality() -> None:
    burst = Episode(kind="artefact", patient=1, device="watch", at_s=30, duration_s=30)
    watch = [m for m in sent(one_patient(burst), 90) if m.device == "watch-01"]
    bad = [m for m in watch if (m.quality["heart_rate"][0] or 0) < 0.4]
    assert 28 <= len(bad) <= 31
    assert all(30 * SECOND <= m.at < 61 * SECOND for m in bad)


def test_numbers_count_up_and_a_reboot_begins_anew() -> None:
    faults = Faults(reboots_per_day=400, body_off_per_day=0, offline_per_day=0, duplicated=0)
    settings = FleetSettings(patients=1, faults=faults, episodes=())
    watch = [m for m in sent(settings, 1_200) if m.device == "watch-01"]
    boots = sorted({m.boot for m in watch if m.boot is not None})
    assert len(boots) > 1
    for boot in boots:
        numbers = [m.sequence for m in watch if m.boot == boot]
        assert numbers == list(range(1, len(numbers) + 1))


def test_lost_messages_leave_gaps_and_duplicates_are_identical() -> None:
    lossy = FleetSettings(patients=1, episodes=(), faults=Faults(lost=0.2, reboots_per_day=0))
    numbers = [m.sequence or 0 for m in sent(lossy, 300) if m.device == "watch-01"]
    assert 0.65 < len(set(numbers)) / max(numbers) < 0.95
    doubling = FleetSettings(patients=1, episodes=(), faults=Faults(duplicated=1.0))
    watch = [m for m in sent(doubling, 60) if m.device == "watch-01"]
    assert all(a == b for a, b in zip(watch[::2], watch[1::2], strict=True))


def test_clock_ahead_is_a_fault_that_is_asked_for() -> None:
    faults = Faults(clock_ahead=1.0, clock_behind_s=30.0)
    stream = sent(FleetSettings(patients=3, faults=faults), 60)
    assert any(max(m.times) > m.at for m in stream)


def test_fleet_of_nobody_says_nothing() -> None:
    assert sent(FleetSettings(patients=0), 10) == []
