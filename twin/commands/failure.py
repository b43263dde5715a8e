"""How a command ends that did not do what it was asked: exit code 1 (failed) or 2 (wrong input)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from errno import EDQUOT, EFBIG, ENOSPC, EROFS

#: Of a copy that ends so, the file that was written is to blame, which Python names second.
_FULL = frozenset({EDQUOT, EFBIG, ENOSPC, EROFS})


class CommandEnded(Exception):
    """The command ends with `code`; the message is for whoever typed it."""

    code = 1


class Failed(CommandEnded):
    """It could not be done now: exit code 1."""


class WrongInput(CommandEnded):
    """What was typed, or a file that it names, cannot be used: exit code 2."""

    code = 2


@contextmanager
def wrong_input(*kinds: type[Exception]) -> Iterator[None]:
    """Errors of these kinds are the caller's: exit code 2."""
    try:
        yield
    except BrokenPipeError:
        raise  # whoever read what we print has gone: nobody's fault
    except kinds as error:
        raise WrongInput(in_words(error)) from error


@contextmanager
def failing(*kinds: type[Exception]) -> Iterator[None]:
    """Errors of these kinds are the machine's: exit code 1."""
    try:
        yield
    except BrokenPipeError:
        raise
    except kinds as error:
        raise Failed(in_words(error)) from error


def in_words(error: Exception) -> str:
    """An error for people: an OSError as "file: why", others as they say it themselves."""
    if isinstance(error, OSError) and error.strerror:
        full = error.errno in _FULL and error.filename2 is not None
        place = error.filename2 if full else error.filename
        named = f"{place}: " if place is not None else ""
        return f"{named}{error.strerror}"
    return str(error) or type(error).__name__
