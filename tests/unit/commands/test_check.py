"""`twin check` without the network."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import twin
from twin.config import Config
from twin.config_file import read_config


def test_example_is_a_configuration(tmp_path: Path) -> None:
    example = twin("check", "--example")
    (tmp_path / "c.toml").write_text(example.out)

    assert example.code == 0
    assert read_config(tmp_path / "c.toml", {}) == Config()
    valid = twin("check", "-c", tmp_path / "c.toml")
    assert (valid.code, valid.out) == (0, f"{tmp_path / 'c.toml'}: valid\n")


def test_wrong_keys_are_all_named_with_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[mqtt]\nport = 0\n[care]\nprot = 1\n")

    for_people = twin("check", "-c", tmp_path / "c.toml")
    in_json = twin("check", "-c", tmp_path / "c.toml", "--json")

    assert for_people.code == in_json.code == 2
    assert for_people.out.splitlines() == [
        f"{tmp_path / 'c.toml'}:2: mqtt.port: got 0, expected a whole number from 1 to 65535",
        f"{tmp_path / 'c.toml'}:4: care.prot: got a key that does not exist, expected port",
    ]
    assert in_json.json["valid"] is False
    assert [(e["line"], e["key"]) for e in in_json.json["errors"]] == [
        (2, "mqtt.port"),
        (4, "care.prot"),
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('[devices]\nfile = "none.csv"', "devices.file: "),
        ('[devices]\nfile = "bad.csv"', "devices.file: "),
        ('[devices]\nfile = "latin1.csv"', "devices.file: "),
        ('[devices]\nfile = "deep.toml"', "devices.file: "),
        ('[model]\nfile = "bad.csv"', "model.file: "),
        ('[model]\nfile = "latin1.csv"', "model.file: "),
        ('[model]\nfile = "deep.toml"', "model.file: "),
        ('[mqtt.tls]\nauthority = "bad.csv"', "mqtt.tls.authority: "),
        ('[mqtt.tls]\ncertificate = "bad.csv"\nkey = "bad.csv"', "mqtt.tls.certificate: "),
        ('[care]\ncertificate = "none.pem"\nkey = "bad.csv"', "care.certificate: "),
    ],
)
def test_file_that_cannot_be_used_is_named_by_its_key(
    tmp_path: Path, content: str, said: str
) -> None:
    (tmp_path / "bad.csv").write_text("what,ever\n1,2\n")
    (tmp_path / "latin1.csv").write_bytes(b"device,label\nwatch-1,caf\xe9\n")
    (tmp_path / "deep.toml").write_text("a = " + "[" * 2_000)
    (tmp_path / "c.toml").write_text(content)

    ended = twin("check", "-c", tmp_path / "c.toml")

    assert ended.code == 2
    assert ended.out.startswith(f"{tmp_path / 'c.toml'}: {said}")
    assert len(ended.out.splitlines()) == 1


def test_registry_file_that_serves_is_valid(tmp_path: Path) -> None:
    (tmp_path / "devices.csv").write_text("device,patient,label\nwatch-1,p-1,Bed 1\n")
    (tmp_path / "c.toml").write_text('[devices]\nfile = "devices.csv"\n')

    ended = twin("check", "-c", tmp_path / "c.toml", "--json")

    assert ended.code == 0
    assert ended.json["files"] == [{"key": "devices.file", "fault": "", "note": ""}]


def test_file_is_needed(tmp_path: Path) -> None:
    assert twin("check").code == 2
    ended = twin("check", "-c", tmp_path / "none.toml")
    assert (ended.code, "No such file or directory" in ended.out) == (2, True)


def test_filters_that_cross_are_named_and_no_fault(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('[mqtt]\nfilters = ["twin/v1/#", "a/+/b", "a/b/+"]\n')

    ended = twin("check", "-c", tmp_path / "c.toml")

    assert ended.code == 0
    assert "mqtt.filters: a/+/b and a/b/+ overlap" in ended.out
    (tmp_path / "c.toml").write_text('[mqtt]\nfilters = ["twin/v1/#", "twin/v1/+/telemetry"]\n')
    assert "overlap" not in twin("check", "-c", tmp_path / "c.toml").out


def test_data_folder_that_every_user_may_enter_is_named_and_no_fault(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    data.chmod(0o755)
    (tmp_path / "c.toml").write_text(f'data_dir = "{data}"\n')

    ended = twin("check", "-c", tmp_path / "c.toml")

    assert ended.code == 0
    assert f"data_dir: {data}: mode 0755, every user of this machine" in ended.out
    for mode in (0o700, 0o750):
        data.chmod(mode)
        assert "mode" not in twin("check", "-c", tmp_path / "c.toml").out
