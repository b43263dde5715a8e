"""Real recordings through ingest and twin: what they say of clocks is in docs/devices.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.clocks import Case, Said, cases, heard, row
from tests.support.commands import shared_recording

pytestmark = [pytest.mark.integration, pytest.mark.slow]
PAGE = (Path(__file__).parents[2] / "docs" / "devices.md").read_text("utf-8")


@pytest.fixture(scope="module")
def recorded() -> dict[str, tuple[Case, Said]]:
    folder = shared_recording("galaxyppg/P02")
    return {case.title: (case, heard(case)) for case in cases(folder)}


def test_a_phone_nine_hours_ahead_is_refused_whole(
    recorded: dict[str, tuple[Case, Said]],
) -> None:
    case, said = recorded["phone 9 h ahead"]
    assert said.refused == {"future": len(case.samples)}
    assert not said.verdicts


def test_once_declared_its_stamps_are_moved_and_none_is_refused(
    recorded: dict[str, tuple[Case, Said]],
) -> None:
    case, said = recorded["the same, `clock_offset_s = 32400`"]
    assert not said.refused
    assert sum(said.verdicts.values()) == len(case.samples)
    assert said.moved == (-32_400, -32_400)


def test_batches_of_minutes_are_shown_as_lateness_and_never_corrected(
    recorded: dict[str, tuple[Case, Said]],
) -> None:
    case, said = recorded["watch in batches"]
    assert max(s.received - s.stamp for s in case.samples) > 10 * 60 * 10**9
    assert said.moved == (0, 0)
    assert said.latest["correction"] == 0
    assert sum(said.verdicts.values()) == len(case.samples)


def test_a_declared_delay_moves_every_stamp_by_itself(
    recorded: dict[str, tuple[Case, Said]],
) -> None:
    assert recorded["wristband"][1].moved == (0, 0)
    assert recorded["the same, `delay_s = 30`"][1].moved == (-30, -30)


def test_the_table_of_the_page_is_what_they_say(recorded: dict[str, tuple[Case, Said]]) -> None:
    for case, said in recorded.values():
        assert row(case, said) in PAGE, "renew it with: python -m bench.clocks"
