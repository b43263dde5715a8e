"""How a command ends that did not do what it was asked: exit code 1 (failed) or 2 (wrong input)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


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
        named = f"{error.filename}: " if error.filename is not None else ""
        return f"{named}{error.strerror}"
    return str(error) or type(error).__name__
