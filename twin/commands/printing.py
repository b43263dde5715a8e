"""What commands print: JSON, or lines and columns that a person and a `grep` can read."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TextIO

from twin.commands.failure import Failed

# What devices and people wrote must not steer a terminal.
_CONTROLS = {
    code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if code not in (9, 10)
}


def print_json(value: object) -> None:
    """One line of JSON on stdout, at once."""
    print_line(json.dumps(value, ensure_ascii=False, allow_nan=False))


def print_line(text: str) -> None:
    """A line on stdout, at once (somebody may be following); control characters are shown.

    Raises Failed where it cannot be written (closed, a full disk), BrokenPipeError where whoever
    read it has gone.
    """
    if sys.stdout is None:  # started with it closed
        raise Failed("stdout is closed")
    try:
        _write(sys.stdout, text.translate(_CONTROLS))
    except BrokenPipeError:
        raise
    except OSError as error:
        sys.stdout = None  # it is not tried again at the exit
        raise Failed(f"stdout: {error.strerror}") from None


def say(text: str) -> None:
    """A line on stderr, if there is any."""
    if sys.stderr is not None:
        with suppress(OSError):
            _write(sys.stderr, f"twin: {text.translate(_CONTROLS)}")


def _write(stream: TextIO, text: str) -> None:
    """Whatever the stream's encoding: what it has not is shown by its number."""
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()


def print_columns(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Rows under their heads, columns aligned, numbers to the right; nothing is cut."""
    texts = [["–" if cell is None else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *texts, strict=True)]
    right = [
        any(isinstance(row[n], (int, float)) for row in rows)
        and not any(isinstance(row[n], str) for row in rows)
        for n in range(len(head))
    ]
    for line in (list(head), *texts):
        cells = (
            text.rjust(width) if to_right else text.ljust(width)
            for text, width, to_right in zip(line, widths, right, strict=True)
        )
        print_line("  ".join(cells).rstrip())


def counted(counts: Mapping[str, int]) -> str:
    """ "range 3, future 1", most first; "" of none."""
    ordered = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    return ", ".join(f"{name} {count}" for name, count in ordered if count)
