"""`twin refilter` on a real embedded store, alone and beside the service that writes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.belated import LiveLine, as_kept, heart_rate, held, in_order
from tests.support.command import twin
from tests.support.twins import T0
from twin.store.embedded import EmbeddedStore

MINUTE = 60_000_000_000
SAID = [
    heart_rate("p", "watch", 70.0 + n % 7, T0 + n * MINUTE, T0 + n * MINUTE) for n in range(240)
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder to whose store ten minutes came hours late."""
    with EmbeddedStore(tmp_path / "store.db") as store:
        LiveLine([store]).arrive([*SAID[:150], *SAID[160:], *SAID[150:160]])
    return tmp_path


def test_what_came_late_is_folded_in(folder: Path) -> None:
    ended = twin("refilter", "--data-dir", folder, "--from", "2026-11-25T11:00:00Z", "--json")
    assert (ended.code, ended.err) == (0, "")
    (told,) = ended.json["stores"]
    assert (told["store"], told["asked"], told["running"]) == ("embedded", 1, False)
    (done,) = told["done"]
    assert (done["patient"], done["signal"], done["forgotten"]) == ("p", "heart_rate", False)
    assert done["estimates"] == 240 - 150
    assert done["anchor"] is not None
    with EmbeddedStore(folder / "store.db") as store:
        assert held(store) == as_kept(in_order(SAID))


def test_without_a_choice_everything_is_filtered_again(folder: Path) -> None:
    ended = twin("refilter", "--data-dir", folder)
    assert (ended.code, ended.out) == (0, "embedded: 1 signals, 240 estimates written anew\n")


def test_beside_the_process_that_writes_it_is_asked(folder: Path) -> None:
    with EmbeddedStore(folder / "store.db") as store:
        ended = twin("refilter", "--data-dir", folder, "--patient", "p", "--json")
        assert ended.code == 0
        (told,) = ended.json["stores"]
        assert (told["asked"], told["running"], told["done"]) == (1, True, [])
        assert len(store.of_strayed(lambda strayed: strayed.waiting())) == 1


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (("--patient", "nobody"), "nothing is recorded of this patient and signal"),
        (("--from", "yesterday"), "--from: got 'yesterday'"),
    ],
)
def test_wrong_input_is_said(folder: Path, choice: tuple[str, str], said: str) -> None:
    ended = twin("refilter", "--data-dir", folder, *choice)
    assert ended.code == 2
    assert said in ended.err


def test_a_folder_without_a_store_is_wrong_input(tmp_path: Path) -> None:
    ended = twin("refilter", "--data-dir", tmp_path)
    assert ended.code == 2
    assert "there is no record of the embedded store here yet" in ended.err
