"""What `twin smooth`, `fit`, `validate`, `fleet`, `restore` and the readers of a data folder are
given by mistake: each says what is wrong with exit code 2, and destroys nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command import twin

HEAD = "patient,device,signal,value,measured_at\n"
ROWS = [f"p,d,heart_rate,{70 + n % 3},2026-11-25T08:00:{n:02d}Z\n" for n in range(60)]
FULL = '{"files": {}, "format": 1, "version": "1", "at": "", "partitions": 1, "positions": {}}'


@pytest.fixture
def recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "r.csv"
    file.write_text(HEAD + "".join(ROWS))
    (tmp_path / "m.toml").write_text("patients = 2\n")
    (tmp_path / "folder.csv").mkdir()
    return file


@pytest.mark.parametrize(
    "arguments",
    [
        ("smooth", "r.csv", "--signal", "heart_rate", "--out", "r.csv"),
        ("replay", "r.csv", "--out", "r.csv"),
        ("illness", "r.csv", "--out", "r.csv"),
        ("fleet", "--recording", "r.csv", "--record", "r.csv"),
        ("fleet", "--recording", "r.csv", "--registry", "r.csv"),
        ("fleet", "-c", "m.toml", "--registry", "m.toml"),
        (
            *("fit", "r.csv", "--signal", "heart_rate", "--model", "m.toml", "--out", "m.toml"),
            *("--report", "report"),
        ),
    ],
)
def test_no_command_writes_over_what_it_reads(recording: Path, arguments: tuple[str, ...]) -> None:
    before = recording.read_text(), (recording.parent / "m.toml").read_text()
    ended = twin(*arguments)
    assert ended.code == 2
    assert "is an input itself" in ended.err
    assert (recording.read_text(), (recording.parent / "m.toml").read_text()) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("demo", "--duration", "1", "--data-dir", ""),
        ("devices", "list", "--data-dir="),
        ("check", "-c", ""),
        ("validate", "r.csv", "--out", ""),
        ("fit", "r.csv", "--signal", "heart_rate", "--out", "m.toml", "--report", ""),
        ("replay", "r.csv", "--out", "e.csv", "--forecast", ""),
        ("replay", "r.csv", "--out", "e.csv", "--model=", "--json"),
        ("restore", "folder.csv", "--data-dir", ""),
        ("export", "observations", "--patient", "", "--out", "e.csv"),
        ("patients", "consent", "p", "--basis", "care", "--signals", ""),
    ],
)
def test_an_option_without_its_value_is_refused(
    recording: Path, arguments: tuple[str, ...]
) -> None:
    before = sorted(recording.parent.iterdir())
    ended = twin(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert "got '', expected a value" in ended.err
    assert sorted(recording.parent.iterdir()) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("decode", ""),
        ("decode", "r.csv", ""),
        ("validate", ""),
        ("replay", "", "--out", "e.csv"),
        ("assess", ""),
        ("illness", ""),
        ("fit", "", "--signal", "heart_rate", "--out", "m.toml"),
        ("smooth", "", "--signal", "heart_rate", "--out", "s.csv"),
        ("scenario", ""),
        ("restore", "", "--data-dir", "d"),
        ("devices", "enrol", "", "--data-dir", "d"),
    ],
)
def test_an_empty_path_is_said_to_be_empty(recording: Path, arguments: tuple[str, ...]) -> None:
    before = sorted(recording.parent.iterdir())
    ended = twin(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert "got '', expected a path" in ended.err
    assert sorted(recording.parent.iterdir()) == before


def test_a_text_that_may_be_empty_is_taken(recording: Path) -> None:
    """A label can be none, and is taken away by an empty one."""
    made = twin("patients", "add", "--label", "", "--id", "p", "--data-dir", ".", "--json")
    assert made.json == {"id": "p", "label": ""}
    assert twin("patients", "label", "p", "", "--data-dir", ".", "--json").json["label"] == ""


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("validate", "r.csv", "--out", "r.csv"), "--out: "),
        (("validate", "r.csv", "--out", "r.csv/deeper"), "r.csv is a file, expected a folder"),
        (("validate", "r.csv", "--out", "v", "--name", "a\nb"), "--name: got 'a\\nb'"),
        (("validate", "r.csv", "--out", "v", "--name", ""), "--name: got ''"),
        (
            ("fit", "r.csv", "--signal", "heart_rate", "--out", "f.toml", "--report", "r.csv"),
            "--report: ",
        ),
        (("smooth", "r.csv", "--signal", "heart_rate", "--out", "folder.csv"), "is a folder"),
        (("fleet", "--registry", "nowhere/d.csv"), "--registry: nowhere: no such folder"),
        (("fleet", "--record", "folder.csv"), "--record: folder.csv is a folder"),
        (("fleet", "--host", ""), "--host: got ''"),
        (("fleet", "--host", "a..b"), "--host: got 'a..b'"),
        (("fleet", "--host", "x" * 300), "expected the name or address of a broker"),
        (("demo", "--data-dir", "r.csv"), "r.csv is a file, expected a folder"),
        (("demo", "--data-dir", "new", "--broker", "mqtt://a:99999"), "got 'mqtt://a:99999'"),
        (("demo", "--data-dir", "new", "--broker", "mqtt://a:0"), "got 'mqtt://a:0'"),
        (("fleet", "--duration", "inf"), "--duration: got inf, expected at most 366 days"),
        (("fleet", "--duration", "nan"), "--duration: got nan, expected more than 0"),
        (("fleet", "--speed", "inf"), "speed: Expected `float` <= 1000000.0"),
    ],
)
def test_what_cannot_be_written_or_reached_is_said_before_anything_is_done(
    recording: Path, arguments: tuple[str, ...], why: str
) -> None:
    ended = twin(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert why in ended.err


@pytest.mark.parametrize(
    ("content", "options", "why"),
    [
        (HEAD, (), "the recording: got no observation"),
        (HEAD + "p,d,mood,1,2026-11-25T08:00:00Z\n", (), "got no observation; signal_unknown 1"),
        (HEAD + ROWS[0], ("--patient", "q"), "--patient: got 'q', expected one of p"),
        (
            HEAD + ROWS[0] + "q,d,spo2,97,2026-11-25T08:00:00Z\n",
            ("--patient", "q"),
            "--signal: nothing of 'heart_rate' of this patient, expected one of spo2",
        ),
        (
            "time,HR\n0,70\n",
            ("--columns", "HR=heart_rate,HR=spo2"),
            "--columns: expected each column once, got 'HR' twice",
        ),
    ],
)
def test_smoothing_says_which_of_the_options_names_nothing(
    tmp_path: Path, content: str, options: tuple[str, ...], why: str
) -> None:
    (tmp_path / "r.csv").write_text(content)
    command = ("smooth", tmp_path / "r.csv", "--signal", "heart_rate", "--out", tmp_path / "s.csv")
    ended = twin(*command, *options)
    assert ended.code == 2
    assert why in ended.err


def test_smoothing_counts_what_it_left_out(recording: Path) -> None:
    recording.write_text(
        HEAD + "".join(ROWS) + "p,d,heart_rate,1e308,2026-11-25T08:01:01Z\n"
        "p,d,heart_rate,1e400,2026-11-25T08:01:02Z\n"
    )
    ended = twin("smooth", "r.csv", "--signal", "heart_rate", "--out", "s.csv")
    assert (ended.code, ended.err.strip()) == (
        0,
        "twin: 60 rows in s.csv; value_not_a_number 1, value_out_of_range 1",
    )


def test_a_signal_that_never_changes_cannot_be_fitted_and_the_message_says_so(
    recording: Path,
) -> None:
    lines = [f"p,d,heart_rate,70,2026-11-25T08:{n:02d}:00Z\n" for n in range(60)]
    recording.write_text(HEAD + "".join(lines))
    ended = twin(
        *("fit", "r.csv", "--signal", "heart_rate", "--out", "f.toml", "--report", "report")
    )
    assert ended.code == 2
    assert "got 60 readings of heart_rate of 1 persons, expected 20 of one person" in ended.err
    assert "and not all alike" in ended.err


@pytest.mark.parametrize("content", ["", "null", "[]", "{}", FULL, '{"files": {}, "format": 9}'])
def test_a_backup_that_is_none_is_wrong_input(tmp_path: Path, content: str) -> None:
    backup = tmp_path / "backup"
    backup.mkdir()
    (backup / "backup.json").write_text(content)
    ended = twin("restore", backup, "--data-dir", tmp_path / "data")
    assert ended.code == 2
    assert str(backup) in ended.err
    assert not (tmp_path / "data").exists()


def test_a_backup_whose_manifest_is_full_but_wrong_is_wrong_input(tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    (backup / "backup.json").mkdir(parents=True)
    assert twin("restore", backup, "--data-dir", tmp_path / "data").code == 2
    file = tmp_path / "file"
    file.write_text(json.dumps(json.loads(FULL)))
    assert twin("restore", file, "--data-dir", tmp_path / "data").code == 2
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "command",
    [
        ("patients", "list"),
        ("patients", "consent", "p"),
        ("devices", "list"),
        ("devices", "show", "d"),
        ("devices", "models"),
    ],
)
def test_who_only_reads_an_empty_folder_makes_nothing_in_it(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    ended = twin(*command, "--data-dir", tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert f"{tmp_path}: there is no registry here yet" in ended.err
    assert not list(tmp_path.iterdir())
