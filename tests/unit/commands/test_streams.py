"""Where commands print cannot always be written to."""

from __future__ import annotations

import errno
import io
import os
import sys

import pytest

from tests.support.command import twin
from twin.commands.failure import Failed
from twin.commands.printing import print_line, say


class Full(io.StringIO):
    """A stream on a full disk."""

    def write(self, text: str, /) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_stdout_is_said_and_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(Failed, match="stdout: No space left on device"):
        print_line("72")
    with pytest.raises(Failed, match="stdout is closed"):
        print_line("72")


@pytest.mark.parametrize("stream", [None, Full()])
def test_nobody_who_reads_stderr_is_no_fault(
    monkeypatch: pytest.MonkeyPatch, stream: Full | None
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    say("12 rows")


def test_what_a_stream_cannot_encode_is_shown_by_its_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="latin-1"))
    print_line("1–2 é \udcff")
    assert raw.getvalue() == b"1\\u20132 \xe9 \\udcff\n"


def test_a_file_whose_name_is_no_text_is_named_all_the_same() -> None:
    ended = twin("decode", os.fsdecode(b"nowhere-\xff.json"))
    assert (ended.code, ended.out) == (2, "")
    assert "No such file or directory" in ended.err
