"""docs/formats.md: what its examples print is what the decoders say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ingest.judge import judge

PAGE = (Path(__file__).parents[3] / "docs" / "formats.md").read_text("utf-8")
EXAMPLES = re.findall(
    r"```sh\nprintf '%s' '([^']*)' \|\s*twin decode - --format (\S+)\n```\n\n```json\n(.*?)```",
    PAGE,
    re.DOTALL,
)


@pytest.mark.parametrize(("payload", "form", "printed"), EXAMPLES, ids=[e[1] for e in EXAMPLES])
def test_example_gives_the_lines_that_are_printed(payload: str, form: str, printed: str) -> None:
    assert judge(payload.encode(), form) == [json.loads(line) for line in printed.splitlines()]


def test_each_format_of_this_page_has_an_example() -> None:
    assert [form for _, form, _ in EXAMPLES] == ["senml", "ieee1752", "fhir"]
