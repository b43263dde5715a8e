"""docs/fleet.md says what the code does."""

import re
from pathlib import Path

import msgspec
import pytest

from ingest.fleet.settings import Episode, FleetSettings, read_fleet_settings

DOCUMENT = Path(__file__).parents[4] / "docs" / "fleet.md"


@pytest.fixture
def examples() -> list[str]:
    return re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)


def test_documented_defaults_are_the_defaults_and_complete(
    examples: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "fleet.toml"
    path.write_text(examples[0], encoding="utf-8")
    assert read_fleet_settings(path) == FleetSettings()
    written = set(re.findall(r"^(?:# )?(\w+) =", examples[0], re.MULTILINE))
    tables = FleetSettings()
    for table in (tables, tables.rates, tables.faults, tables.connection):
        keys = {field.name for field in msgspec.structs.fields(table)}
        assert keys - {"rates", "faults", "connection", "episodes"} <= written


def test_documented_episode_is_read(examples: list[str], tmp_path: Path) -> None:
    path = tmp_path / "fleet.toml"
    path.write_text(examples[1], encoding="utf-8")
    (episode,) = read_fleet_settings(path).script()
    assert (episode.kind, episode.patient, episode.device) == ("offline", 2, "watch")
    keys = {field.name for field in msgspec.structs.fields(Episode)}
    assert keys == set(re.findall(r"^(\w+) =", examples[1], re.MULTILINE))
