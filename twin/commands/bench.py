"""`twin bench`: throughput and latency here; runs what lies in `bench/` of a checkout."""

from __future__ import annotations

import json
import subprocess
import sys
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
        typer.Argument(metavar="[NAME]...", help="Which; without any, all of them."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure this machine: ratios against named baselines in the same run."""
    checkout = Path(str(twin.__file__)).parents[1]
    present = benches_in(checkout / "bench")
    if not present:
        raise Failed("the benches are not installed: run `make bench` in a checkout")
    unknown = [name for name in names or () if name not in present]
    if unknown:
        raise WrongInput(f"{unknown[0]}: expected one of {', '.join(present)}")
    found: dict[str, object] = {}
    failed = []
    for name in names or present:
        say(f"bench {name}")
        done = subprocess.run(
            [sys.executable, "-m", f"bench.{name}"],
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
