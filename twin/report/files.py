"""A report as two files in a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twin.report.document import Report, document
from twin.report.page import page


def write_report(report: Report, out: Path, name: str) -> tuple[Path, Path]:
    """NAME.html and NAME.json in `out`, each whole or not at all. Raises OSError."""
    return write_pair(page(report), document(report), out, name)


def write_pair(html: str, content: Mapping[str, Any], out: Path, name: str) -> tuple[Path, Path]:
    """A page and its JSON under one name in `out`, each whole or not at all. Raises OSError."""
    written = out / f"{name}.html", out / f"{name}.json"
    texts = html, json.dumps(content, indent=1, allow_nan=False) + "\n"
    out.mkdir(parents=True, exist_ok=True)
    for path, text in zip(written, texts, strict=True):
        write_whole(path, text)
    return written


def write_whole(path: Path, text: str) -> None:
    """A file that is complete, or as it was. Raises OSError."""
    draft = path.with_name(f".{path.name}.part")
    try:
        draft.write_text(text, "utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
