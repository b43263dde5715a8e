from pathlib import Path

from twin.commands.bench import benches_in, measured


def test_benches_are_the_modules_of_the_folder(tmp_path: Path) -> None:
    for name in ("b.py", "a.py", "_shared.py", "notes.md"):
        (tmp_path / name).touch()

    assert benches_in(tmp_path) == ["a", "b"]
    assert benches_in(tmp_path / "none") == []


def test_output_of_a_bench_is_json_or_lines_of_it_or_text() -> None:
    assert measured('{\n "a": 1\n}\n') == {"a": 1}
    assert measured('{"a": 1}\n{"a": 2}\n') == [{"a": 1}, {"a": 2}]
    assert measured("fast\n") == "fast\n"
