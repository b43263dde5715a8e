"""The fault script of the documentation over a real broker: each ledger says what it did."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import eventually, twin_json
from tests.support.runs import TwinRun
from tests.support.servers import MosquittoServer

pytestmark = pytest.mark.integration
SCRIPT = Path(__file__).parents[2] / "docs" / "faults.toml"
#: The script's last fault begins in its 36th second: 72 s of it in 18.
SPEED, SECONDS = 4, 18
WATCH, PATCH = "watch-01", "patch-01"


@dataclass(frozen=True, slots=True)
class Scripted:
    """By device: what the fleet says a ledger must show, and what `twin devices ledger` shows."""

    sent: dict[str, Any]
    told: dict[str, dict[str, Any]]
    found: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    """Fleet and twin as processes; the ledgers once no message is on its way any more."""
    folder = tmp_path_factory.mktemp("script")
    with (
        MosquittoServer() as broker,
        TwinRun(folder, {"mqtt": {"port": broker.port}, "devices": {"unknown": "register"}}) as run,
    ):
        run.wait_until_connected()
        sent = twin_json(
            *("fleet", "--script", SCRIPT, "--port", str(broker.port)),
            *("--speed", str(SPEED), "--duration", str(SECONDS)),
        )
        assert sent["acknowledged"] == sent["published"] > 60
        told = sent["ledgers"]
        eventually(lambda: at_rest(run, told), "reported as told: " + str(told))
        found = twin_json("devices", "ledger", "-c", run.config)["devices"]
        yield Scripted(sent, told, {each["id"]: each for each in found})


def at_rest(run: TwinRun, told: dict[str, dict[str, Any]]) -> bool:
    """Whether all was received and stored, and the numbers, told every five seconds, are these."""
    ledgers = {d: ledger for d, ledger in run.ledgers().items() if not d.startswith("crowd-")}
    return ledgers.keys() == told.keys() and all(
        ledger["received"] == told[device]["received"]
        and ledger["stored"] == ledger["estimated"] + ledger["belated"]
        and ledger["missing"] + ledger["open"] == told[device]["missing"]
        and ledger["redelivered"] == told[device]["redelivered"]
        for device, ledger in ledgers.items()
    )


def test_every_sample_that_the_broker_has_is_received_and_each_refusal_has_its_reason(
    line: Scripted,
) -> None:
    assert {device: line.found[device]["ledger"]["refused"] for device in line.told} == {
        device: told["refused"] for device, told in line.told.items()
    }
    assert line.told[WATCH]["refused"] == {"unit_unknown": 4, "future": 3, "ancient": 2}
    assert line.told[PATCH]["refused"] == {"identity_mismatch": 8 + 5}  # the second: the thief's
    for device, told in line.told.items():
        assert line.found[device]["ledger"]["received"] == told["received"], device


def test_what_was_sent_twice_is_stored_once_and_told(line: Scripted) -> None:
    assert line.told[PATCH]["duplicate"] >= 8
    for device, told in line.told.items():
        assert line.found[device]["ledger"]["duplicate"] == told["duplicate"], device
        assert line.found[device]["numbers"]["redelivered"] == told["redelivered"], device


def test_what_never_came_is_missing_or_its_gap_still_open(line: Scripted) -> None:
    assert (line.told[WATCH]["missing"], line.told[PATCH]["missing"]) == (3, 2)
    for device, told in line.told.items():
        numbers = line.found[device]["numbers"]
        assert numbers["missing"] + numbers["open"] == told["missing"], device
        assert numbers["restarts"] == told["restarts"], device
    assert line.told[WATCH]["restarts"] == 1


def test_each_ledger_reconciles_to_zero(line: Scripted) -> None:
    for device, told in line.told.items():
        ledger = line.found[device]["ledger"]
        assert ledger["journalled"] == told["received"] - sum(told["refused"].values()), device
        assert ledger["conflict"] == ledger["difference"] == 0, device
        kept = ledger["journalled"] - told["duplicate"]
        assert ledger["estimated"] + ledger["belated"] == ledger["stored"] == kept, device


def test_devices_that_connect_at_once_are_all_heard(line: Scripted) -> None:
    (crowd,) = line.sent["connecting"]
    assert (crowd["devices"], crowd["connected"], crowd["acknowledged"]) == (50, 50, 50)
    found = [each["ledger"] for id_, each in line.found.items() if id_.startswith("crowd-")]
    assert [(each["received"], each["stored"]) for each in found] == [(1, 1)] * 50


def test_a_broker_without_access_list_takes_a_thief_and_its_victims_ledger_shows_it(
    line: Scripted,
) -> None:
    own, victims = sorted(line.sent["stolen"], key=lambda each: str(each["device"]), reverse=True)
    assert (own["device"], victims["device"]) == ("watch-66", PATCH)
    assert own["acknowledged"] == victims["acknowledged"] == 2
    assert own["owner"] == victims["owner"] == PATCH
