from pathlib import Path

import pytest

from tests.support import programs


def test_missing_program_skips_with_its_name_and_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    with pytest.raises(pytest.skip.Exception, match="influxd is missing: make servers"):
        programs.influxd_path()


def test_program_on_path_comes_before_the_one_built_into_the_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    on_path = executable(tmp_path / "bin" / "influxd")
    built = executable(tmp_path / "wearable-twin" / "influxd-v2.7.12")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    monkeypatch.setenv("PATH", str(on_path.parent))
    assert programs.influxd_path() == str(on_path)

    monkeypatch.setenv("PATH", str(tmp_path))
    assert programs.influxd_path() == str(built)


def executable(path: Path) -> Path:
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path
