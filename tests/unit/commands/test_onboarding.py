"""`twin devices` and `twin patients` from a device that waits to one that is retired."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from ingest.decide import decide
from ingest.frames import Delivery
from ingest.instant import format_instant, parse_instant
from ingest.journal.sqlite import SqliteJournal
from ingest.quarantine import Quarantine, RefusedMessage
from ingest.registry import Registry
from ingest.settings import IngestSettings
from tests.support.command import Ended, twin

NOW = parse_instant("2026-11-25T08:00:00Z")
MODELS = """
[[models]]
name = "band-2"
maker = "Example"
regulatory = "wellness"
live = true
delay_s = 30
expected_interval_s = { heart_rate = 5 }
noise_std = { heart_rate = 2.5 }
"""

Run = Callable[..., Ended]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """`twin …` on a data folder in which ring-9 waits with two messages, one of them good."""
    folder = tmp_path / "data"
    folder.mkdir()
    SqliteJournal(folder / "journal").close()
    settings = IngestSettings()
    with (
        closing(Registry(folder / "registry.db", settings.devices, lambda: NOW)) as registry,
        closing(Quarantine(folder / "quarantine.db", settings.quarantine)) as quarantine,
    ):
        registry.add_patient("Bed 1", "p-1")
        for values in (b'{"heart_rate":72}', b'{"heart_rate":999}'):
            stamp = format_instant(NOW).encode()
            payload = b'{"time":"%s","values":%s,"sequence":1}' % (stamp, values)
            message = Delivery("twin/v1/ring-9/telemetry", payload, NOW, 1, 1)
            (decision,) = decide([message], registry, settings)
            refused = RefusedMessage(message.topic, payload, NOW, "ring-9", decision.rejections)
            quarantine.put([refused], NOW)
    (tmp_path / "models.toml").write_text(MODELS)

    def ran(*arguments: object) -> Ended:
        return twin(*arguments, "--data-dir", folder)

    return ran


def test_who_waits_is_listed_for_people_and_for_programs(run: Run) -> None:
    (pending,) = run("devices", "list", "--json").json["pending"]
    assert (pending["id"], pending["topic"]) == ("ring-9", "twin/v1/ring-9/telemetry")
    assert (pending["messages"], pending["since"]) == (1, format_instant(NOW))
    text = run("devices", "list").out
    assert "pending: approve them with twin devices approve" in text
    assert "twin/v1/ring-9/telemetry" in text
    shown = run("devices", "show", "ring-9", "--json").json
    assert shown["pending"] is True
    assert {each["reason"] for each in shown["refused"]} == {"device_unknown", "value_out_of_range"}


def test_approval_says_which_messages_were_used_and_which_not(run: Run, tmp_path: Path) -> None:
    models = run("devices", "models", "--read", tmp_path / "models.toml", "--json").json["models"]
    assert [each["name"] for each in models] == ["band-2"]
    done = run("devices", "approve", "ring-9", "--patient", "p-1", "--model", "band-2", "--json")
    assert done.code == 0, done.err
    assert (done.json["model"], done.json["patient"]) == ("band-2", "p-1")
    (message,) = done.json["replayed"]["messages"]
    assert (message["outcome"], message["observations"]) == ("used", 1)
    left = run("quarantine", "replay", "--device", "ring-9").out
    assert "refused: value_out_of_range" in left
    assert "0 messages used, 0 observations journalled; 1 refused again" in left
    assert run("devices", "list", "--json").json["pending"] == []
    shown = run("devices", "show", "ring-9").out
    assert "wellness; live; delay 30 s; heart_rate: every 5 s, noise 2.5" in shown


def test_a_device_is_registered_before_it_is_heard_and_taken_out_of_use(run: Run) -> None:
    added = run("devices", "add", "watch-7", "--serial", "S1", "--clock-offset", "32400", "--json")
    assert (added.json["serial"], added.json["clock_offset_s"]) == ("S1", 32_400)
    run("devices", "bind", "watch-7", "p-1")
    assert run("devices", "retire", "watch-7", "--json").json["retired"] is not None
    refused = run("devices", "bind", "watch-7", "p-1")
    assert (refused.code, "retired" in refused.err) == (2, True)
    (row,) = (d for d in run("devices", "list", "--json").json["devices"] if d["id"] == "watch-7")
    assert (row["patient"], row["serial"]) == (None, "S1")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("devices", "approve", "ring-9", "--patient", "p-9"), "p-9: is not a registered patient"),
        (("devices", "approve", "ring-9", "--patient", "p-1", "--model", "x"), "not a declared"),
        (("devices", "show", "stranger"), "nobody registered it"),
        (("devices", "retire", "stranger"), "is not a registered device"),
        (("devices", "models", "--read", "no-such.toml"), "no-such.toml"),
        (("quarantine", "erase"), "expected one of --device and --patient"),
        (("quarantine", "erase", "--patient", "p-9"), "p-9: is not a registered patient"),
        (("patients", "consent", "p-9", "--basis", "consent"), "p-9: is not a registered"),
        (("patients", "consent", "p-1", "--basis", "habit"), "habit: is no basis"),
        (("patients", "consent", "p-1", "--basis", "care", "--signals", "x"), "x: is no signal"),
        (("patients", "withdraw", "p-9"), "p-9: is not a registered patient"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(
    run: Run, arguments: tuple[str, ...], why: str
) -> None:
    ended = run(*arguments)
    assert ended.code == (1 if "--read" in arguments else 2)
    assert ended.out == ""
    assert why in ended.err
    assert len(run("devices", "list", "--json").json["pending"]) == 1


def test_a_device_is_erased_from_quarantine_and_its_sums_stay(run: Run) -> None:
    before = run("quarantine", "list", "--json").json["by_reason"]
    assert run("quarantine", "erase", "--device", "ring-9", "--json").json == {
        "erased": 2,
        "by_device": {"ring-9": 2},
    }
    after = run("quarantine", "list", "--json").json
    assert (after["items"], after["by_reason"], after["erased"]) == ([], before, 2)


def test_a_patients_messages_are_erased_for_the_time_of_the_binding(run: Run) -> None:
    run("devices", "bind", "ring-9", "p-1", "--from", "2026-11-26T00:00:00Z")
    assert run("quarantine", "erase", "--patient", "p-1", "--json").json["erased"] == 0
    run("devices", "bind", "other", "p-1")
    run("devices", "bind", "ring-9", "p-1", "--from", "2026-11-24T00:00:00Z", "--to",
        "2026-11-26T00:00:00Z")  # fmt: skip
    assert run("quarantine", "erase", "--patient", "p-1").out.startswith("2 messages erased")


def test_consents_are_registered_listed_and_withdrawn_with_what_waits(run: Run) -> None:
    given = run(
        "patients", "consent", "p-1", "--basis", "consent", "--signals", "spo2,heart_rate",
        "--from", "2026-11-25T00:00:00Z", "--json",
    )  # fmt: skip
    basis = {
        "basis": "consent",
        "signals": ["heart_rate", "spo2"],
        "from": "2026-11-25T00:00:00.000000000Z",
        "until": None,
    }
    assert given.json == {"id": "p-1", "bases": [basis]}
    assert "heart_rate spo2" in run("patients", "consent", "p-1").out
    run("devices", "bind", "ring-9", "p-1")
    withdrawn = run("patients", "withdraw", "p-1", "--json").json
    assert withdrawn == {"id": "p-1", "ended": [basis], "erased": 2}
    assert run("quarantine", "list", "--json").json["items"] == []
