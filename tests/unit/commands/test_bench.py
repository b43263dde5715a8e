from pathlib import Path

import pytest

from twin.commands.bench import asked, benches_in, measured
from twin.commands.failure import WrongInput


def test_benches_are_the_modules_of_the_folder(tmp_path: Path) -> None:
    for name in ("b.py", "a.py", "_shared.py", "notes.md"):
        (tmp_path / name).touch()

    assert benches_in(tmp_path) == ["a", "b"]
    assert benches_in(tmp_path / "none") == []


def test_output_of_a_bench_is_json_or_lines_of_it_or_text() -> None:
    assert measured('{\n "a": 1\n}\n') == {"a": 1}
    assert measured('{"a": 1}\n{"a": 2}\n') == [{"a": 1}, {"a": 2}]
    assert measured("fast\n") == "fast\n"


def test_what_follows_the_name_of_one_bench_is_for_that_bench() -> None:
    assert asked(["store", "feed"]) == (["store", "feed"], [])
    assert asked([]) == ([], [])
    words = ["restart", "--patients", "100", "1000"]
    assert asked(words) == (["restart"], ["--patients", "100", "1000"])
    for several in (["store", "feed", "--rows", "5"], ["--rows", "5"]):
        with pytest.raises(WrongInput, match="--rows: expected the name of one bench"):
            asked(several)
