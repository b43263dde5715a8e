"""A report as two files in a folder."""

from __future__ import annotations

import json
from pathlib import Path

from twin.report.document import Report, document
from twin.report.page import page


def write_report(report: Report, out: Path, name: str) -> tuple[Path, Path]:
    """NAME.html and NAME.json in `out`, each whole or not at all. Raises OSError."""
    written = out / f"{name}.html", out / f"{name}.json"
    texts = page(report), json.dumps(document(report), indent=1, allow_nan=False) + "\n"
    out.mkdir(parents=True, exist_ok=True)
    for path, text in zip(written, texts, strict=True):
        draft = path.with_name(f".{path.name}.part")
        try:
            draft.write_text(text, "utf-8")
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    return written
