"""What `twin fleet`, `twin demo` and `twin run` refuse before they start, and the registry file."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.registry_file import read_registry_file
from tests.support.command import twin


def test_registry_file_of_a_fleet_is_read_by_ingest(tmp_path: Path) -> None:
    ended = twin("fleet", "--patients", 2, "--registry", tmp_path / "devices.csv")

    assert ended.code == 0
    enrolments = read_registry_file(tmp_path / "devices.csv").enrolments
    assert {each.patient for each in enrolments} == {"patient-1", "patient-2"}
    assert ("watch-01", "Bed 1") in {(each.device, each.label) for each in enrolments}


def test_registry_file_of_a_recording_names_its_devices(tmp_path: Path) -> None:
    (tmp_path / "bed.csv").write_text("time,HR\n0,70\n1,71\n")

    twin(
        *("fleet", "--recording", tmp_path / "bed.csv", "--columns", "HR=heart_rate"),
        *("--registry", tmp_path / "devices.csv"),
    )

    (enrolment,) = read_registry_file(tmp_path / "devices.csv").enrolments
    assert (enrolment.device, enrolment.patient) == ("bed", "bed")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("fleet", "--speed", "-1"), "speed"),
        (("fleet", "--duration", "0"), "--duration: got 0, expected more than 0"),
        (("fleet", "--patients", "-1"), "--patients"),
        (("fleet", "--recording", "none.csv"), "none.csv"),
        (("fleet", "-c", "none.toml"), "none.toml: cannot be read"),
        (("demo", "--broker", "rabbit"), "--broker: got 'rabbit', expected nats, mosquitto or"),
        (("demo", "--duration", "-5"), "--duration: got -5, expected more than 0"),
        (("demo", "--speed", "0"), "--speed"),
        (("demo", "--port", "70000"), "--port"),
        (("run",), "Missing option"),
        (("run", "-c", "none.toml"), "none.toml: got No such file or directory"),
        (("run", "-c", "c.toml", "--role", "king"), "'king' is not one of"),
        (("bench", "no-such"), "no-such: expected one of"),
        (("dance",), "No such command"),
        ((), "Usage: twin"),
        (("quarantine",), "Usage: twin quarantine"),
    ],
)
def test_wrong_usage_ends_with_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], why: str
) -> None:
    monkeypatch.chdir(tmp_path)

    ended = twin(*arguments)

    assert ended.code == 2
    assert why in ended.err + ended.out
