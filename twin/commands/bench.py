"""`twin bench`: throughput and latency here; runs what lies in `bench/` of a checkout."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Annotated

import typer

import twin
from twin.commands.failure import Failed, WrongInput
from twin.commands.options import Json
from twin.commands.printing import print_json, print_line, say


def run_benches(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]... [OPTIONS OF THE BENCH]",
            help="Which; without any, all of them. What follows one name is for that bench.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure this machine: ratios against named baselines in the same run."""
    checkout = Path(str(twin.__file__)).parents[1]
    present = benches_in(checkout / "bench")
    if not present:
        raise Failed("the benches are not installed: run `make bench` in a checkout")
    names, options = asked(names or ())
    unknown = [name for name in names if name not in present]
    if unknown:
        raise WrongInput(f"{unknown[0]}: expected one of {', '.join(present)}")
    found: dict[str, object] = {}
    failed = []
    for name in names or present:
        say(f"bench {name}")
        done = subprocess.run(
            [sys.executable, "-m", f"bench.{name}", *options],
            cwd=checkout,
            stdout=subprocess.PIPE if as_json else None,
            text=True,
            check=False,
        )
        if done.returncode:
            failed.append(name)
        elif as_json:
            found[name] = measured(done.stdout)
        else:
            print_line("")
    if as_json:
        print_json(found)
    if failed:
        raise Failed(f"failed: {', '.join(failed)}")


def asked(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """(Names, options of the bench) that were typed. Raises WrongInput: options of several."""
    names = list(takewhile(lambda word: not word.startswith("-"), words))
    options = list(words[len(names) :])
    if options and len(names) != 1:
        raise WrongInput(f"{options[0]}: expected the name of one bench before it")
    if options:  # `restart --patients 1 2`: nothing that follows an option is a name
        say(f"with {' '.join(options)}")
    return names, options


def benches_in(folder: Path) -> list[str]:
    """Names of the benches in a folder."""
    return sorted(file.stem for file in folder.glob("*.py") if not file.stem.startswith("_"))


def measured(output: str) -> object:
    """What a bench printed: its JSON, its lines of JSON, or else its text."""
    try:
        return json.loads(output)
    except ValueError:
        pass
    try:
        return [json.loads(line) for line in output.splitlines() if line.strip()]
    except ValueError:
        return output
