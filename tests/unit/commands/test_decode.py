"""`twin decode`: a line of JSON for each observation and refusal."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.command import twin
from tests.support.sparkplug import by_alias, double, payload

GOOD = b'{"time":"2026-11-25T08:00:00Z","values":{"heart_rate":72}}'


def test_observation_is_one_line_and_exit_code_0() -> None:
    ended = twin("decode", "-", stdin=GOOD)

    assert ended.code == 0
    assert ended.json == {
        "signal": "heart_rate",
        "value": 72.0,
        "unit": "/min",
        "measured_at": "2026-11-25T08:00:00.000000000Z",
        "path": "values.heart_rate",
    }


def test_refusal_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(GOOD.replace(b"72", b"720"))
    (tmp_path / "b.json").write_bytes(GOOD)

    ended = twin("decode", tmp_path / "a.json", tmp_path / "b.json", "--format", "native")

    assert ended.code == 1
    first, second = map(json.loads, ended.out.splitlines())
    assert first["reason"] == "value_out_of_range"
    assert {"path", "expected", "got"} <= set(first)
    assert first["file"] == str(tmp_path / "a.json")
    assert second["value"] == 72.0


def test_age_is_judged_only_against_a_given_now() -> None:
    late = ("decode", "-", "--now", "2028-11-25T08:00:00Z")

    assert twin("decode", "-", stdin=GOOD).code == 0
    assert twin(*late, stdin=GOOD).json["reason"] == "ancient"


def test_topic_is_judged_too() -> None:
    ended = twin("decode", "-", "--topic", "twin/v1/a b/telemetry", stdin=GOOD)

    assert (ended.code, ended.json["reason"]) == (1, "topic_unknown")


def test_missing_file_unknown_format_and_odd_now_are_wrong_input(tmp_path: Path) -> None:
    for arguments, why in (
        ([tmp_path / "none"], "No such file"),
        (["-", "--format", "protobuf"], "'protobuf' is not one of 'native'"),
        (["-", "--now", "noon"], "--now: got 'noon'"),
        ([], "Missing argument"),
    ):
        ended = twin("decode", *arguments, stdin=GOOD)
        assert (ended.code, ended.out) == (2, "")
        assert why in ended.err


MAPPING = """
[[mapping]]
name = "one"
topic = "one/{device}"
time = { path = "t", unit = "s" }
fields = [{ signal = "heart_rate", path = "hr" }]
"""


def test_sparkplug_files_in_order_share_what_they_name(tmp_path: Path) -> None:
    birth = payload(double("vitals/heart_rate", 72, alias=1, unit="/min"))
    (tmp_path / "birth.bin").write_bytes(birth)
    (tmp_path / "data.bin").write_bytes(payload(by_alias(1, 73)))
    files = [str(tmp_path / "birth.bin"), str(tmp_path / "data.bin")]
    options = ["--format", "sparkplug", "--topic", "spBv1.0/G/DDATA/N/D"]

    done = twin("decode", *files, *options)
    assert done.code == 0
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert [(line["signal"], line["value"]) for line in lines] == [
        ("heart_rate", 72.0),
        ("heart_rate", 73.0),
    ]
    alone = twin("decode", files[1], *options)
    assert (alone.code, json.loads(alone.out)["reason"]) == (1, "alias_unknown")


def test_mapped_needs_its_mapping(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text(MAPPING, "utf-8")
    (tmp_path / "c.toml").write_text('[ingest]\nmapping_files = ["m.toml"]\n', "utf-8")
    (tmp_path / "p.json").write_text('{"t": 1795608000, "hr": 72}', "utf-8")
    (tmp_path / "bad.toml").write_text(MAPPING.replace("path", "pfad"), "utf-8")
    file = str(tmp_path / "p.json")

    for given in (["--mapping", "m.toml"], ["-c", "c.toml"]):
        option, name = given
        done = twin("decode", file, "--format", "mapped", option, str(tmp_path / name))
        assert (done.code, json.loads(done.out)["value"]) == (0, 72.0)
    assert twin("decode", file, "--format", "mapped").code == 2
    wrong = twin("decode", file, "--format", "mapped", "--mapping", str(tmp_path / "bad.toml"))
    assert wrong.code == 2
    assert "bad.toml:5: mapping[0].time.pfad" in wrong.err


def test_stamps_are_read_as_of_a_device_that_is_declared_to_write_them_so(tmp_path: Path) -> None:
    seconds = b'{"time": 1795608000, "values": {"heart_rate": 72}}'
    now = ("--now", "2026-11-25T12:00:01Z")
    refused = twin("decode", "-", *now, stdin=seconds)
    assert (refused.code, refused.json["reason"]) == (1, "ancient")
    assert refused.json["got"].endswith("(looks like seconds)")
    read = twin("decode", "-", *now, "--stamp-unit", "s", stdin=seconds)
    assert (read.code, read.json["measured_at"]) == (0, "2026-11-25T12:00:00.000000000Z")
    assert "device_stamp" not in read.json  # the number itself, in its own unit

    wall = b'{"time": "2026-11-25T13:00:00Z", "values": {"heart_rate": 72}}'
    read = twin("decode", "-", *now, "--stamp-zone", "Europe/Paris", stdin=wall)
    assert read.json["measured_at"] == "2026-11-25T12:00:00.000000000Z"
    assert read.json["device_stamp"] == "2026-11-25T13:00:00.000000000Z"

    (tmp_path / "m.toml").write_text(MAPPING, "utf-8")
    mapped = ("--format", "mapped", "--mapping", tmp_path / "m.toml")
    thousand = b'{"t": 1795608000000, "hr": 72}'
    assert twin("decode", "-", *mapped, stdin=thousand).code == 1
    assert twin("decode", "-", *mapped, "--stamp-unit", "ms", stdin=thousand).code == 0
    message = payload(double("vitals/heart_rate", 72), timestamp=1795608000)
    (tmp_path / "birth.bin").write_bytes(message)
    birth = (tmp_path / "birth.bin", "--format", "sparkplug", "--stamp-unit", "s")
    assert twin("decode", *birth).json["measured_at"] == "2026-11-25T12:00:00.000000000Z"

    wrong = twin("decode", "-", "--stamp-zone", "Paris", stdin=wall)
    assert (wrong.code, "--stamp-zone: expected a zone" in wrong.err) == (2, True)
