"""The short way decides what the long way decides: same rows, same order, same records."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.batch import RECORD_ROWS, RecordBuilder, batch_of_rows, row_of, rows_by_patient
from ingest.consent import Basis
from ingest.decide import Decider, append, decide
from ingest.device_model import DeviceModel
from ingest.frames import Delivery
from ingest.instant import DAY, HOUR, MILLISECOND, MINUTE, format_instant, parse_instant
from ingest.judge import read
from ingest.observation import (
    KIND_BATCH,
    DeviceId,
    Observation,
    ObservationBatch,
    PatientId,
    SignalCode,
    batch_of,
    decode_record,
    unseal,
)
from ingest.payload.fields import MAX_STAMP, stamp_of_text
from ingest.payload.native import decode, decode_plain
from ingest.payload.native_bulk import decode_bulk
from ingest.plain import PlainPath
from ingest.registry import Registry
from ingest.registry_devices import add_device, consent, declare_models, withdraw
from ingest.settings import DeviceSettings, IngestSettings
from tests.support.payloads import mutated

NOW = 1_795_600_000_000_000_000
SETTINGS = IngestSettings(devices=DeviceSettings(gateways=frozenset({"hub"})))
TOPICS = [
    *(f"twin/v1/watch-{n}/telemetry" for n in range(4)),  # of three patients, for ever
    "twin/v1/hub/ring/telemetry",
    "twin/v1/other/ring/telemetry",  # of no declared gateway
    "twin/v1/moved/telemetry",  # from one patient to another, at NOW
    "twin/v1/stranger/telemetry",
    "twin/v1/limited/telemetry",  # one signal, for a time
    "twin/v1/withdrawn/telemetry",
    "twin/v1/modelled/telemetry",  # of a declared noise
    "twin/v1/watch-0/status",
    "nonsense",
]


class MemoryJournal:
    """Keeps what is appended."""

    partitions = 4

    def __init__(self) -> None:
        self.records: list[tuple[int, bytes]] = []

    def append(self, _topic: str, records: list[tuple[int, bytes]]) -> None:
        self.records += records


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    path: Path = tmp_path_factory.mktemp("registry") / "registry.db"
    made = Registry(path, SETTINGS.devices, lambda: NOW)
    for patient in ("a", "b", "c"):
        made.add_patient(patient=patient)
    for n, patient in enumerate(("a", "b", "c", "a")):
        made.bind(f"watch-{n}", patient)
    made.bind("hub/ring", "b")
    made.bind("moved", "a", None, NOW)
    made.bind("moved", "c", NOW)
    for device in ("limited", "withdrawn"):
        made.add_patient(patient=device)
        made.bind(device, device)
    allowed = frozenset({"heart_rate"})
    consent(made, Basis("limited", "consent", allowed, NOW - HOUR // 2, NOW + MINUTE))
    withdraw(made, "withdrawn")
    declare_models(made, [DeviceModel(name="band", noise_std={"spo2": 2.5})], "test")
    add_device(made, "modelled", "band")
    made.bind("modelled", "b")
    yield made
    made.close()


stamps = st.sampled_from(
    [0, 1, -1, 3_600_000, -3_600_000, 301_000, 299_000, -400 * 86_400_000, -401 * 86_400_000]
).map(lambda ms: NOW // MILLISECOND + ms)
times = st.one_of(
    stamps,
    stamps.map(lambda ms: format_instant(ms * MILLISECOND)),
    st.sampled_from(["2026-11-25", "soon", None, 2**70, -1, True, 1.5]),
)
numbers = st.one_of(st.integers(55, 99), st.floats(50, 110), st.sampled_from([None, "72", 1e9, -3]))
signals = st.sampled_from(["heart_rate", "spo2", "glucose", "moonlight", "é"])
extras = st.fixed_dictionaries(
    {},
    optional={
        "sequence": st.sampled_from([0, 17, -1, "x", 2**63, None]),
        "boot": st.sampled_from(["a7", 3, 2.5, [], None]),
        "battery": st.sampled_from([0.5, 1, 2, None]),
        "contact": st.sampled_from([True, False, 1, None]),
        "device": st.sampled_from(["watch-0", "ring", 5]),
        "units": st.dictionaries(signals, st.sampled_from(["mmol/L", "%", "furlong"]), max_size=2),
        "quality": st.dictionaries(signals, st.sampled_from([0.5, 2, [1, 0]]), max_size=2),
        "colour": st.just("red"),
    },
)
single = st.fixed_dictionaries(
    {"time": times, "values": st.dictionaries(signals, numbers, max_size=3)}
)
columns = st.fixed_dictionaries(
    {
        "times": st.lists(times, max_size=3),
        "values": st.dictionaries(signals, st.lists(numbers, max_size=3), max_size=2),
    }
)
objects = st.tuples(st.one_of(single, columns), extras).map(lambda two: two[0] | two[1])
plain_objects = st.fixed_dictionaries(
    {
        "time": stamps,
        "values": st.dictionaries(
            st.sampled_from(["heart_rate", "spo2"]), st.integers(55, 99), max_size=2
        ),
    },
    optional={"sequence": st.integers(0, 9), "boot": st.sampled_from(["a", 1])},
)
payloads = st.one_of(
    st.one_of(plain_objects, objects).map(lambda each: json.dumps(each).encode()),
    st.sampled_from([b"", b"{", b"online", b"\xff", b'{"time":1,"time":2,"values":{}}']),
)
messages = st.lists(st.tuples(st.sampled_from(TOPICS), payloads), max_size=12)


@settings(
    deadline=None,
    max_examples=300,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(messages)
def test_both_ways_make_the_same_records_and_refuse_the_same(
    registry: Registry, sent: list[tuple[str, bytes]]
) -> None:
    group = [Delivery(topic, payload, NOW, 1, 1) for topic, payload in sent]
    long, short = MemoryJournal(), Decider(registry, SETTINGS, MemoryJournal.partitions)
    decisions = decide(group, registry, SETTINGS)
    accepted = append(decisions, long)  # type: ignore[arg-type]
    decided = short.decide(group)
    assert sorted(batches(decided.records)) == sorted(long.records)
    assert decided.accepted == accepted
    explained = iter(decided.explained)
    for message, decision, samples in zip(group, decisions, decided.samples, strict=True):
        if samples < 0:
            assert next(explained) == (message, decision)
        else:
            assert samples == len(decision.observations)
            assert not decision.rejections
            assert decision.reading.telemetry
            assert decision.reading.surplus == 0


def batches(records: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    return [each for each in records if unseal(each[1])[0] == KIND_BATCH]


def test_a_large_group_of_lists_and_single_values_makes_the_same_records(
    registry: Registry,
) -> None:
    group = []
    for n in range(300):
        times = [NOW // MILLISECOND + 10 * n + k for k in range(n % 7 + 1)]
        values = {"heart_rate": [60 + k for k in range(len(times))], "spo2": [97.5] * len(times)}
        values["spo2"][0] = None
        wide = {"times": times, "values": values, "sequence": n}
        payload = wide if n % 3 else {"time": times[0], "values": {"heart_rate": 70 + n % 9}}
        group.append(message(payload, TOPICS[n % 5]))
    group.append(
        message({"times": [ms + k for k in range(2_000)], "values": {"spo2": [97] * 2_000}})
    )
    long = MemoryJournal()
    accepted = append(decide(group, registry, SETTINGS), long)  # type: ignore[arg-type]
    decided = Decider(registry, SETTINGS, MemoryJournal.partitions).decide(group)
    assert -1 not in decided.samples
    assert decided.accepted == accepted > 3_000
    assert sorted(decided.records) == sorted(long.records)


def message(payload: object, topic: str = TOPICS[0]) -> Delivery:
    return Delivery(topic, json.dumps(payload).encode(), NOW, 1, 1)


ms = NOW // MILLISECOND
PLAIN = [
    {"time": ms, "values": {"heart_rate": 72}},
    {"time": "2026-11-25T08:00:00Z", "values": {"heart_rate": 72, "spo2": 97.5}},
    {"time": ms, "values": {"spo2": 97}, "sequence": 3, "boot": "a", "battery": 0.5},
    {"times": [ms, ms + 1], "values": {"heart_rate": [72, None], "spo2": [97, 98]}},
]


@pytest.mark.parametrize("payload", PLAIN)
def test_usual_messages_take_the_short_way(registry: Registry, payload: object) -> None:
    path = PlainPath(registry, SETTINGS, 4)
    (found,) = path.read([message(payload)])
    assert found is not None
    assert found[0].patient == "a"
    assert found[2] > 0


def test_the_short_way_sees_a_new_binding_after_the_registry_is_refreshed(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry.db", SETTINGS.devices, lambda: NOW)
    path = PlainPath(registry, SETTINGS, 4)
    assert path.read([message(PLAIN[0])]) == [None]
    registry.add_patient(patient="a")
    registry.bind("watch-0", "a")
    (found,) = path.read([message(PLAIN[0])])
    assert found is not None
    registry.unbind("watch-0", NOW)
    assert path.read([message(PLAIN[0])]) == [None]
    registry.close()


def test_limits_of_the_configuration_hold_on_the_short_way(registry: Registry) -> None:
    early = message({"time": ms - 2 * DAY // MILLISECOND, "values": {"spo2": 97}})
    screen = replace(SETTINGS.screen, ancient_ns=DAY)
    for changed in (replace(SETTINGS, screen=screen), replace(SETTINGS, payload_max_bytes=10)):
        assert PlainPath(registry, changed, 4).read([early]) == [None]
        assert read(early.topic, early.payload, NOW, changed).rejections


@settings(deadline=None, max_examples=300)
@given(payloads)
def test_a_plain_message_decodes_to_the_same_samples(payload: bytes) -> None:
    plain = decode_plain(payload)
    if plain is None:
        return
    stamps, values, sequence, boot, said = plain
    decoded = decode(payload)
    assert said == (decoded.battery, decoded.contact)
    assert (decoded.sequence, decoded.boot, decoded.surplus) == (sequence, boot, 0)
    if isinstance(stamps, int) and abs(stamps) < 2**63:
        said = [(signal, value, stamps) for signal, value in values.items() if value is not None]
        assert [(s.signal, s.value, s.stamp) for s in decoded.samples] == said


@settings(deadline=None, max_examples=300)
@given(st.lists(payloads, max_size=8), st.integers(0, 2**64 - 1))
def test_many_messages_at_once_decode_to_the_same_samples(group: list[bytes], seed: int) -> None:
    chance = Random(seed)
    group += [mutated("native", chance) for _ in range(8)]
    singles, wide = decode_bulk(group)
    assert len(singles) == len(group)
    for payload, single in zip(group, singles, strict=True):
        if single is None or not all(isinstance(v, float) for v in single[1].values()):
            continue  # not plain, or the caller's to refuse
        stamp, values, *said = single
        if abs(stamp) > MAX_STAMP:
            continue
        decoded = decode(payload)
        assert not decoded.rejections
        assert [(s.signal, s.value, s.stamp) for s in decoded.samples] == [
            (signal, value, stamp) for signal, value in values.items()
        ]
        assert said == [decoded.sequence, decoded.boot, (decoded.battery, decoded.contact)]
    for each in wide:
        assert singles[each.place] is None
        decoded = decode(group[each.place])
        assert not decoded.rejections
        samples = [
            (signal, value, stamp)
            for signal, stamps, values, _, _ in each.columns
            for stamp, value in zip(stamps.tolist(), values.tolist(), strict=True)
        ]
        assert [(s.signal, s.value, s.stamp) for s in decoded.samples] == samples
        assert all((low, high) == (min(v), max(v)) for _, _, v, low, high in each.columns)
        assert (each.oldest, each.newest) == bounds(json.loads(group[each.place])["times"])
        assert each[4:] == (decoded.sequence, decoded.boot, (decoded.battery, decoded.contact))


def bounds(times: list[int | str]) -> tuple[int, int]:
    stamps = [
        stamp_of_text(each) if isinstance(each, str) else each * MILLISECOND for each in times
    ]
    return min(stamps), max(stamps)


@settings(deadline=None, max_examples=200)
@given(
    st.integers(-11_000_000_000, 10_000_000_000).map(
        lambda s: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=s)
    ),
    st.sampled_from(["%Y-%m-%dT%H:%M:%S", "%Y%m%dT%H%M%S", "%Y-%m-%d %H:%M:%S"]),
    st.sampled_from(["", ".1", ".123", ".123456", ".123456789"]),
    st.sampled_from(["Z", "z", "+01:00"]),
)
def test_a_minute_that_was_read_before_is_read_as_the_first_time(
    at: datetime, form: str, fraction: str, zone: str
) -> None:
    text = at.strftime(form) + fraction + zone
    answers = []
    for _ in range(2):
        for read_it in (stamp_of_text, parse_instant):
            try:
                answers.append(read_it(text))
            except ValueError:
                answers.append(None)
    assert answers[0] == answers[2]
    if answers[0] is not None:
        assert answers[0] == answers[1]
    else:
        assert answers[1] is None or abs(answers[1]) > MAX_STAMP


@pytest.mark.parametrize("huge", [2**63, 2**64, 2**70, 10**30, -(2**70)])
def test_a_stamp_beyond_all_bounds_takes_no_other_message_with_it(huge: int) -> None:
    group = [
        json.dumps({"times": [each], "values": {"spo2": [97]}}).encode() for each in (ms, huge)
    ]
    singles, wide = decode_bulk(group)
    assert singles == [None, None]
    assert [each.place for each in wide] == [0]


observations = st.lists(
    st.builds(
        Observation,
        st.sampled_from(["a", "b", "c"]).map(PatientId),
        st.sampled_from(["d", "e"]).map(DeviceId),
        st.sampled_from(["heart_rate", "spo2"]).map(SignalCode),
        st.floats(0, 9),
        st.integers(0, 9),
        st.integers(0, 9),
        st.integers(0, 9),
    ),
    max_size=12,
)


@given(observations)
def test_a_batch_of_rows_is_the_batch_of_its_observations(made: list[Observation]) -> None:
    assert batch_of_rows(rows_by_patient(made)) == batch_of(made)


@pytest.mark.parametrize("sizes", [[1], [RECORD_ROWS], [RECORD_ROWS - 1, 3], [3 * RECORD_ROWS + 2]])
def test_a_record_holds_no_more_than_so_many_rows_and_none_is_lost(sizes: list[int]) -> None:
    builder = RecordBuilder()
    row = row_of(
        Observation(PatientId("a"), DeviceId("d"), SignalCode("spo2"), 97.0, NOW, NOW, NOW)
    )
    count = 0
    for size in sizes:
        rows = [(*row[:7], count + i, *row[8:]) for i in range(size)]
        builder.add(2, "a", rows, size)
        count += size
    records = builder.take()
    assert builder.take() == []
    assert {partition for partition, _ in records} == {2}
    stamps: list[int] = []
    for _, record in records:
        batch = decode_record(record)
        assert isinstance(batch, ObservationBatch)
        assert 0 < len(batch.table()) <= RECORD_ROWS
        stamps += batch.table()["device_stamp"].tolist()
    assert stamps == list(range(count))
