"""`twin decode`: a line of JSON for each observation and refusal."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.command import twin

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
