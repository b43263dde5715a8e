"""Names of those who act, and the cookie that keeps them."""

import pytest
from starlette.datastructures import Headers
from starlette.responses import Response

from twin.care.names import NAME_COOKIE, NAME_S, Names, name_of


def cookie(text: str) -> Headers:
    return Headers({"cookie": f"{NAME_COOKIE}={text}"})


@pytest.mark.parametrize("text", ["I. Roux", "  I.  Roux ", "I.\nRoux"])
def test_a_name_is_one_line_without_needless_space(text: str) -> None:
    assert name_of(text) == "I. Roux"


@pytest.mark.parametrize("text", ["", " ", "x", "y" * 61, "a\x00b", "I. \u202eRoux"])
def test_what_is_no_name_is_none(text: str) -> None:
    assert name_of(text) is None


def test_a_name_comes_back_from_its_cookie_until_the_session_would_end() -> None:
    at = [100.0]
    names = Names(lambda: at[0])
    sealed = names.sealed("Zoë Müller")
    assert names.of(cookie(sealed)) == "Zoë Müller"
    at[0] += NAME_S + 1
    assert names.of(cookie(sealed)) is None


def test_a_name_that_was_not_signed_here_is_none() -> None:
    names, others = Names(), Names()
    said, _, signature = names.sealed("I. Roux").partition(".")
    forged = others.sealed("Dr Who")
    first = "y" if signature[0] == "x" else "x"  # one signature in 64 begins with an x
    for text in (
        forged,
        f"{said}.{first}{signature[1:]}",
        f"{forged.partition('.')[0]}.{signature}",
        "",
    ):
        assert names.of(cookie(text)) is None
    assert names.of(Headers({})) is None


def test_the_cookie_is_for_this_site_and_no_script() -> None:
    response = Response()
    Names().remember(response, "I. Roux", secure=True)
    header = response.headers["set-cookie"]
    for word in ("HttpOnly", "SameSite=strict", "Secure"):
        assert word in header
    assert "Roux" not in header
