"""Accept, as HTTP has it."""

import pytest

from twin.care.accepts import prefers_html


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "TEXT/HTML",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "text/html ; q=0.001",
        "text/html;charset=utf-8;Q=1.000",
        "text/*;q=0.3",
        "application/json, text/html",
        "text/html;q=0, text/html;q=1",
    ],
)
def test_a_browser_gets_html(accept: str) -> None:
    assert prefers_html(accept)


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "application/json",
        "text/html;q=0",
        "text/html; q=0.000, */*",
        "text/*, text/html;q=0",
        "text/html;q=0.2, application/problem+json;q=0.3",
        "text/html;q=0.2, application/*;q=0.3",
        "text/htmlx",
        "x/text/html",
        "text/html;q=nan",
        "text/html;q=2",
        "text/html;q=-1",
        ",;q=,",
    ],
)
def test_a_program_does_not(accept: str) -> None:
    assert not prefers_html(accept)
