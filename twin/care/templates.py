"""The templates of pages: all text in them is escaped, and a name that is missing is an error."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import jinja2

TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "pages"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters["path"] = lambda text: quote(text, safe="")
