from hypothesis import given
from hypothesis import strategies as st

from twin.toml_lines import key_lines


def test_keys_of_tables_stand_where_they_are_written() -> None:
    lines = key_lines("a = 1\n\n# note\n[t]\nb = 2 # [x]\n[t.u]\nc = 3\n")

    assert lines == {("a",): 1, ("t",): 4, ("t", "b"): 5, ("t", "u"): 6, ("t", "u", "c"): 7}


def test_dotted_quoted_and_inline_keys_are_found() -> None:
    lines = key_lines("a.b.c = 1\n\"x y\".'z' = 2\nt = { p = 1,\n q = { r = 2 } }\n")

    assert lines[("a", "b", "c")] == 1
    assert lines[("x y", "z")] == 2
    assert lines[("t", "p")] == 3
    assert lines[("t", "q", "r")] == 4


def test_values_over_several_lines_hide_no_key() -> None:
    content = (
        'a = """\n[no]\nb = 1\n"""\nc = [\n  "x", # y\n  [1, 2],\n]\nd = 1979-05-27T07:32:00Z\n'
    )

    lines = key_lines(content)

    assert {key: line for key, line in lines.items() if len(key) == 1} == {
        ("a",): 1,
        ("c",): 5,
        ("d",): 9,
    }
    assert lines[("c", 0)] == 6
    assert lines[("c", 1, 1)] == 7


def test_tables_of_a_list_are_counted() -> None:
    lines = key_lines("[[e]]\na = 1\n[[e]]\na = 2\n[e.t]\nb = 3\n")

    assert lines[("e", 0, "a")] == 2
    assert lines[("e", 1, "a")] == 4


@given(st.text("ab.=[]{},\"'#\\\n 1", max_size=60))
def test_any_text_is_scanned_to_lines_that_it_has(content: str) -> None:
    lines = key_lines(content)

    assert all(1 <= line <= content.count("\n") + 1 for line in lines.values())
