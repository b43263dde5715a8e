"""A group of messages as columns: what is decided on each alone, device by device in order."""

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import ingest.plain_group
from ingest.batch import RECORD_ROWS
from ingest.catalogue import CODES
from ingest.decide import Decider, append, decide
from ingest.frames import Delivery, FrameReader
from ingest.frames_kernel import publishes
from ingest.instant import DAY, MILLISECOND, format_instant
from ingest.observation import KIND_BATCH, ObservationBatch, decode_record, unseal
from ingest.payload.native import decode
from ingest.payload.native_kernel import read_singles
from ingest.plain_group import warm_up
from ingest.registry import Registry
from ingest.settings import IngestSettings
from tests.support.mqtt_bytes import publish
from tests.support.payloads import mutated
from tests.unit.ingest.test_plain import (
    NOW,
    SETTINGS,
    TOPICS,
    MemoryJournal,
    messages,
    objects,
    plain_objects,
    registry,
)

__all__ = ["registry"]  # a fixture

Rows = dict[tuple[int, str, str], list[tuple[object, ...]]]


@pytest.fixture(autouse=True)
def _always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest.plain_group, "WORTH_IT", 1)


def rows_of(records: list[tuple[int, bytes]]) -> Rows:
    """(partition, patient, device) → the rows in order; names instead of numbers."""
    found: Rows = {}
    for partition, record in records:
        if unseal(record)[0] != KIND_BATCH:
            continue
        batch = decode_record(record)
        assert isinstance(batch, ObservationBatch)
        table = batch.table()
        assert 0 < len(table) <= RECORD_ROWS
        offsets = np.frombuffer(batch.offsets, "<i4").tolist()
        assert list(batch.patients) == sorted(set(batch.patients))
        assert (offsets[0], offsets[-1]) == (0, len(table))
        for n, patient in enumerate(batch.patients):
            for row in table[offsets[n] : offsets[n + 1]]:
                assert row["patient"] == n
                said = [repr(row[name]) for name in row.dtype.names[3:]]  # NaN is like NaN
                key = (partition, patient, batch.devices[row["device"]])
                found.setdefault(key, []).append((batch.signals[row["signal"]], *said))
    return found


@settings(
    deadline=None,
    max_examples=400,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(messages)
def test_a_group_gives_each_device_the_rows_that_the_long_way_gives(
    registry: Registry, sent: list[tuple[str, bytes]]
) -> None:
    group = [Delivery(t, payload, NOW + n, 1, 1) for n, (t, payload) in enumerate(sent)]
    long = MemoryJournal()
    decisions = decide(group, registry, SETTINGS)
    accepted = append(decisions, long)  # type: ignore[arg-type]
    decider = Decider(registry, SETTINGS, MemoryJournal.partitions)
    decider._groups.read(group)  # `decide` would catch what it raises
    decided = decider.decide(group)
    assert rows_of(decided.records) == rows_of(long.records)
    assert decided.accepted == accepted
    explained = iter(decided.explained)
    for message, decision, samples in zip(group, decisions, decided.samples, strict=True):
        if samples < 0:
            assert next(explained) == (message, decision)
        else:
            assert samples == len(decision.observations)
            assert not decision.rejections


def message(topic: str, **said: object) -> Delivery:
    payload = {"time": NOW // MILLISECOND, "values": {"heart_rate": 72}} | said
    return Delivery(topic, json.dumps(payload).encode(), NOW, 1, 1)


def test_usual_messages_are_read_as_columns_and_what_is_not_takes_its_patient_along(
    registry: Registry,
) -> None:
    usual = [message(topic, sequence=n) for n, topic in enumerate(TOPICS[:4])]
    decider = Decider(registry, SETTINGS, 4)
    group = decider._groups.read(usual)
    assert group is not None
    assert (group.left, group.samples) == ([], [1, 1, 1, 1])
    group = decider._groups.read([*usual, message(TOPICS[0], battery=0.5)])
    assert group is not None
    assert group.left == [0, 3, 4]  # watch-0 and watch-3 are of one patient
    assert decider._groups.read([usual[0], usual[3], message(TOPICS[0], battery=0.5)]) is None


def test_many_rows_of_a_partition_are_several_records_and_none_is_lost(
    registry: Registry,
) -> None:
    sent = []
    for n in range(RECORD_ROWS + 300):
        values = {"heart_rate": 60 + n % 40, "spo2": 90 + n % 10}
        sent.append(message(TOPICS[n % 3], time=NOW // MILLISECOND - n, values=values, sequence=n))
    group, long = Decider(registry, SETTINGS, 4).decide(sent), MemoryJournal()
    append(decide(sent, registry, SETTINGS), long)  # type: ignore[arg-type]
    assert group.accepted == 2 * len(sent)
    assert rows_of(group.records) == rows_of(long.records)


def test_a_registry_that_changes_is_seen(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry.db", SETTINGS.devices, lambda: NOW)
    decider = Decider(registry, SETTINGS, 4)
    sent = [message(TOPICS[0])]
    assert decider._groups.read(sent) is None  # nobody is bound yet
    assert decider.decide(sent).accepted == 0
    registry.add_patient(patient="a")
    registry.bind("watch-0", "a")
    assert decider.decide(sent).accepted == 1
    registry.unbind("watch-0", NOW)
    assert decider.decide([message(TOPICS[0], time=format_instant(NOW))]).accepted == 0
    registry.close()


def read(payloads: list[bytes]) -> Iterator[tuple[int, int, list[tuple[str, float]]] | None]:
    """What the kernel makes of each: stamp, sequence, values."""
    n, text = len(payloads), b"".join(payloads)
    codes = "".join(CODES).encode()
    code_at = np.concatenate(([0], np.cumsum([len(code) for code in CODES])))
    count, stamp, sequence = (np.empty(n, np.int64) for _ in range(3))
    room = len(text) // 5 + 1
    of, signal, value = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room)
    samples = read_singles(
        np.frombuffer(text, np.uint8), np.cumsum([*map(len, payloads)]),
        np.frombuffer(codes, np.uint8), code_at, count, stamp, sequence, of, signal, value,
    )  # fmt: skip
    assert samples == count[count > 0].sum()
    for k in range(n):
        mine = np.flatnonzero(of[:samples] == k)
        said = [(CODES[signal[m]], float(value[m])) for m in mine]
        yield None if count[k] < 0 else (int(stamp[k]), int(sequence[k]), said)


digits = st.text("0123456789", min_size=1, max_size=17)
written = st.one_of(
    st.builds(
        "{}{}{}{}".format,
        st.sampled_from(["", "-", "+"]), digits, st.sampled_from([".", "", "e"]), digits,
    ),
    st.sampled_from(["0", "-0", "00", "01", "1.", ".5", "1e5", "NaN", "-", "0.000", "72", "99.95"]),
)  # fmt: skip
instants = st.one_of(
    st.integers(-11_000_000_000, 10_000_000_000).map(lambda s: format_instant(s * 1_000_000_000)),
    st.builds(
        "{}-{:02d}-{:02d}T{:02d}:{:02d}:{:02d}{}Z".format,
        st.integers(1890, 2210), st.integers(0, 13), st.integers(0, 32), st.integers(0, 25),
        st.integers(0, 61), st.integers(0, 61),
        st.sampled_from(["", ".5", ".123", ".123456", ".1234567", ".", ",5"]),
    ),
)  # fmt: skip
space = st.sampled_from(["", " ", "\t\r\n "])
texts = st.builds(
    '{0}{{{0}"{4}"{0}:{0}{1}{0},"values":{0}{{"{5}":{0}{2}{0}}}{0},"sequence":{3}}}{0}'.format,
    space,
    st.one_of(written, instants.map('"{}"'.format)),
    written,
    written,
    st.sampled_from(["time", "times", "sequence", "t\\u0069me"]),
    st.sampled_from(["heart_rate", "spo2", "heart_rat", "moonlight", "", "spo2\\n"]),
).map(str.encode)
payloads = st.one_of(
    texts,
    st.one_of(plain_objects, objects).map(lambda each: json.dumps(each).encode()),
    st.builds(lambda text, at: text[: at % (len(text) + 1)], texts, st.integers(0, 99)),
)


@settings(deadline=None, max_examples=600)
@given(st.lists(payloads, min_size=1, max_size=8), st.integers(0, 2**64 - 1))
@example(
    [b'{"time":1,"time":2,"values":{"spo2":97}}', b'{"time":1,"values":{"spo2":97,"spo2":98}}'], 0
)
@example([b'{"time":1,"values":{"spo2":97}},{"time":1,"values":{"spo2":97}}', b'{"time":1'], 1)
@example([b'"values":{"spo2":97}}', b'{"time":"2024-02-30T00:00:00Z","values":{"spo2":97}}'], 2)
def test_what_the_kernel_reads_is_what_the_decoder_reads(group: list[bytes], seed: int) -> None:
    chance = Random(seed)
    group = [*group, *(mutated("native", chance) for _ in range(8))]
    for payload, found in zip(group, read(group), strict=True):
        if found is None:
            continue
        decoded = decode(payload)
        assert not decoded.rejections
        stamp, sequence, values = found
        assert [(s.signal, s.value, s.stamp) for s in decoded.samples] == [
            (signal, value, stamp) for signal, value in values
        ]
        assert (decoded.sequence, decoded.boot, decoded.surplus) == (sequence, 0, 0)
        assert decoded.battery is decoded.contact is None


def test_usual_payloads_are_read() -> None:
    at = "2026-11-25T08:00:00"
    usual = [
        {"time": NOW // MILLISECOND, "values": {"heart_rate": 72}},
        {"time": at + "Z", "values": {"heart_rate": 72.5, "spo2": 97}},
        {"time": at + ".123Z", "values": {"body_temperature": -0.25}, "sequence": 0},
        {"sequence": 999_999_999_999_999, "values": {"glucose": 101.123456}, "time": at + ".5Z"},
    ]
    found = list(
        read([json.dumps(each, indent=n % 2 or None).encode() for n, each in enumerate(usual)])
    )
    assert None not in found
    assert [each[1] for each in found if each] == [-1, -1, 0, 999_999_999_999_999]


def test_the_configurations_limits_hold(registry: Registry) -> None:
    old = message(TOPICS[0], time=(NOW - 2 * DAY) // MILLISECOND)
    for changed in (
        IngestSettings(payload_max_bytes=10),
        IngestSettings(screen=type(SETTINGS.screen)(ancient_ns=DAY)),
    ):
        decided = Decider(registry, changed, 4).decide([old])
        assert decided.accepted == 0
        assert decided.samples == [-1]


def test_what_is_warmed_up_is_what_is_used(registry: Registry) -> None:
    warm_up()
    before = len(read_singles.signatures), len(publishes.signatures)
    reader = FrameReader(False, 1 << 20)
    reader.feed(30 * publish(TOPICS[0], message(TOPICS[0]).payload, 1))
    sent, _ = reader.cut(NOW, 1)
    assert Decider(registry, SETTINGS, 4).decide(sent).accepted == len(sent) == 30
    assert (len(read_singles.signatures), len(publishes.signatures)) == before


def nearly_usual(chance: Random) -> bytes:
    """A message as devices send it; one in twelve has a field, or one byte, that is not usual."""
    odd = chance.random() < 1 / 12
    at = format_instant(NOW - chance.randrange(10**12))[: chance.choice([19, 21, 23, 26])]
    values = [72, 72.5, round(chance.uniform(50, 99), 2), round(chance.uniform(50, 99), 12)]
    said: dict[str, object] = {
        "time": chance.choice([NOW // MILLISECOND - chance.randrange(10**6), at + "Z"]),
        "values": {
            chance.choice(["heart_rate", "spo2", "glucose"]): chance.choice(values)
            for _ in range(chance.randrange(1, 4))
        },
    }
    if chance.random() < 0.5:
        said["sequence"] = chance.choice([0, 5, 2**40])
    if odd and chance.random() < 0.5:
        key = chance.choice(["time", "values", "sequence", "battery", "x"])
        said[key] = chance.choice([0.5, -1, 10**16, at, {}, {"spo2": 1e3}, {"x": 1}, None])
    payload = json.dumps(said, separators=chance.choice([(",", ":"), (", ", ": ")])).encode()
    if odd and chance.random() < 0.5:
        place = chance.randrange(len(payload))
        put = bytes([chance.choice(b'0123456789",:{}[] -.eE+Z\xff')])
        payload = payload[:place] + put + payload[place + chance.randrange(2) :]
    return payload


@pytest.mark.fuzz
def test_of_many_groups_each_gives_the_rows_of_the_long_way(registry: Registry) -> None:
    groups, accepted = differ(registry, seed=20_261_126, groups=1_500)
    assert accepted > groups  # by columns


def differ(registry: Registry, seed: int, groups: int) -> tuple[int, int]:
    """Compare so many groups; (groups, samples of them that were taken as columns)."""
    chance, taken = Random(seed), 0
    decider = Decider(registry, SETTINGS, MemoryJournal.partitions)
    for _ in range(groups):
        group = [
            Delivery(chance.choice(TOPICS[:5]), nearly_usual(chance), NOW + n, 1, 1)
            for n in range(8)
        ]
        if chance.random() < 0.2:
            group.append(Delivery(chance.choice(TOPICS), mutated("native", chance), NOW + 8, 1, 1))
        read_so = decider._groups.read(group)
        taken += 0 if read_so is None else read_so.accepted
        long, decided = MemoryJournal(), decider.decide(group)
        append(decide(group, registry, SETTINGS), long)  # type: ignore[arg-type]
        assert rows_of(decided.records) == rows_of(long.records)
    return groups, taken
