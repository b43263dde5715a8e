"""Tables of docs/operations.md as the code says them.

`python -m tests.support.reference` writes them into the document, between their marks.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from twin.example_config import described

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "operations.md"


def configuration_table() -> list[str]:
    """A line for each key."""
    lines = ["| key | expected | default | |", "|---|---|---|---|"]
    for key, expected, default, description in described():
        value = f"`{default}`" if default else "none"
        lines.append(f"| `{key}` | {expected} | {value} | {' '.join(description.split())} |")
    return lines


def metrics_table() -> list[str]:
    """A line for each metric that the sources make."""
    lines = ["| metric | labels | |", "|---|---|---|"]
    found = {name: (labels, said) for name, labels, said in _metrics()}
    for name, (labels, said) in sorted(found.items()):
        lines.append(f"| `{name}` | {' '.join(f'`{label}`' for label in labels)} | {said} |")
    return lines


def _metrics() -> Iterator[tuple[str, list[str], str]]:
    """(name, labels, help) of every `Metric("…", …, "…")` in the sources."""
    for file in sorted((ROOT / "twin").rglob("*.py")):
        tree = ast.parse(file.read_text("utf-8"))
        named = {
            (target.id, node.lineno): value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            for target, value in _pairs(node)
        }
        for node in ast.walk(tree):
            match node:
                case ast.Call(
                    func=ast.Name("Metric"),
                    args=[ast.Constant(str(name)), labels, _, ast.Constant(str(said))],
                ):
                    yield name, _labels(labels, named, node.lineno), said


def _pairs(node: ast.Assign) -> Iterator[tuple[ast.Name, ast.expr]]:
    for target in node.targets:
        if isinstance(target, ast.Name):
            yield target, node.value
        elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            for inner, value in zip(target.elts, node.value.elts, strict=True):
                if isinstance(inner, ast.Name):
                    yield inner, value


def _labels(labels: ast.expr, named: dict[tuple[str, int], ast.expr], line: int) -> list[str]:
    """Keys of a literal, or of the nearest literal above that has this name."""
    if isinstance(labels, ast.Name):
        above = [at for name, at in named if name == labels.id and at < line]
        labels = named[labels.id, max(above)]
    if not isinstance(labels, ast.Dict):
        raise ValueError(f"line {line}: labels of a metric are a literal")
    return [str(key.value) for key in labels.keys if isinstance(key, ast.Constant)]


TABLES = {"configuration": configuration_table, "metrics": metrics_table}


def renewed(document: str) -> str:
    """The document with its tables as the code says them. Raises ValueError without marks."""
    for name, table in TABLES.items():
        first, last = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
        start, end = document.index(first) + len(first), document.index(last)
        document = document[:start] + "".join(f"{line}\n" for line in table()) + document[end:]
    return document


if __name__ == "__main__":
    DOCUMENT.write_text(renewed(DOCUMENT.read_text("utf-8")), "utf-8")
