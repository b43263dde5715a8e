"""What axe finds wrong with a page, by the rules of WCAG 2.2 A and AA."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

_AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
_TAGS = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
#: All that a theme can change.
_COLOURS = {"type": "rule", "values": ["color-contrast"]}
_RUN = """async (runOnly) => {
  const { violations } = await axe.run(document, { runOnly });
  const told = (node) => `${node.html} ${node.failureSummary}`;
  return violations.map(({ id, nodes }) => ({ id, nodes: nodes.map(told) }));
}"""


def violations(page: Page, colours_only: bool = False) -> list[dict[str, Any]]:
    """Broken rules, each with its elements."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(_AXE)
    found: list[dict[str, Any]] = page.evaluate(_RUN, _COLOURS if colours_only else _TAGS)
    return found
