"""What was typed, looked at before any command is asked: what is given has a value.

An empty one is what a shell makes of a variable that is not set: `--data-dir "$DATA"` would be the
current folder, as `decode "$FILE"`, `--patient ""` everybody and `--forecast ""` nothing at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import typer

from twin.commands.failure import WrongInput


def expect_values(command: Any, arguments: Sequence[str]) -> None:
    """Raises WrongInput for the first option with an empty value, but those that are empty anyway.

    command: the whole tree, as typer makes it. Arguments without an option's name in front may be
    empty, but for paths: each command says itself what that means.
    """
    named = frozenset(_names(command))
    for option, value in pairwise([*_apart(arguments), "-"]):
        if option in named and not value:
            raise WrongInput(f"{option}: got '', expected a value")


def _names(command: Any) -> Iterator[str]:
    """Of the options that take a value, in this command and those in it."""
    for each in command.params:
        if each.param_type_name == "option" and not each.is_flag and each.default != "":
            yield from each.opts
    for inner in getattr(command, "commands", {}).values():
        yield from _names(inner)


def _apart(arguments: Sequence[str]) -> Iterator[str]:
    """`--out=` as the two arguments that it stands for."""
    for each in arguments:
        name, sign, value = each.partition("=")
        if name.startswith("--") and sign:
            yield from (name, value)
        else:
            yield each


def _path(typed: str) -> Path:
    """Raises BadParameter, which ends the command with exit code 2."""
    if not typed:
        raise typer.BadParameter("got '', expected a path")
    return Path(typed)


#: A path without an option's name in front, or several of them.
path_argument = partial(typer.Argument, parser=_path)
