"""Reading recorded files, as people have them."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.instant import SECOND, format_instant, parse_instant
from ingest.recording import parse_columns, read_recording, recording_of
from ingest.sheet import RecordingError

SHARED = Path(__file__).parents[4] / "shared" / "data"
BIDMC = {"HR": "heart_rate", "PULSE": "heart_rate", "RESP": "respiratory_rate", "SpO2": "spo2"}

needs_bidmc = pytest.mark.skipif(
    not (SHARED / "bidmc").is_dir(), reason="the BIDMC recordings are not beside the checkout"
)
needs_galaxy = pytest.mark.skipif(
    not (SHARED / "galaxyppg").is_dir(), reason="the GalaxyPPG recordings are not beside it"
)


def written(folder: Path, text: str, name: str = "ward.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_long_file_without_the_optional_columns_is_named_after_itself(tmp_path: Path) -> None:
    path = written(tmp_path, "signal,value,measured_at\nspo2,97.5,2026-11-25T08:00:00Z\n")
    recording = read_recording(path)
    assert (recording.patient, recording.device, recording.signal) == (["ward"], ["ward"], ["spo2"])
    assert recording.received_at.tolist() == recording.measured_at.tolist()
    assert recording.measured_at[0] == parse_instant("2026-11-25T08:00:00Z")
    assert np.isnan(recording.noise_std[0])
    assert np.isnan(recording.quality[0])


def test_given_names_stand_for_what_the_file_does_not_say(tmp_path: Path) -> None:
    path = written(tmp_path, "patient,signal,value,measured_at\np1,spo2,97,0\n,spo2,96,1\n")
    recording = read_recording(path, patient="P02", device="watch")
    assert recording.patient == ["p1", "P02"]
    assert recording.device == ["watch", "watch"]


def test_epoch_nanoseconds_are_kept_to_the_last_digit(tmp_path: Path) -> None:
    stamp = 1_764_057_600_123_456_789
    path = written(tmp_path, f"signal,value,measured_at\nspo2,97,{stamp}\n")
    assert read_recording(path).measured_at[0] == stamp


@given(
    value=st.floats(allow_nan=False, allow_infinity=False),
    stamp=st.integers(min_value=1 - 2**62, max_value=2**62 - 1),
)
def test_numbers_and_stamps_survive_a_csv_file_exactly(
    tmp_path_factory: pytest.TempPathFactory, value: float, stamp: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "exact.csv"
    path.write_text(f"signal,value,measured_at\nglucose,{value!r},{format_instant(stamp)}\n")
    recording = read_recording(path)
    assert recording.value[0] == value
    assert recording.measured_at[0] == stamp


def test_both_ways_of_writing_a_time_may_stand_in_one_column(tmp_path: Path) -> None:
    text = "signal,value,measured_at\nspo2,97,2026-11-25T09:00:00.5+01:00\nspo2,96,1000000000\n"
    recording = read_recording(written(tmp_path, text))
    assert recording.measured_at.tolist() == [parse_instant("2026-11-25T08:00:00.5Z"), SECOND]


def test_units_are_converted_and_noise_with_them(tmp_path: Path) -> None:
    text = "signal,value,measured_at,unit,noise_std\nglucose,5.5,0,mmol/L,0.5\nspo2,97,0,,2\n"
    recording = read_recording(written(tmp_path, text))
    assert recording.value[0] == pytest.approx(99.088)
    assert recording.noise_std.tolist() == pytest.approx([9.008, 2.0])


def test_units_that_only_ucum_knows_are_converted_and_noise_without_the_offset(
    tmp_path: Path,
) -> None:
    text = "signal,value,measured_at,unit,noise_std\nheart_rate,1.2,0,/s,0.1\n"
    text += "body_temperature,310.15,0,K,0.5\n"
    recording = read_recording(written(tmp_path, text))
    assert recording.value.tolist() == pytest.approx([72.0, 37.0])
    assert recording.noise_std.tolist() == pytest.approx([6.0, 0.5])


def test_what_cannot_be_used_is_counted_by_reason_and_the_rest_is_read(tmp_path: Path) -> None:
    text = (
        "signal,value,measured_at,unit,quality\n"
        "pulse,70,0,,\n"
        "heart_rate,70,0,mmol/L,\n"
        "heart_rate,inf,0,,\n"
        "heart_rate,71,0,,1.5\n"
        "heart_rate,NaN,0,,\n"
        "heart_rate,,0,,\n"
        "heart_rate,72,0,/min,0.9\n"
    )
    recording = read_recording(written(tmp_path, text))
    assert recording.value.tolist() == [72]
    assert recording.line.tolist() == [8]
    assert recording.blank == 2
    assert recording.refused == {
        "signal_unknown": 1,
        "unit_unknown": 1,
        "value_not_a_number": 1,
        "quality_out_of_range": 1,
    }


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("signal,value,measured_at\nspo2,97,0\nspo2,high,0\n", 3, "value"),
        ("signal,value,measured_at\nspo2,97,2026-11-25T08:00:00\n", 2, "measured_at"),
        ("signal,value,measured_at\nspo2,97,\n", 2, "measured_at"),
        ("signal,value,measured_at\nspo2,97,1.5\n", 2, "measured_at"),
        ("signal,value,measured_at\nspo2,97,2026-13-25T08:00:00Z\n", 2, "measured_at"),
        ("signal,value,measured_at,received_at\nspo2,97,0,yesterday\n", 2, "received_at"),
        ("signal,value,measured_at\nspo2,97\n", 2, None),
        ("signal,value\nspo2,97\n", 1, "measured_at"),
        ("time,HR\n0,70\n", 1, None),
        ("signal,value,value,measured_at\nspo2,97,97,0\n", 1, "value"),
        ("", 1, None),
    ],
)
def test_bad_long_file_is_refused_with_its_place(
    tmp_path: Path, text: str, line: int, column: str | None
) -> None:
    with pytest.raises(RecordingError) as refusal:
        read_recording(written(tmp_path, text))
    assert (refusal.value.line, refusal.value.column) == (line, column)
    assert refusal.value.expected
    assert str(tmp_path) in str(refusal.value)


def test_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    binary = tmp_path / "ward.csv"
    binary.write_bytes(b"signal,value,measured_at\nspo2,\xff\xfe,0\n")
    for path in (tmp_path / "nowhere.csv", binary, written(tmp_path, "no parquet", "x.parquet")):
        with pytest.raises(RecordingError):
            read_recording(path)


def test_wide_file_gives_each_cell_and_skips_blank_ones(tmp_path: Path) -> None:
    path = written(tmp_path, "Time [s], HR, SpO2\n-0,70,97\n1,NaN,96\n2, ,95.5\n")
    recording = read_recording(path, {"HR": "heart_rate", "SpO2": "spo2"}, "Time [s]")
    assert recording.signal == ["heart_rate", "spo2", "spo2", "spo2"]
    assert recording.value.tolist() == [70, 97, 96, 95.5]
    assert recording.measured_at.tolist() == [0, 0, SECOND, 2 * SECOND]
    assert recording.blank == 2


@pytest.mark.parametrize("form", ["2025-11-25T08:00:0{}Z", "176405760{}"])
def test_a_wide_row_that_says_no_receipt_was_received_when_measured(
    tmp_path: Path, form: str
) -> None:
    rows = [(form.format(0), ""), (form.format(1), form.format(3)), (form.format(2), "NaN")]
    lines = "".join(f"{time},70,{received}\n" for time, received in rows)
    path = written(tmp_path, "time,HR,received_at\n" + lines)
    recording = read_recording(path, {"HR": "heart_rate"})
    late = recording.received_at - recording.measured_at
    assert late.tolist() == [0, 2 * SECOND, 0]


@pytest.mark.parametrize(
    ("written_as", "expected"),
    [
        ("0.1", 100_000_000),
        ("-1", -SECOND),
        ("99999999.5", 99_999_999_500_000_000),
        ("1764057600", 1_764_057_600 * SECOND),
        ("1764057600123", 1_764_057_600_123_000_000),
        ("1764057600123456", 1_764_057_600_123_456_000),
        ("1764057600123456789", 1_764_057_600_123_456_789),
        ("2025-11-25T08:00:00Z", 1_764_057_600 * SECOND),
    ],
)
def test_wide_times_are_recognised_by_their_size(
    tmp_path: Path, written_as: str, expected: int
) -> None:
    path = written(tmp_path, f"time,HR\n{written_as},70\n")
    assert read_recording(path, {"HR": "heart_rate"}).measured_at.tolist() == [expected]


def test_second_column_of_a_signal_is_a_second_device(tmp_path: Path) -> None:
    path = written(tmp_path, "time,HR,PULSE\n0,70,71\n")
    recording = read_recording(path, {"HR": "heart_rate", "PULSE": "heart_rate"})
    assert recording.device == ["ward", "ward-PULSE"]


def test_wide_column_may_name_its_unit(tmp_path: Path) -> None:
    path = written(tmp_path, "time;glucose\n0;10\n")
    recording = read_recording(path, parse_columns("glucose=glucose:mmol/L"))
    assert recording.value[0] == pytest.approx(180.16)


@pytest.mark.parametrize(
    ("columns", "time", "column"),
    [
        ({"RR": "respiratory_rate"}, "time", "RR"),
        ({"HR": "pulse"}, "time", "HR"),
        ({"HR": "heart_rate:mmol/L"}, "time", "HR"),
        ({"HR": "heart_rate"}, "when", "when"),
    ],
)
def test_wrong_naming_of_wide_columns_is_refused(
    tmp_path: Path, columns: dict[str, str], time: str, column: str
) -> None:
    path = written(tmp_path, "time,HR\n0,70\n")
    with pytest.raises(RecordingError) as refusal:
        read_recording(path, columns, time)
    assert refusal.value.column == column


def test_column_lists_are_read_as_they_are_typed() -> None:
    assert parse_columns("HR=heart_rate, SpO2 = spo2") == {"HR": "heart_rate", "SpO2": "spo2"}
    for wrong in ("HR", "=spo2", "HR=", ""):
        with pytest.raises(ValueError, match="COLUMN=signal"):
            parse_columns(wrong)


def test_gzip_byte_order_mark_and_semicolons_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "ward.csv.gz"
    path.write_bytes(gzip.compress("\ufeffsignal;value;measured_at\r\nspo2;97;7\r\n".encode()))
    recording = read_recording(path)
    assert recording.patient == ["ward"]
    assert recording.measured_at.tolist() == [7]


def test_parquet_csv_pandas_and_arrow_give_the_same(tmp_path: Path) -> None:
    stamps = [1_764_057_600_123_456_789, 1_764_057_601_000_000_001]
    table = pa.table(
        {
            "patient": ["p1", "p2"],
            "device": ["w1", "w2"],
            "signal": ["heart_rate", "spo2"],
            "value": [72.1, None],
            "measured_at": pa.array(stamps, pa.timestamp("ns", "UTC")),
            "received_at": pa.array(stamps, pa.int64()),
        }
    )
    pq.write_table(table, tmp_path / "ward.parquet")
    frame = pd.DataFrame(table.to_pydict() | {"measured_at": pd.to_datetime(stamps, utc=True)})
    csv = written(
        tmp_path,
        "patient,device,signal,value,measured_at,received_at\n"
        f"p1,w1,heart_rate,72.1,{format_instant(stamps[0])},{stamps[0]}\n"
        f"p2,w2,spo2,,{format_instant(stamps[1])},{stamps[1]}\n",
    )
    for recording in (
        read_recording(tmp_path / "ward.parquet"),
        recording_of(table),
        recording_of(frame),
        read_recording(csv),
    ):
        assert (recording.patient, recording.device) == (["p1"], ["w1"])
        assert recording.value.tolist() == [72.1]
        assert recording.measured_at.tolist() == stamps[:1]
        assert recording.received_at.tolist() == stamps[:1]
        assert recording.blank == 1


def test_table_times_without_a_zone_are_no_instants() -> None:
    table = pa.table(
        {"signal": ["spo2"], "value": [97.0], "measured_at": pa.array([0], pa.timestamp("ns"))}
    )
    with pytest.raises(RecordingError, match="zone"):
        recording_of(table)


@pytest.mark.parametrize("kept", [30, 60])
def test_a_gzip_file_that_is_cut_is_refused(tmp_path: Path, kept: int) -> None:
    whole = gzip.compress(b"signal,value,measured_at\nspo2,97,2026-11-25T08:00:00Z\n" * 3)
    path = tmp_path / "cut.csv.gz"
    path.write_bytes(whole[:kept])
    with pytest.raises(RecordingError, match=r"cut\.csv\.gz: expected a readable file, got"):
        read_recording(path)


@pytest.mark.parametrize("stamp", ["9" * 19, "1e30", "1e99999999", str(2**63), str(-(2**63))])
def test_a_time_that_is_too_far_is_refused_with_its_place(tmp_path: Path, stamp: str) -> None:
    wide = written(tmp_path, f"time,HR\n{2**60},71\n{stamp},72\n", "wide.csv")
    with pytest.raises(RecordingError, match=r"wide\.csv:3, column 'time': expected a "):
        read_recording(wide, {"HR": "heart_rate"})
    long = written(tmp_path, f"signal,value,measured_at\nspo2,97,0\nspo2,97,{stamp}\n")
    with pytest.raises(RecordingError, match=r":3, column 'measured_at': .*1824 to 2115"):
        read_recording(long)


@pytest.mark.parametrize("year", [1700, 2190])
def test_a_year_that_is_too_far_is_refused_however_it_is_written(year: int) -> None:
    text = pa.table({"signal": ["spo2"], "value": [97.0], "time": [f"{year}-01-01T00:00:00Z"]})
    far = pa.array([(year - 1970) * 31_556_952_000], pa.timestamp("ms", "UTC"))
    for table in (text, text.set_column(2, "time", far)):
        with pytest.raises(RecordingError, match="1824 to 2115"):
            recording_of(table, time_column="time")


def test_times_beyond_nanoseconds_in_a_table_are_refused() -> None:
    far = pa.array([10**12], pa.timestamp("s", "UTC"))
    table = pa.table({"signal": ["spo2"], "value": [97.0], "measured_at": far})
    with pytest.raises(RecordingError, match="column 'measured_at': expected times of the years"):
        recording_of(table)


@pytest.mark.parametrize("value", ["7_2", "true"])
def test_what_only_a_program_reads_as_a_number_is_none(tmp_path: Path, value: str) -> None:
    path = written(tmp_path, f"signal,value,measured_at\nspo2,{value},0\n")
    with pytest.raises(RecordingError, match=r":2, column 'value': expected a number"):
        read_recording(path)
    with pytest.raises(RecordingError, match="column 'value': expected a number"):
        recording_of(pa.table({"signal": ["spo2"], "value": [True], "measured_at": [0]}))


@pytest.mark.parametrize("name", ["p\x00", "p\n1", b"p", ["p"]])
def test_a_patient_who_is_no_text_is_refused(name: object) -> None:
    table = pa.table({"patient": [name], "signal": ["spo2"], "value": [97.0], "measured_at": [0]})
    with pytest.raises(RecordingError, match="1, column 'patient': expected a text"):
        recording_of(table)


def test_a_column_that_is_there_twice_is_refused_in_parquet_too(tmp_path: Path) -> None:
    path = tmp_path / "twice.parquet"
    columns = [pa.array(["spo2"]), pa.array([97.0]), pa.array([98.0]), pa.array([0])]
    table = pa.Table.from_arrays(columns, names=["signal", "value", "value", "measured_at"])
    pq.write_table(table, path)
    with pytest.raises(RecordingError, match="column 'value': expected each column once"):
        read_recording(path)


def test_a_folder_is_no_parquet_file(tmp_path: Path) -> None:
    folder = tmp_path / "patient=7.parquet"
    folder.mkdir()
    pq.write_table(pa.table({"signal": ["spo2"]}), folder / "part.parquet")
    with pytest.raises(RecordingError, match="expected a Parquet file"):
        read_recording(folder)


@needs_bidmc
def test_every_bidmc_file_is_read_with_its_gaps() -> None:
    for path in sorted((SHARED / "bidmc").glob("*_Numerics.csv")):
        recording = read_recording(path, BIDMC, "Time [s]")
        rows = len(path.read_text().splitlines()) - 1
        assert len(recording) + recording.blank == 4 * rows
        assert recording.refused == {}
        assert np.all(np.diff(recording.measured_at) >= 0)
        assert set(recording.device) == {path.stem, f"{path.stem}-PULSE"}


@needs_galaxy
def test_galaxy_watch_keeps_both_of_its_times() -> None:
    path = SHARED / "galaxyppg" / "P02" / "GalaxyWatch" / "HR.csv"
    recording = read_recording(path, {"hr": "heart_rate"}, "timestamp", "P02", "galaxy-watch")
    assert recording.measured_at[0] == 1_710_811_991_437_000_000
    assert set(recording.patient) == {"P02"}
