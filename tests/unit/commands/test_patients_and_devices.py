"""`twin patients` and `twin devices` on a data folder."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ingest.instant import parse_instant
from tests.support.command import twin
from twin.config_paths import default_data_dir


def test_added_patient_is_listed_with_label_and_devices(tmp_path: Path) -> None:
    made = twin("patients", "add", "--label", "Bed 1", "--json", "--data-dir", tmp_path).json
    twin("devices", "bind", "watch-1", made["id"], "--data-dir", tmp_path)

    listed = twin("patients", "list", "--json", "--data-dir", tmp_path)

    assert listed.code == 0
    assert listed.json == {
        "patients": [{"id": made["id"], "label": "Bed 1", "devices": ["watch-1"]}]
    }


def test_list_for_people_has_a_line_for_each_patient(tmp_path: Path) -> None:
    twin("patients", "add", "--id", "p-1", "--label", "Bed 1", "--data-dir", tmp_path)

    assert twin("patients", "list", "--data-dir", tmp_path).out.splitlines() == [
        "patient  label  devices",
        "p-1      Bed 1",
    ]


def test_label_is_changed(tmp_path: Path) -> None:
    twin("patients", "add", "--id", "p-1", "--data-dir", tmp_path)

    changed = twin("patients", "label", "p-1", "Bed 12", "--data-dir", tmp_path)

    assert (changed.code, changed.out) == (0, "p-1: Bed 12\n")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("patients", "label", "p-9", "x"), "twin: p-9: is not a registered patient\n"),
        (("patients", "add", "--id", "p 1"), "a patient id is 1–64 of"),
        (("devices", "bind", "watch-1", "p-9"), "twin: p-9: is not a registered patient\n"),
        (("devices", "unbind", "watch-1"), "is bound to nobody at that time"),
        (("devices", "bind", "w", "p-9", "--from", "today"), "--from: got 'today', expected"),
    ],
)  # fmt: skip
def test_what_the_registry_refuses_is_wrong_input(
    tmp_path: Path, arguments: tuple[str, ...], why: str
) -> None:
    ended = twin(*arguments, "--data-dir", tmp_path)

    assert (ended.code, ended.out) == (2, "")
    assert why in ended.err


def test_first_binding_has_no_beginning_and_a_later_one_begins_now(tmp_path: Path) -> None:
    for patient in ("p-1", "p-2"):
        twin("patients", "add", "--id", patient, "--data-dir", tmp_path)
    before = time.time_ns()

    first = twin("devices", "bind", "watch-1", "p-1", "--json", "--data-dir", tmp_path).json
    second = twin("devices", "bind", "watch-1", "p-2", "--json", "--data-dir", tmp_path).json

    assert first == {"device": "watch-1", "patient": "p-1", "from": None, "to": None}
    assert (second["patient"], second["to"]) == ("p-2", None)
    (device,) = twin("devices", "list", "--json", "--data-dir", tmp_path).json["devices"]
    assert device["patient"] == "p-2"
    assert device["bindings"][0]["to"] == device["bindings"][1]["from"] == second["from"]
    assert parse_instant(second["from"]) >= before


def test_change_of_patient_says_which_stamps_will_be_refused(tmp_path: Path) -> None:
    for patient in ("p-1", "p-2"):
        twin("patients", "add", "--id", patient, "--data-dir", tmp_path)

    first = twin("devices", "bind", "watch-1", "p-1", "--data-dir", tmp_path)
    second = twin("devices", "bind", "watch-1", "p-2", "--data-dir", tmp_path)

    assert "binding_ambiguous" not in first.err
    assert "refused: binding_ambiguous" in second.err


def test_device_is_unbound_at_a_time(tmp_path: Path) -> None:
    twin("patients", "add", "--id", "p-1", "--data-dir", tmp_path)
    twin("devices", "bind", "w", "p-1", "--data-dir", tmp_path)

    ended = twin("devices", "unbind", "w", "--at", "2026-11-25T08:00:00Z", "--data-dir", tmp_path)

    assert ended.out == "w is on p-1 from the beginning until 2026-11-25T08:00:00.000000000Z\n"


def test_data_folder_that_does_not_exist_is_wrong_input(tmp_path: Path) -> None:
    ended = twin("patients", "list", "--data-dir", tmp_path / "none")

    assert ended.code == 2
    assert "no such data folder" in ended.err


def test_folder_of_run_is_used_before_that_of_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "use --data-dir or --config" in twin("patients", "list").err
    demo, run = default_data_dir("demo"), default_data_dir("run")
    demo.mkdir(parents=True)
    assert f"data folder {demo}" in twin("patients", "list").err
    run.mkdir()
    assert f"data folder {run}" in twin("patients", "list").err


def test_configuration_names_the_data_folder(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "c.toml").write_text('data_dir = "data"\n')
    twin("patients", "add", "--id", "p-1", "-c", tmp_path / "c.toml")

    assert "p-1" in twin("patients", "list", "--data-dir", tmp_path / "data").out
    both = twin("patients", "list", "-c", tmp_path / "c.toml", "--data-dir", tmp_path)
    assert (both.code, both.out) == (2, "")


def test_wrong_configuration_is_wrong_input_with_all_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[mqtt]\nport = 0\nkeepalive_s = 0\n")

    ended = twin("patients", "list", "-c", tmp_path / "c.toml")

    assert ended.code == 2
    assert "c.toml:2: mqtt.port" in ended.err
    assert "c.toml:3: mqtt.keepalive_s" in ended.err
