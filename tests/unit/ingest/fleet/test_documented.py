"""docs/fleet.md says what the code does."""

import re
from itertools import takewhile
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from ingest.fleet.script import Fault, FaultKind, FaultScript, crowds, scripted, told
from ingest.fleet.settings import (
    Episode,
    FleetSettings,
    FleetSettingsError,
    read_fleet_settings,
)
from ingest.fleet.simulation import messages
from ingest.instant import SECOND

DOCUMENT = Path(__file__).parents[4] / "docs" / "fleet.md"


@pytest.fixture
def examples() -> list[str]:
    return re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)


def test_documented_defaults_are_the_defaults_and_complete(
    examples: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "fleet.toml"
    path.write_text(examples[0], encoding="utf-8")
    assert read_fleet_settings(path, FleetSettings) == FleetSettings()
    written = set(re.findall(r"^(?:# )?(\w+) =", examples[0], re.MULTILINE))
    tables = FleetSettings()
    for table in (tables, tables.rates, tables.faults, tables.connection):
        keys = {field.name for field in msgspec.structs.fields(table)}
        assert keys - {"rates", "faults", "connection", "episodes"} <= written


def test_documented_episode_is_read(examples: list[str], tmp_path: Path) -> None:
    path = tmp_path / "fleet.toml"
    path.write_text(examples[1], encoding="utf-8")
    (episode,) = read_fleet_settings(path, FleetSettings).script()
    assert (episode.kind, episode.patient, episode.device) == ("offline", 2, "watch")
    keys = {field.name for field in msgspec.structs.fields(Episode)}
    assert keys == set(re.findall(r"^(\w+) =", examples[1], re.MULTILINE))


def test_documented_fault_is_read_and_all_kinds_are_told(
    examples: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(examples[2], encoding="utf-8")
    (fault,) = read_fleet_settings(path, FaultScript).fault
    assert fault == Fault(kind="lost", device="watch-01", at_s=60, duration_s=30, every=3)
    keys = {field.name for field in msgspec.structs.fields(Fault)}
    assert keys == set(re.findall(r"^(\w+) =", examples[2], re.MULTILINE))
    kinds = re.findall(r"^\| `(\w+)` \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(kinds) == sorted(get_args(FaultKind))


def test_the_example_script_does_what_it_says() -> None:
    script = read_fleet_settings(DOCUMENT.with_name("faults.toml"), FaultScript)
    stream = takewhile(lambda m: m.at < 45 * SECOND, messages(script))
    ledgers = told(scripted(script, stream))
    watch, patch = ledgers["watch-01"], ledgers["patch-01"]
    assert (watch.missing, watch.restarts) == (3, 1)
    assert set(watch.refused) == {"unit_unknown", "future", "ancient"}
    assert patch.duplicate > patch.redelivered > 3
    assert set(patch.refused) == {"identity_mismatch"}
    assert ledgers["watch-66"].received > 0  # where no access list refuses it
    ((at, crowd),) = crowds(script)
    assert (at, len(crowd)) == (38 * SECOND, 50)
    assert len({message.device for message in crowd}) == 50


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ('kind = "stolen"', "fault[0]"),
        ('kind = "stolen"\ndevice = "watch-01"\nthief = "../x"', "fault[0].thief"),
        ('kind = "connecting"\ndevice = "watch-01"', "fault[0]"),
        ('kind = "connecting"\ndevices = 0', "fault[0].devices"),
        ('kind = "connecting"\n[connection]\ncertificates = "certs"', ""),
    ],
)
def test_a_theft_without_its_victim_and_a_crowd_that_cannot_be_are_refused_with_their_place(
    table: str, key: str, tmp_path: Path
) -> None:
    path = tmp_path / "faults.toml"
    path.write_text("[[fault]]\n" + table, encoding="utf-8")
    with pytest.raises(FleetSettingsError) as refused:
        read_fleet_settings(path, FaultScript)
    assert refused.value.key == key


def test_a_thief_speaks_beside_its_victim_and_changes_nothing_of_its_count() -> None:
    theft = Fault(kind="stolen", device="watch-01", at_s=3, duration_s=4, thief="w-66")
    script = FaultScript(patients=1, fault=(theft,))
    sent = list(scripted(script, takewhile(lambda m: m.at < 10 * SECOND, messages(script))))
    stolen = [m for m in sent if m.signed_as]
    assert {(m.device, m.names, m.sequence) for m in stolen} == {
        ("w-66", None, None),
        ("watch-01", "w-66", None),
    }
    assert {m.signed_as for m in stolen} == {"watch-01"}
    alone = FaultScript(patients=1)
    theirs = takewhile(lambda m: m.at < 10 * SECOND, messages(alone))
    assert [m for m in sent if not m.signed_as] == list(theirs)
    watch = told(sent)["watch-01"]
    assert set(watch.refused) == {"identity_mismatch"}
    assert (watch.missing, watch.redelivered, watch.duplicate) == (0, 0, 0)
