"""Recordings as messages."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.fleet.playback import device_names, played, restamp
from ingest.instant import MILLISECOND, SECOND, format_instant
from ingest.payload.native import decode
from ingest.recording import Recording, read_recording
from ingest.topic import parse_topic

T0 = 1_764_057_600 * SECOND + 123_456_789
LONG = "patient,device,signal,value,measured_at,received_at,quality\n"


def recorded(folder: Path, *rows: str, header: str = LONG) -> Recording:
    path = folder / "recording.csv"
    path.write_text(header + "".join(f"{row}\n" for row in rows))
    return read_recording(path)


stamps = st.lists(
    st.tuples(st.integers(0, 10**15), st.integers(-(10**13), 10**13)), min_size=1, max_size=30
)


@given(rows=stamps, speed=st.sampled_from([0.5, 1.0, 3.0, 60.0, 977.0]))
def test_no_stamp_is_ever_in_the_future_and_all_move_by_one_whole_number_of_ms(
    rows: list[tuple[int, int]], speed: float
) -> None:
    received = np.array([T0 + r for r, _ in rows], np.int64)
    measured = received - np.array([age for _, age in rows], np.int64)
    plan = restamp(measured, received, speed)
    assert plan.at.min() == 0
    assert np.all(plan.measured_at <= plan.at)
    assert np.all(plan.measured_at - measured == plan.offset)
    assert plan.offset % MILLISECOND == 0


def test_at_its_own_pace_the_first_sample_is_now() -> None:
    received = T0 + np.arange(5, dtype=np.int64) * SECOND
    plan = restamp(received - 40 * MILLISECOND, received, 1.0)
    assert plan.at.tolist() == [i * SECOND for i in range(5)]
    assert 0 <= -40 * MILLISECOND - plan.measured_at[0] < MILLISECOND


def test_faster_the_last_sample_falls_at_the_end_of_the_run() -> None:
    measured = T0 + np.arange(61, dtype=np.int64) * SECOND
    plan = restamp(measured, measured, 10.0)
    assert plan.at[-1] == 6 * SECOND
    assert 0 <= 6 * SECOND - plan.measured_at[-1] < MILLISECOND
    assert plan.measured_at[0] < -53 * SECOND


def test_rows_received_together_are_one_message_and_keep_every_digit(tmp_path: Path) -> None:
    stamp = format_instant(T0)
    recording = recorded(
        tmp_path,
        f"p1,watch,heart_rate,72.3,{stamp},{stamp},0.9",
        f"p1,watch,spo2,97.123456789012345,{stamp},{stamp},",
        f"p1,watch,spo2,96,{stamp},{stamp},",
    )
    first, second = played(recording, 1.0)
    assert first.values == {"heart_rate": (72.3,), "spo2": (97.123456789012345,)}
    assert second.values == {"spo2": (96.0,)}
    decoded = decode(first.payload(T0 // MILLISECOND * MILLISECOND))
    assert {s.signal: s.value for s in decoded.samples} == {
        "heart_rate": 72.3,
        "spo2": 97.123456789012345,
    }
    assert first.quality == {"heart_rate": (0.9,)}


def test_stamps_arrive_to_the_nanosecond(tmp_path: Path) -> None:
    rows = [f"p,w,spo2,97,{T0 + i * 1_000_000_007},{T0 + i * 1_000_000_007}," for i in range(3)]
    start = 1_700_000_000_000_000_000
    got = [decode(m.payload(start)).samples[0] for m in played(recorded(tmp_path, *rows), 1.0)]
    assert np.diff([sample.stamp for sample in got]).tolist() == [1_000_000_007] * 2


def test_order_is_that_of_receipt_then_of_the_file(tmp_path: Path) -> None:
    recording = recorded(
        tmp_path,
        "p,b,spo2,1,0,2000000000,",
        "p,a,spo2,2,5,1000000000,",
        "p,c,spo2,3,3,1000000000,",
    )
    assert [m.device for m in played(recording, 1.0)] == ["a", "c", "b"]


def test_one_name_for_devices_of_several_patients_is_kept_apart(tmp_path: Path) -> None:
    recording = recorded(
        tmp_path,
        "p1,watch,spo2,97,0,0,",
        "p2,watch,spo2,97,0,0,",
        "p2,my cuff/é,systolic_bp,120,0,0,",
    )
    names = device_names(recording)
    assert names["p1", "watch"] == "p1-watch"
    assert names["p2", "watch"] == "p2-watch"
    assert names["p2", "my cuff/é"] == "my-cuff--"
    assert all(parse_topic(m.topic) is not None for m in played(recording, 1.0))


def test_names_that_become_alike_stay_different(tmp_path: Path) -> None:
    recording = recorded(tmp_path, "p,a b,spo2,97,0,0,", "p,a/b,spo2,97,0,0,")
    assert sorted(device_names(recording).values()) == ["a-b", "a-b-2"]


@pytest.mark.parametrize("speed", [1.0, 100.0])
def test_empty_recording_sends_nothing(tmp_path: Path, speed: float) -> None:
    assert list(played(recorded(tmp_path), speed)) == []
