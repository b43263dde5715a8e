"""The command `twin` inside this process."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

from twin.cli import main


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one line of JSON that it printed."""
        (line,) = self.out.splitlines()
        return json.loads(line)


def twin(*arguments: object, stdin: bytes = b"") -> Ended:
    """Run `twin` with these arguments."""
    out, err, before = io.StringIO(), io.StringIO(), sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin))
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main([str(argument) for argument in arguments])
    except SystemExit as ended:
        code = ended.code
    else:
        code = None
    finally:
        sys.stdin = before
    assert isinstance(code, int), "a command must exit with a number"
    return Ended(code, out.getvalue(), err.getvalue())
