"""The fleet file."""

from pathlib import Path

import pytest

from ingest.fleet.settings import (
    Episode,
    FleetSettings,
    FleetSettingsError,
    Rates,
    checked,
    read_fleet_settings,
)


def read(folder: Path, text: str) -> FleetSettings:
    path = folder / "fleet.toml"
    path.write_text(text)
    return read_fleet_settings(path, FleetSettings)


def test_empty_file_is_the_default_fleet(tmp_path: Path) -> None:
    assert read(tmp_path, "") == FleetSettings()


def test_file_is_read_with_its_episodes(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        "patients = 3\nseed = 9\n[rates]\nwatch_s = 5\n[faults]\nlost = 0.1\n"
        '[[episode]]\nkind = "offline"\npatient = 2\ndevice = "watch"\nat_s = 60\n',
    )
    assert settings.rates == Rates(watch_s=5)
    assert settings.script() == (Episode(kind="offline", patient=2, device="watch", at_s=60),)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("patient = 3", ""),
        ("patients = -1", "patients"),
        ('patients = "many"', "patients"),
        ("[rates]\nwatch_s = 0", "rates.watch_s"),
        ("[rates]\nwatch = 1", "rates"),
        ("[faults]\nlost = 1.5", "faults.lost"),
        ('prefix = "ward b/"', "prefix"),
        ('[[episode]]\nkind = "tantrum"\npatient = 1', "episodes[0].kind"),
        ('[[episode]]\nkind = "fever"', "episodes[0]"),
        ('patients = 1\n[[episode]]\nkind = "fever"\npatient = 2', "episode[0].patient"),
        ("patients = ", ""),
    ],
)
def test_wrong_file_is_refused_with_file_and_key(tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(FleetSettingsError) as refusal:
        read(tmp_path, text)
    assert refusal.value.key == key
    assert "fleet.toml" in str(refusal.value)
    assert refusal.value.why


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FleetSettingsError, match="cannot be read"):
        read_fleet_settings(tmp_path / "none.toml", FleetSettings)


def test_settings_made_in_code_can_be_checked() -> None:
    assert checked(FleetSettings(patients=2)) == FleetSettings(patients=2)
    with pytest.raises(FleetSettingsError, match="speed"):
        checked(FleetSettings(speed=-1))


def test_usual_script_is_only_for_fleets_of_four_or_more() -> None:
    assert FleetSettings(patients=3).script() == ()
    assert {e.kind for e in FleetSettings(patients=4).script()} == {"fever", "deterioration"}
    assert FleetSettings(patients=4, episodes=()).script() == ()
